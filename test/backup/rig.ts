import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { refsPageLoader } from '../../src/depot/refs-pages.ts';
import { Depot } from '../../src/depot/depot.ts';
import { type BackupPlan, type BackupResult } from '../../src/backup/plan.ts';
import { takeBackup } from '../../src/backup/take-backup.ts';
import { openBlock } from '../../src/format/block.ts';
import { deriveDomainKeys, KeyStore } from '../../src/format/domain-keys.ts';
import type { SignedManifest } from '../../src/format/manifest.ts';
import { newRefs, walkRefs } from '../../src/format/refs.ts';
import { keyName, signingKeyFromSeed } from '../../src/format/signing.ts';
import type { TreeRecord } from '../../src/format/tree-page.ts';
import { TreeReader } from '../../src/format/tree-reader.ts';
import type { Entry, Extent } from '../../src/model/entries.ts';
import type { BlockId, ClientId, KeyringHash } from '../../src/model/ids.ts';
import type { Limits } from '../../src/model/limits.ts';
import { displayPath, pathKeyOf } from '../../src/model/paths.ts';
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

/** A depot, keys, and one job: what the tests of backups share. */
export class BackupRig {
  readonly world: World;
  readonly keys = deriveDomainKeys(secret('domain'));
  readonly keyStore = new KeyStore([this.keys]);
  readonly signingKey = signingKeyFromSeed(secret('instance'));
  readonly roots: readonly string[];
  depot: Depot;
  /** The snapshots that were taken, and the groups they were stored in. */
  readonly taken: { readonly signed: SignedManifest; readonly groups: readonly string[] }[] = [];

  private constructor(options: RigOptions, depot: Depot) {
    this.world = options.world;
    this.roots = options.roots ?? ['/home'];
    this.depot = depot;
  }

  static async make(options: RigOptions): Promise<BackupRig> {
    await Depot.create(options.world, options.depotPath);
    return new BackupRig(options, await Depot.open(options.world, options.depotPath, 'write'));
  }

  get last(): SignedManifest | null {
    return this.taken.at(-1)?.signed ?? null;
  }

  plan(changes: Partial<BackupPlan> = {}): BackupPlan {
    const instance = keyName(this.signingKey.publicKey);
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
    this.taken.push({ signed: result.signed, groups: [plan.dataGroup, plan.metaGroup] });
    return result;
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

  /** A second depot that holds only some groups: what a spool has after the others were drained. */
  async idsInGroups(groups: readonly string[]): Promise<Set<BlockId>> {
    const others = (await this.depot.groups()).filter((group) => !groups.includes(group));
    const all = new Set<BlockId>();
    for (const { signed } of this.taken) {
      for (const id of await this.newRefs(signed, null)) all.add(id);
    }
    // A block may be in several groups: it is in these if it is still there when the others are gone.
    for (const group of others) await this.depot.dropGroup(group);
    return await this.depot.has(null, [...all]);
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

export interface SimulatedRig {
  readonly simulation: Simulation;
  readonly node: SimulatedNode;
  readonly rig: BackupRig;
}

export interface SimulatedRigOptions {
  readonly seed?: string | number;
  readonly lanes?: number;
  readonly limits?: Partial<Limits>;
  readonly roots?: readonly string[];
}

export async function simulatedRig(options: SimulatedRigOptions = {}): Promise<SimulatedRig> {
  const simulation = new Simulation({ seed: options.seed ?? 1 });
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
