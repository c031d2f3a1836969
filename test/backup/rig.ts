import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { refsPageLoader } from '../../src/depot/refs-pages.ts';
import { Depot } from '../../src/depot/depot.ts';
import type { BackupPlan, BackupResult } from '../../src/backup/plan.ts';
import { takeBackup } from '../../src/backup/take-backup.ts';
import { decodeAttributes } from '../../src/format/attributes.ts';
import { type BlockType, openBlock, parseBlockHeader } from '../../src/format/block.ts';
import { deriveDomainKeys, KeyStore } from '../../src/format/domain-keys.ts';
import type { SignedManifest } from '../../src/format/manifest.ts';
import { newRefs, walkRefs } from '../../src/format/refs.ts';
import { instanceIdOf, signingKeyFromSeed } from '../../src/format/signing.ts';
import type { TreeRecord } from '../../src/format/tree-page.ts';
import { TreeReader } from '../../src/format/tree-reader.ts';
import type { Entry, Extent } from '../../src/model/entries.ts';
import type { BlockId, ClientId, InstanceId, KeyringHash } from '../../src/model/ids.ts';
import type { Limits } from '../../src/model/limits.ts';
import { displayPath, joinPath, type PathKey, pathKeyOf } from '../../src/model/paths.ts';
import { SimulatedNode } from '../../src/sim/node.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { World } from '../../src/world/ports.ts';

const secret = (name: string): Uint8Array => new Uint8Array(hash('sha256', name, 'buffer'));

/** A file of a snapshot as it can be read back. */
export interface ReadBack {
  readonly entry: Entry;
  readonly content: Uint8Array;
}

export interface RigOptions {
  readonly world: World;
  readonly depotPath: string;
  readonly roots?: readonly string[];
}

export interface TakenRun {
  readonly signed: SignedManifest;
  readonly plan: BackupPlan;
  readonly result: BackupResult;
}

/** A depot, keys, and one job: what the tests of backups share. */
export class BackupRig {
  readonly world: World;
  readonly keys = deriveDomainKeys(secret('domain'));
  readonly keyStore = new KeyStore([this.keys]);
  readonly signingKey = signingKeyFromSeed(secret('instance'));
  readonly roots: readonly string[];
  depot: Depot;
  /** Every block that was given to a writer of the depot. */
  readonly added: { readonly group: string; readonly id: BlockId; readonly bytes: Uint8Array }[] = [];
  /** Called just before a directory is listed or a file is opened: to change something meanwhile. */
  before: ((what: 'scan' | 'open', path: string) => void) | null = null;
  /** Paths of the files that were opened, in order. */
  readonly opened: string[] = [];
  /** How many files were open at once at most. */
  mostOpen = 0;
  readonly taken: TakenRun[] = [];

  private constructor(options: RigOptions, depot: Depot) {
    let open = 0;
    this.world = watched(options.world, (what, path) => {
      if (what === 'open') this.opened.push(path);
      open += what === 'open' ? 1 : what === 'close' ? -1 : 0;
      this.mostOpen = Math.max(this.mostOpen, open);
      if (what !== 'close') this.before?.(what, path);
    });
    this.roots = options.roots ?? ['/home'];
    this.depot = depot;
    recordWrites(depot, this.added);
  }

  static async make(options: RigOptions): Promise<BackupRig> {
    await Depot.create(options.world, options.depotPath);
    return new BackupRig(options, await Depot.open(options.world, options.depotPath, 'write'));
  }

  get last(): SignedManifest | null {
    return this.taken.at(-1)?.signed ?? null;
  }

  plan(changes: Partial<BackupPlan> = {}): BackupPlan {
    const instance: InstanceId = instanceIdOf(this.signingKey.publicKey);
    const run = this.taken.length + 1;
    return {
      client: instance as string as ClientId,
      instance,
      signingKey: this.signingKey,
      keys: this.keys,
      keyStore: this.keyStore,
      keyring: '0'.repeat(64) as KeyringHash,
      job: 'local/home',
      sequence: run,
      previous: this.last?.id ?? null,
      base: this.last,
      roots: this.roots.map(pathKeyOf),
      excludes: [],
      excludeCaches: false,
      oneFileSystem: false,
      labels: {},
      host: 'ann-laptop',
      software: 'test',
      spool: 'files',
      dataGroup: `run-${run}`,
      metaGroup: `meta-${run}`,
      quotaBytes: null,
      level: 1,
      ...changes,
    };
  }

  async take(changes: Partial<BackupPlan> = {}, stop = new AbortController().signal): Promise<BackupResult> {
    const plan = this.plan(changes);
    const result = await takeBackup(this.world, this.depot, plan, stop);
    this.taken.push({ signed: result.signed, plan, result });
    return result;
  }

  /** Types of the blocks that one run has stored, in order. */
  storedTypes(run: TakenRun): BlockType[] {
    const max = this.world.limits.block_bytes_max;
    return this.addedBy(run.plan).map(({ bytes }) => parseBlockHeader(bytes, max).type);
  }

  addedBy({ dataGroup, metaGroup }: BackupPlan): typeof this.added {
    return this.added.filter(({ group }) => group === dataGroup || group === metaGroup);
  }

  /** The base rule: all that the last snapshot needs beyond its base was stored with it. */
  async assertBaseRule(): Promise<void> {
    const { signed, plan } = this.taken.at(-1)!;
    const stored = new Set(this.addedBy(plan).map(({ id }) => id));
    const missing = (await this.newRefs(signed, plan.base)).filter((id) => !stored.has(id));
    assert.deepEqual(missing, [], 'blocks that are neither in the base nor stored with the snapshot');
  }

  async records(signed: SignedManifest): Promise<TreeRecord[]> {
    const records: TreeRecord[] = [];
    for await (const page of this.reader(signed).records()) records.push(...page);
    return records;
  }

  reader(signed: SignedManifest): TreeReader {
    return new TreeReader(signed.manifest.tree.id, (id) => this.#open(id, 'tree'));
  }

  /** Every entry by its path as people read it, with all its extents. */
  async entries(signed: SignedManifest): Promise<Map<string, Entry>> {
    const entries = new Map<string, Entry>();
    for (const record of await this.records(signed)) {
      if (record.kind === 'entry') entries.set(displayPath(record.entry.path), record.entry);
      else {
        const shown = displayPath(record.path);
        const entry = entries.get(shown)!;
        entries.set(shown, { ...entry, extents: [...entry.extents, ...record.extents] });
      }
    }
    return entries;
  }

  async content(entry: Entry): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for (const extent of entry.extents) pieces.push(await this.#extent(extent));
    return Buffer.concat(pieces);
  }

  /** Ids of all blocks that the snapshot's refs name, in order, pages of refs left out. */
  async refs(signed: SignedManifest): Promise<BlockId[]> {
    const ids: BlockId[] = [];
    for await (const step of walkRefs(signed.manifest.refs, this.#loadRefs)) {
      if (step.kind === 'blocks') ids.push(...step.refs.map(({ id }) => id));
    }
    return ids;
  }

  /** Blocks in refs(S) and not in refs(base), pages included. */
  async newRefs(signed: SignedManifest, base: SignedManifest | null): Promise<BlockId[]> {
    const ids: BlockId[] = [];
    const pages = newRefs(signed.manifest.refs, base?.manifest.refs ?? null, this.#loadRefs);
    for await (const refs of pages) ids.push(...refs.map(({ id }) => id));
    return ids;
  }

  readonly #loadRefs = (id: BlockId): Promise<Uint8Array> =>
    refsPageLoader(this.depot, this.world.limits)(id);

  async #open(id: BlockId, type: 'tree' | 'data'): Promise<Uint8Array> {
    return openBlock(this.keyStore, await this.depot.readOne(id), type, this.world.limits.block_bytes_max);
  }

  async #extent(extent: Extent): Promise<Uint8Array> {
    if (extent.kind === 'hole') return new Uint8Array(extent.length);
    if (extent.kind === 'inline') return extent.bytes;
    const plain = await this.#open(extent.block, 'data');
    const bytes = plain.subarray(extent.offset, extent.offset + extent.length);
    assert.equal(bytes.length, extent.length);
    return bytes;
  }
}

function watched(world: World, tell: (what: 'scan' | 'open' | 'close', path: string) => void): World {
  const { files } = world;
  const openSource: typeof files.openSource = async (path) => {
    tell('open', displayPath(path));
    try {
      const file = await files.openSource(path);
      const close = file.close.bind(file);
      file.close = () => {
        tell('close', displayPath(path));
        return close();
      };
      return file;
    } catch (error) {
      tell('close', displayPath(path));
      throw error;
    }
  };
  const scan: typeof files.scan = (path) => {
    tell('scan', displayPath(path));
    return files.scan(path);
  };
  const readSmall: typeof files.readSmall = (reads) => {
    for (const path of reads.paths) {
      tell('open', displayPath(path));
      tell('close', displayPath(path));
    }
    return files.readSmall!(reads);
  };
  const list: typeof files.list = (paths) => {
    for (const path of paths) tell('scan', displayPath(path));
    return files.list!(paths);
  };
  const batches = files.readSmall === undefined ? {} : { readSmall, list };
  return { ...world, files: { ...files, openSource, scan, ...batches } };
}

function recordWrites(depot: Depot, added: BackupRig['added']): void {
  const writerOf = depot.writer.bind(depot);
  depot.writer = (group) => {
    const writer = writerOf(group);
    const add = writer.add.bind(writer);
    writer.add = async (block, release) => {
      added.push({ group, id: block.id, bytes: Uint8Array.from(block.bytes) });
      await add(block, release);
    };
    return writer;
  };
}

export interface SimulatedRig {
  readonly simulation: Simulation;
  readonly node: SimulatedNode;
  readonly rig: BackupRig;
}

export interface SimulatedRigOptions {
  readonly seed?: string | number;
  readonly scheduleSeed?: string | number;
  readonly lanes?: number;
  readonly limits?: Partial<Limits>;
  readonly roots?: readonly string[];
}

export async function simulatedRig(options: SimulatedRigOptions = {}): Promise<SimulatedRig> {
  const { seed = 1, scheduleSeed = seed } = options;
  const simulation = new Simulation({ seed, scheduleSeed });
  const limits = { ...simulation.limits, ...options.limits };
  const node = new SimulatedNode(simulation, { name: 'ann', lanes: options.lanes ?? 3, limits });
  const rig = await BackupRig.make({
    world: node.boot(),
    depotPath: '/spool',
    ...(options.roots === undefined ? {} : { roots: options.roots }),
  });
  return { simulation, node, rig };
}

/** Bytes that are the same for the same name, and that do not compress. */
export function noise(name: string | number, length: number): Uint8Array {
  return new Uint8Array(hash('shake256', String(name), { outputEncoding: 'buffer', outputLength: length }));
}

/** Compares a snapshot with the file system, name by name, attribute by attribute, byte by byte. */
export async function assertIsTree(
  { rig, node }: Pick<SimulatedRig, 'rig' | 'node'>,
  signed: SignedManifest,
  /** Only names before this one, in tree order; of this one itself only as much as there is. */
  until?: { readonly path: PathKey; readonly offset: number } | null,
): Promise<void> {
  const entries = await rig.entries(signed);
  const expected = namesUnder(node, rig.roots).filter((path) => isCovered(path, until ?? null));
  assert.deepEqual([...entries.keys()], expected.map(displayPath));
  const inodes = new Map<string, bigint>();
  for (const path of expected) {
    const entry = entries.get(displayPath(path))!;
    const isLast = path === until?.path;
    await assertIsEntry({ rig, node }, entry, isLast ? until.offset : null);
    if (entry.link === undefined) continue;
    const group = `${entry.link.fileSystem}:${entry.link.inode}`;
    inodes.set(group, inodes.get(group) ?? node.files.stat(path).inode);
    assert.equal(inodes.get(group), node.files.stat(path).inode);
  }
}

function isCovered(
  path: PathKey,
  until: { readonly path: PathKey; readonly offset: number } | null,
): boolean {
  return until === null || path < until.path || (path === until.path && until.offset > 0);
}

async function assertIsEntry(
  { rig, node }: Pick<SimulatedRig, 'rig' | 'node'>,
  entry: Entry,
  cutAt: number | null,
): Promise<void> {
  const shown = displayPath(entry.path);
  const { allocated: _, device: __, links, rdev, ...stat } = node.files.stat(entry.path);
  const { extents, link, target, unsettled: ___, partial, extra, path: ____, rdev: device, ...found } = entry;
  assert.deepEqual(found, { ...stat, size: entry.type === 'directory' ? 0 : stat.size }, shown);
  assert.deepEqual(device, rdev, shown);
  const { xattrs, flags } = decodeAttributes(extra!);
  const inode = node.files.at(entry.path);
  assert.deepEqual(
    [new Map(xattrs.map(({ name, value }) => [name, Buffer.from(value)])), flags],
    [new Map([...inode.xattrs].map(([name, value]) => [name, Buffer.from(value)])), inode.flags],
  );
  assert.equal(link !== undefined, links > 1 && entry.type !== 'directory', shown);
  assert.equal(partial, cutAt !== null, shown);
  if (entry.type === 'symlink') assert.equal(target, node.files.at(entry.path).target, shown);
  if (entry.type !== 'file') assert.deepEqual(extents, [], shown);
  else {
    const content = node.files.read(entry.path).subarray(0, cutAt ?? stat.size);
    assert.ok(Buffer.from(content).equals(await rig.content(entry)), `content of ${shown}`);
  }
}

/** All names under the roots, in tree order. */
function namesUnder(node: SimulatedNode, roots: readonly string[]): PathKey[] {
  const names: PathKey[] = [];
  const visit = (path: PathKey): void => {
    names.push(path);
    for (const name of [...node.files.at(path).entries.keys()].sort()) visit(joinPath(path, name));
  };
  for (const root of roots) visit(pathKeyOf(root));
  return names;
}
