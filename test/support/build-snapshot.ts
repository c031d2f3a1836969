/** A whole snapshot in memory, from a list of entries: blocks, tree, refs and a signed manifest. */
import { createHash } from 'node:crypto';
import { clearBlock, sealBlock, type SealedBlock } from '../../src/format/block.ts';
import { deriveDomainKeys, type DomainKeys, KeyStore } from '../../src/format/domain-keys.ts';
import {
  type Manifest,
  type ManifestDetails,
  sealManifestDetails,
  type SignedManifest,
  signManifest,
} from '../../src/format/manifest.ts';
import { RefsBuilder } from '../../src/format/refs.ts';
import { instanceIdOf, signingKeyFromSeed, type SigningKey } from '../../src/format/signing.ts';
import { TreeBuilder } from '../../src/format/tree-builder.ts';
import { keyOf, type TreeRecord } from '../../src/format/tree-page.ts';
import { type Entry, type Extent, extentLength } from '../../src/model/entries.ts';
import type { BlockId, KeyringHash } from '../../src/model/ids.ts';
import { type Limits, tinyLimits } from '../../src/model/limits.ts';
import type { PathKey } from '../../src/model/paths.ts';
import { type Content, DataSealer } from './data-sealer.ts';
import { MemorySource } from './memory-source.ts';

/** `path` has slashes and one character (0-255) a byte. What is left out has a plain value. */
export type EntrySpec = Partial<Omit<Entry, 'path' | 'extents'>> & {
  readonly path: string;
  /** Of a file; its size is that of the content unless said otherwise. */
  readonly content?: Content;
  /** Instead of content: as they are, wrong or not. */
  readonly extents?: readonly Extent[];
};

export interface SnapshotOptions {
  readonly limits?: Limits;
  readonly keys?: DomainKeys;
  readonly manifest?: Partial<Manifest>;
  readonly details?: Partial<ManifestDetails>;
  /** Blocks that entries with extents of their own name. */
  readonly blocks?: readonly SealedBlock[];
}

export interface BuiltSnapshot {
  readonly signed: SignedManifest;
  readonly domain: DomainKeys;
  readonly keys: KeyStore;
  readonly instance: SigningKey;
  /** Everything: data, pages of the tree and of the refs. */
  readonly blocks: ReadonlyMap<BlockId, Uint8Array>;
  readonly dataBlocks: readonly BlockId[];
  readonly treePages: readonly BlockId[];
  readonly records: readonly TreeRecord[];
  /** In tree order, each with all its extents. */
  readonly entries: readonly Entry[];
  source(): MemorySource;
  /** The data blocks of a file. */
  blocksOf(path: string): ReadonlySet<BlockId>;
}

const seed = (name: string): Uint8Array => new Uint8Array(createHash('sha256').update(name).digest());

export const testDomain = (): DomainKeys => deriveDomainKeys(seed('domain'));

export function pathKey(path: string): PathKey {
  return path.replace(/^\//, '').replaceAll('/', '\0') as PathKey;
}

/** Entries need not be in order; their directories are not added. */
export async function buildSnapshot(
  specs: readonly EntrySpec[],
  options: SnapshotOptions = {},
): Promise<BuiltSnapshot> {
  const { limits = tinyLimits, keys = testDomain() } = options;
  const sealer = new DataSealer(keys, limits);
  const sorted = [...specs].sort((a, b) => (pathKey(a.path) < pathKey(b.path) ? -1 : 1));
  for (const { content } of sorted) if (content !== undefined) sealer.add(content);
  const { blocks, extentsOf } = sealer.finish();
  const entries = sorted.map((spec) =>
    entryOf(spec, spec.extents ?? (spec.content === undefined ? [] : extentsOf(spec.content))),
  );
  const records = entries.flatMap((entry) => recordsOf(entry, limits));
  return buildFromRecords(records, { ...options, blocks: [...(options.blocks ?? []), ...blocks] });
}

/** Records as they are: nothing but their order is checked. */
export async function buildFromRecords(
  records: readonly TreeRecord[],
  options: SnapshotOptions = {},
): Promise<BuiltSnapshot> {
  const { limits = tinyLimits, keys = testDomain(), blocks: data = [] } = options;
  const blocks = new Map(data.map(({ id, bytes }) => [id, bytes]));
  const keep = (block: SealedBlock): { id: BlockId; length: number } => {
    blocks.set(block.id, block.bytes);
    return { id: block.id, length: block.bytes.length };
  };
  const treePages: BlockId[] = [];
  const builder = new TreeBuilder(keys, limits, async (payload) => {
    const page = keep(sealBlock(keys, payload, { type: 'tree', level: 1 }));
    treePages.push(page.id);
    return page;
  });
  for (const record of records) await builder.add(record);
  const tree = await builder.finish();
  const refsBuilder = new RefsBuilder(limits, async (payload) => keep(clearBlock(keys.id, payload)));
  for (const [id, bytes] of new Map(blocks)) await refsBuilder.add({ id, length: bytes.length });
  const refs = await refsBuilder.finish();
  const instance = signingKeyFromSeed(seed('instance'));
  const entries = wholeEntries(records);
  const manifest = {
    ...manifestOf(entries, instance, keys, options.details),
    tree,
    refs,
    ...options.manifest,
  };
  return {
    signed: signManifest(manifest, instance),
    domain: keys,
    keys: new KeyStore([keys]),
    instance,
    blocks,
    dataBlocks: data.map(({ id }) => id),
    treePages,
    records,
    entries,
    source: () => new MemorySource(blocks),
    blocksOf: (path) => {
      const entry = entries.find((each) => each.path === pathKey(path));
      const used = (entry?.extents ?? []).flatMap((extent) => (extent.kind === 'data' ? [extent.block] : []));
      return new Set(used);
    },
  };
}

export function entryOf(
  { content, ...spec }: EntrySpec,
  extents: readonly Extent[] = spec.extents ?? [],
): Entry {
  void content;
  const size = extents.reduce((sum, extent) => sum + extentLength(extent), 0);
  return {
    type: 'file',
    mode: spec.type === 'directory' ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size,
    mtime: 1_600_000_000_123_456_789n,
    ctime: 1_600_000_001_000_000_000n,
    inode: 1n,
    unsettled: false,
    partial: false,
    ...spec,
    path: pathKey(spec.path),
    extents,
  };
}

/** An entry and its continuations, as a writer cuts them. */
export function recordsOf(entry: Entry, { entry_extents_max: max }: Limits): TreeRecord[] {
  const records: TreeRecord[] = [
    { kind: 'entry', entry: { ...entry, extents: entry.extents.slice(0, max) } },
  ];
  let offset = 0;
  for (let at = 0; at < entry.extents.length; at += max) {
    const extents = entry.extents.slice(at, at + max);
    if (at > 0) records.push({ kind: 'continuation', path: entry.path, offset, extents });
    offset += extents.reduce((sum, extent) => sum + extentLength(extent), 0);
  }
  return records;
}

function wholeEntries(records: readonly TreeRecord[]): Entry[] {
  const byPath = Map.groupBy(records, (record) => keyOf(record).path);
  return [...byPath.values()].flatMap(([first, ...more]) => {
    if (first!.kind !== 'entry') return [];
    const later = more.flatMap((record) => (record.kind === 'continuation' ? record.extents : []));
    return [{ ...first!.entry, extents: [...first!.entry.extents, ...later] }];
  });
}

function manifestOf(
  entries: readonly Entry[],
  instance: SigningKey,
  keys: DomainKeys,
  details: Partial<ManifestDetails> = {},
): Omit<Manifest, 'tree' | 'refs'> {
  const countOf = (...types: string[]): number => entries.filter(({ type }) => types.includes(type)).length;
  const name = instanceIdOf(instance.publicKey);
  const [files, directories] = [countOf('file'), countOf('directory')];
  return {
    client: name as string as Manifest['client'],
    instance: name,
    job: 'local/test',
    sequence: 1,
    previous: null,
    base: null,
    takenAt: 1_700_000_000_000,
    keyring: '00'.repeat(32) as KeyringHash,
    complete: true,
    counts: {
      files,
      directories,
      others: entries.length - files - directories,
      bytes: entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0),
      problems: 0,
    },
    labels: {},
    sealed: sealManifestDetails(keys, {
      roots: ['' as PathKey],
      host: 'host',
      software: 'test',
      startedAt: 1_700_000_000_000,
      finishedAt: 1_700_000_000_000,
      excludes: [],
      partialUntil: null,
      problems: [],
      ...details,
    }),
  };
}
