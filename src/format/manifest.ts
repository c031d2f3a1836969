import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId, ClientId, InstanceId, KeyringHash, SnapshotId } from '../model/ids.ts';
import type { PathKey } from '../model/paths.ts';
import type { UnixMillis } from '../model/time.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { openUnder, sealUnder } from './domain-box.ts';
import type { DomainKeys, KeyStore } from './domain-keys.ts';
import type { RefsRoot } from './refs.ts';
import {
  bytesOf,
  bytesUpTo,
  count,
  countFrom,
  flag,
  listOf,
  literal,
  orNull,
  record,
  text,
  textUpTo,
  where,
} from './shape.ts';
import {
  checkSignature,
  instanceIdOf,
  parseRecord,
  type SignedRecord,
  type SigningKey,
  signRecord,
} from './signing.ts';
import type { TreeRoot } from './tree-builder.ts';

/** What a manifest says in clear: enough to prove completeness and to list, nothing more (format F40-F46). */
export interface Manifest {
  readonly client: ClientId;
  readonly instance: InstanceId;
  /** The chain that `sequence` and `previous` count in: one per (instance, job). */
  readonly job: string;
  readonly sequence: number;
  readonly previous: SnapshotId | null;
  readonly base: SnapshotId | null;
  readonly takenAt: UnixMillis;
  readonly refs: RefsRoot;
  readonly tree: TreeRoot;
  readonly keyring: KeyringHash;
  /** False: partial, it covers the walk only up to a point (which is sealed). Never safe. */
  readonly complete: boolean;
  readonly counts: ManifestCounts;
  readonly labels: ManifestLabels;
  /** Opened with `openManifestDetails`. */
  readonly sealed: Uint8Array;
}

export interface ManifestCounts {
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** Sum of the files' sizes. */
  readonly bytes: number;
  /** Entries that could not be read. */
  readonly problems: number;
}

/** What the owner chose to show. */
export interface ManifestLabels {
  readonly client?: string;
  readonly roots?: readonly string[];
}

/** The sealed half: only for who holds the keys. */
export interface ManifestDetails {
  readonly roots: readonly PathKey[];
  readonly host: string;
  readonly software: string;
  readonly startedAt: UnixMillis;
  readonly finishedAt: UnixMillis;
  readonly excludes: readonly string[];
  /** Of a partial snapshot: everything before this key is covered. */
  readonly partialUntil: { readonly path: PathKey; readonly offset: number } | null;
  /** The first of the problems; `counts.problems` says how many there were. */
  readonly problems: readonly { readonly path: PathKey; readonly code: string; readonly message: string }[];
}

export interface SignedManifest {
  readonly id: SnapshotId;
  readonly manifest: Manifest;
  /** The whole signed record, as it is stored and sent. */
  readonly bytes: Uint8Array;
  readonly record: SignedRecord;
}

const MANIFEST_BYTES_MAX = 1 << 16;
/** Every part between slashes starts with a letter or a digit: no name can climb out of a directory. */
export const JOB_NAME = /^(?=.{1,100}$)[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)*$/;

const pageShape = { id: bytesOf(32), length: count };
const bodyShape = record({
  format: literal(1),
  client: bytesOf(16),
  instance: bytesOf(16),
  job: where(text, (name) => JOB_NAME.test(name), 'must be the name of a job'),
  sequence: countFrom(1),
  previous: orNull(bytesOf(32)),
  base: orNull(bytesOf(32)),
  takenAt: count,
  refs: record({ ...pageShape, blocks: count, bytes: count }),
  tree: record({ ...pageShape, entries: count, bytes: count }),
  keyring: bytesOf(32),
  complete: flag,
  counts: record({ files: count, directories: count, others: count, bytes: count, problems: count }),
  labels: record({}, { client: textUpTo(200), roots: listOf(textUpTo(4096), { max: 100 }) }),
  sealed: bytesUpTo(MANIFEST_BYTES_MAX),
});

const pathShape = bytesUpTo(1 << 15);
const detailsShape = record({
  roots: listOf(pathShape, { max: 1000 }),
  host: text,
  software: text,
  startedAt: count,
  finishedAt: count,
  excludes: listOf(text),
  partialUntil: orNull(record({ path: pathShape, offset: count })),
  problems: listOf(record({ path: pathShape, code: text, message: text })),
});

const DETAILS_CONTEXT = 'lowtide/manifest-details/1';
const bytesOrNull = (hex: string | null): Uint8Array | null => (hex === null ? null : bytesOfHex(hex));
const hexOrNull = (bytes: Uint8Array | null): SnapshotId | null =>
  bytes === null ? null : (hexOf(bytes) as SnapshotId);
const pathBytes = (path: PathKey): Uint8Array => new Uint8Array(Buffer.from(path, 'latin1'));
const bytesPath = (bytes: Uint8Array): PathKey => Buffer.from(bytes).toString('latin1') as PathKey;

export function sealManifestDetails(keys: DomainKeys, details: ManifestDetails): Uint8Array {
  const { roots, partialUntil, problems, ...plain } = details;
  const body = encodeCbor({
    ...plain,
    roots: roots.map(pathBytes),
    partialUntil: partialUntil && { path: pathBytes(partialUntil.path), offset: partialUntil.offset },
    problems: problems.map((problem) => ({ ...problem, path: pathBytes(problem.path) })),
  });
  return sealUnder(keys, DETAILS_CONTEXT, body);
}

/** @throws LowtideError `no-key`, `damaged-manifest` */
export function openManifestDetails(keys: KeyStore, manifest: Manifest): ManifestDetails {
  const what = 'the sealed half of the manifest';
  const body = openUnder(keys, DETAILS_CONTEXT, manifest.sealed, what);
  const details = decodeCbor(body, detailsShape, 'damaged-manifest', what);
  const { partialUntil } = details;
  return {
    ...details,
    roots: details.roots.map(bytesPath),
    partialUntil: partialUntil && { path: bytesPath(partialUntil.path), offset: partialUntil.offset },
    problems: details.problems.map((problem) => ({ ...problem, path: bytesPath(problem.path) })),
  };
}

export function signManifest(manifest: Manifest, key: SigningKey): SignedManifest {
  const body = encodeCbor({
    format: 1,
    ...manifest,
    client: bytesOfHex(manifest.client),
    instance: bytesOfHex(manifest.instance),
    previous: bytesOrNull(manifest.previous),
    base: bytesOrNull(manifest.base),
    refs: { ...manifest.refs, id: bytesOfHex(manifest.refs.id) },
    tree: { ...manifest.tree, id: bytesOfHex(manifest.tree.id) },
    keyring: bytesOfHex(manifest.keyring),
  });
  return parseManifest(signRecord('manifest', body, key));
}

/**
 * Reads a manifest without trusting it: call `checkManifest` with the instance's key before using what it says.
 * @throws LowtideError `damaged-manifest`, `newer-format`
 */
export function parseManifest(bytes: Uint8Array): SignedManifest {
  if (bytes.length > MANIFEST_BYTES_MAX)
    throw new LowtideError('too-large', 'the manifest is larger than 64 KiB');
  const record = parseRecord('manifest', bytes, 'damaged-manifest');
  const { format, ...body } = decodeCbor(record.body, bodyShape, 'damaged-manifest', 'the manifest');
  void format;
  const manifest: Manifest = {
    ...body,
    client: hexOf(body.client) as ClientId,
    instance: hexOf(body.instance) as InstanceId,
    previous: hexOrNull(body.previous),
    base: hexOrNull(body.base),
    refs: { ...body.refs, id: hexOf(body.refs.id) as BlockId },
    tree: { ...body.tree, id: hexOf(body.tree.id) as BlockId },
    keyring: hexOf(body.keyring) as KeyringHash,
  };
  return { id: record.hash as SnapshotId, manifest, bytes, record };
}

/**
 * Checks that the manifest is signed by the instance that it names, and that this is its key.
 * @throws LowtideError `wrong-signature`
 */
export function checkManifest(signed: SignedManifest, instanceKey: Uint8Array): void {
  checkSignature('manifest', signed.record, instanceKey);
  if (signed.manifest.instance !== instanceIdOf(instanceKey)) {
    throw new LowtideError(
      'wrong-signature',
      'the manifest names another instance than the one that signed it',
    );
  }
}
