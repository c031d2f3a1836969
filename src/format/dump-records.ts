import { decode } from 'cborg';
import { hexOf } from '../model/bytes.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { displayPath } from '../model/paths.ts';
import type { UnixMillis } from '../model/time.ts';
import type { KeyStore } from './domain-keys.ts';
import { type DomainProof, isDomainProof } from './domain-proof.ts';
import { checkKeyring, type Keyring, parseKeyring } from './keyring.ts';
import { type Manifest, type ManifestDetails, openManifestDetails, parseManifest } from './manifest.ts';
import { parseReceipt } from './receipt.ts';
import { parseVoid } from './void-record.ts';

/** What JSON can hold. */
export type Plain = null | boolean | number | string | readonly Plain[] | { readonly [name: string]: Plain };
export type PlainObject = { readonly [name: string]: Plain };

/** The tag of a signed record, whatever else is wrong with it; null if these bytes are none. */
function tagOf(bytes: Uint8Array): string | null {
  try {
    const value: unknown = decode(bytes);
    const tag: unknown = Array.isArray(value) ? value[0] : null;
    return typeof tag === 'string' && tag.startsWith('lowtide/') ? tag : null;
  } catch {
    return null;
  }
}

export const isRecord = (bytes: Uint8Array): boolean => tagOf(bytes) !== null;

/**
 * Describes a signed record. The signature is checked where the record itself names the key.
 * @throws LowtideError as the record's own reader does
 */
export function dumpRecord(bytes: Uint8Array, keys: KeyStore | undefined): PlainObject {
  const kind = tagOf(bytes)!.split('/')[1];
  if (kind === 'keyring') return dumpKeyring(bytes);
  if (kind === 'receipt') {
    const { receipt, record } = parseReceipt(bytes);
    const { receivedAt, verifiedAt, kind, ...plain } = receipt;
    return {
      kind: 'receipt',
      receipt: kind,
      ...plain,
      receivedAt: dumpMillis(receivedAt),
      verifiedAt: dumpMillis(verifiedAt),
      signature: hexOf(record.signature),
    };
  }
  if (kind === 'void') {
    const { voidRecord, record } = parseVoid(bytes);
    const at = dumpMillis(voidRecord.at);
    return { kind: 'void', ...voidRecord, at, signature: hexOf(record.signature) };
  }
  if (kind === 'manifest') return dumpManifest(bytes, keys);
  throw new LowtideError('bad-request', `there is no description of ${JSON.stringify(kind)} records`);
}

function dumpManifest(bytes: Uint8Array, keys: KeyStore | undefined): PlainObject {
  const { id, manifest, record } = parseManifest(bytes);
  const { takenAt, refs, tree, counts, labels, sealed, ...plain } = manifest;
  const { client, roots } = labels;
  return {
    kind: 'manifest',
    id,
    ...plain,
    takenAt: dumpMillis(takenAt),
    refs: { ...refs },
    tree: { ...tree },
    counts: { ...counts },
    labels: { ...(client === undefined ? {} : { client }), ...(roots === undefined ? {} : { roots }) },
    sealed: keys === undefined ? hexOf(sealed) : dumpDetails(keys, manifest),
    signature: hexOf(record.signature),
  };
}

function dumpDetails(keys: KeyStore, manifest: Manifest): Plain {
  let details: ManifestDetails;
  try {
    details = openManifestDetails(keys, manifest);
  } catch (error) {
    if (!isLowtideError(error)) throw error;
    return { error: error.code, message: error.message };
  }
  const { roots, startedAt, finishedAt, partialUntil, problems, ...plain } = details;
  return {
    ...plain,
    roots: roots.map(displayPath),
    startedAt: dumpMillis(startedAt),
    finishedAt: dumpMillis(finishedAt),
    partialUntil: partialUntil && { ...partialUntil, path: displayPath(partialUntil.path) },
    problems: problems.map((problem) => ({ ...problem, path: displayPath(problem.path) })),
  };
}

function dumpKeyring(bytes: Uint8Array): PlainObject {
  const signed = parseKeyring(bytes);
  const { keyring, hash, record } = signed;
  const { epochs, proofs, slots, instances, sealedKeys, ...plain } = keyring;
  let good = true;
  try {
    checkKeyring(signed);
  } catch (error) {
    if (!isLowtideError(error, 'wrong-signature')) throw error;
    good = false;
  }
  return {
    kind: 'keyring',
    hash,
    ...plain,
    epochs: epochs.map((epoch) => ({ ...epoch, since: dumpMillis(epoch.since) })),
    ...(proofs === null ? {} : { proofs: proofs.map((proof, at) => dumpProof(proof, keyring, at)) }),
    slots: slots.map(dumpSlot),
    instances: instances.map((instance) => ({
      ...instance,
      publicKey: hexOf(instance.publicKey),
      since: dumpMillis(instance.since),
    })),
    sealedKeys: hexOf(sealedKeys),
    signature: hexOf(record.signature),
    signatureIsGood: good,
  };
}

function dumpProof(proof: DomainProof, { client, epochs }: Keyring, at: number): PlainObject {
  const good = isDomainProof(proof, client, epochs[at]!.domain);
  return { key: hexOf(proof.key), signature: hexOf(proof.signature), signatureIsGood: good };
}

function dumpSlot(slot: Keyring['slots'][number]): PlainObject {
  const { createdAt, ...rest } = slot;
  const fields = Object.entries(rest).map(([name, value]): [string, Plain] => [
    name,
    value instanceof Uint8Array ? hexOf(value) : value,
  ]);
  return { ...Object.fromEntries(fields), createdAt: dumpMillis(createdAt) };
}

/** Any number of a record may stand here: not all of them are dates. */
function dumpMillis(time: UnixMillis): string | number {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? time : date.toISOString();
}
