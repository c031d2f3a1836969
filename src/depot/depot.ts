import type { BlockSource } from '../format/block-source.ts';
import type { SignedKeyring } from '../format/keyring.ts';
import type { SignedManifest } from '../format/manifest.ts';
import type { Ref, RefsRoot } from '../format/refs.ts';
import type { BlockId, ClientId, DomainKeyId, KeyringHash, SnapshotId } from '../model/ids.ts';
import { Turns } from '../model/turns.ts';
import type { Rereading, World } from '../world/ports.ts';
import { type BlockRead, BlockReader } from './block-reader.ts';
import { type BlockWriter, GroupWriter } from './block-writer.ts';
import { checkClosure, type Closure, type ClosureOptions, refsBeyond } from './closure.ts';
import { createDepot } from './config.ts';
import type { Finding, VerifyOptions } from './findings.ts';
import type { DepotUsage } from './index-rows.ts';
import { openForReading, openForWriting, type OpenedDepot } from './opening.ts';
import type { PackRoom } from './pack-file.ts';
import { checkGroup } from './pack-format.ts';
import { compactGroup, type CompactOptions, dropGroup, type ReclaimParts } from './reclaim.ts';
import { type ManifestRead, Records } from './records.ts';
import { rebuild, type RebuildReport } from './recovery.ts';
import { verifyDepot } from './verify.ts';

export { META_GROUP } from './reclaim.ts';

export type DepotAccess = 'write' | 'read';

/**
 * The one store that a spool, a relay and a center share (DESIGN 2, 4.9): sealed blocks in packs, signed manifests
 * and keyrings beside them, an index that can be made anew from the packs. One process writes, any number read.
 */
export class Depot {
  readonly id: string;
  readonly path: string;
  readonly access: DepotAccess;
  readonly #opened: OpenedDepot;
  readonly #room: PackRoom;
  readonly #reader: BlockReader;
  readonly #records: Records;
  readonly #writers = new Set<GroupWriter>();
  /** What deletes packs or moves blocks waits for whoever does it already. */
  readonly #moving = new Turns();

  private constructor(opened: OpenedDepot) {
    const { world, path, config, lock, room } = opened;
    this.id = config.id;
    this.path = path;
    this.access = lock === null ? 'read' : 'write';
    this.#opened = opened;
    this.#room = room;
    this.#records = new Records(world.disk, world.limits, path);
    this.#reader = new BlockReader({
      limits: world.limits,
      store: room.store,
      index: room.index,
      monitor: world.monitor,
      work: world.work,
      quarantine: lock === null ? null : (place) => room.index.quarantine(place.pack, place.id),
    });
  }

  /**
   * Makes a depot at `path`; it is one when this resolves.
   * @throws LowtideError `depot-exists` if anything is there but an empty directory, `disk-full`, `disk-failed`
   */
  static async create(world: World, path: string): Promise<void> {
    await createDepot(world, path);
  }

  /**
   * Opens a depot. For writing it takes the lock and puts right whatever a crash left.
   * @throws LowtideError `not-a-depot`, `locked`, `newer-format`, `damaged-config`, and what the disk says
   */
  static async open(world: World, path: string, access: DepotAccess): Promise<Depot> {
    const open = access === 'write' ? openForWriting : openForReading;
    return new Depot(await open(world, path));
  }

  /** Abandons the writers that are still open. */
  async close(): Promise<void> {
    for (const writer of this.#writers) await writer.abandon();
    await this.#room.store.close();
    await this.#room.index.close();
    await this.#opened.lock?.release();
  }

  /** Packs of one group (`shared`, `run-<hex>`, `meta` ...): lower-case letters, digits and hyphens. */
  writer(group: string, again: Rereading = 'soon'): BlockWriter {
    this.#requireWrite();
    checkGroup(group);
    const writer = new GroupWriter(this.#room, group, again, (closed) => this.#writers.delete(closed));
    this.#writers.add(writer);
    return writer;
  }

  /** Those of `ids` that are durable here and not condemned or quarantined, of these domains; null means any. */
  async has(domains: ReadonlySet<DomainKeyId> | null, ids: readonly BlockId[]): Promise<Set<BlockId>> {
    return new Set((await this.#room.index.present(ids, domains)).keys());
  }

  /**
   * Each block once, or why it cannot be had; in pack order, neighbours in one read of the disk. Every block has been
   * checked against its id; a damaged one is quarantined, and its other copies are tried. Memory grows with the number
   * of ids, not with their blocks.
   * @throws LowtideError `interrupted` when `stop` aborts
   */
  read(ids: readonly BlockId[], stop?: AbortSignal): AsyncIterable<BlockRead> {
    return this.#reader.read(ids, stop);
  }

  /**
   * The same without a comparison with the ids, for whoever finds out by opening: a block that does not open, or that is
   * not the one, must then be read by `read`. Only what is read by that is quarantined.
   */
  readUnchecked(ids: readonly BlockId[], stop?: AbortSignal): AsyncIterable<BlockRead> {
    return this.#reader.read(ids, stop, false);
  }

  /** @throws LowtideError `block-unavailable`, `damaged-block`, `disk-failed` */
  async readOne(id: BlockId): Promise<Uint8Array> {
    return await this.#reader.readOne(id);
  }

  /**
   * Deletes all packs of a group. Refuses nothing: the caller holds the receipt. May be called again after a crash.
   * @param keep copied into the group `meta` first, durably
   * @returns bytes freed
   */
  async dropGroup(group: string, keep: ReadonlySet<BlockId> = new Set()): Promise<number> {
    if (keep.size > 0 && group === 'meta') throw new TypeError('the group meta cannot be kept in itself');
    this.#requireIdle(group);
    return await this.#moving.take(() => dropGroup(this.#reclaim(), group, keep));
  }

  /**
   * Writes anew what is alive of packs of which less than `threshold` (by bytes) is, and deletes them, oldest first, until
   * `enough` bytes are free. Blocks named by
   * the refs of a pinned snapshot count as alive, packs that are being written are left alone.
   * @returns bytes freed
   */
  async compactGroup(
    group: string,
    live: (id: BlockId) => boolean,
    options: Partial<CompactOptions> = {},
  ): Promise<number> {
    this.#requireWrite();
    return await this.#moving.take(() =>
      compactGroup(this.#reclaim(), group, live, { threshold: 1 / 2, enough: Infinity, ...options }),
    );
  }

  async usage(group?: string): Promise<DepotUsage> {
    return await this.#room.index.usage(group);
  }

  /** Sorted. */
  async groups(): Promise<string[]> {
    const packs = (await this.#room.index.packs()).filter((pack) => pack.state !== 'dropped');
    return [...new Set(packs.map((pack) => pack.group))].sort();
  }

  /** The commit point: call it after every block of the snapshot is durable. Durable when it resolves. */
  async putManifest(signed: SignedManifest): Promise<void> {
    this.#requireWrite();
    await this.#records.putManifest(signed);
  }

  /** @throws LowtideError `no-such-snapshot`, `damaged-manifest`, `newer-format` */
  async manifest(id: SnapshotId): Promise<SignedManifest> {
    return await this.#records.manifest(id);
  }

  async hasManifest(id: SnapshotId): Promise<boolean> {
    return await this.#records.hasManifest(id);
  }

  /** Every snapshot's id, sorted. */
  async snapshots(): Promise<SnapshotId[]> {
    return await this.#records.snapshots();
  }

  /** In order of id. */
  manifests(): AsyncIterable<ManifestRead> {
    return this.#records.manifests();
  }

  async removeManifest(id: SnapshotId): Promise<void> {
    this.#requireWrite();
    await this.#records.removeManifest(id);
  }

  async putKeyring(signed: SignedKeyring): Promise<void> {
    this.#requireWrite();
    await this.#records.putKeyring(signed);
  }

  /** @throws LowtideError `not-found`, `damaged-keyring`, `newer-format` */
  async keyring(client: ClientId, hash: KeyringHash): Promise<SignedKeyring> {
    return await this.#records.keyring(client, hash);
  }

  /**
   * Sorted by client, then version.
   * @throws LowtideError `damaged-keyring`, `newer-format`
   */
  async keyrings(client?: ClientId): Promise<SignedKeyring[]> {
    return await this.#records.keyrings(client);
  }

  async putVoid(snapshot: SnapshotId, bytes: Uint8Array): Promise<void> {
    this.#requireWrite();
    await this.#records.putVoid(snapshot, bytes);
  }

  /** The signed void record of a snapshot, or null. */
  async voidRecord(snapshot: SnapshotId): Promise<Uint8Array | null> {
    return await this.#records.voidRecord(snapshot);
  }

  /** Snapshots with a void record, sorted. */
  async voids(): Promise<SnapshotId[]> {
    return await this.#records.voids();
  }

  /** Keeps what a machine notes of a snapshot that a relay has lost (format F93). Durable when it resolves. */
  async putLoss(snapshot: SnapshotId, note: Uint8Array): Promise<void> {
    this.#requireWrite();
    await this.#records.putLoss(snapshot, note);
  }

  /** @throws LowtideError `not-found`, `damaged-manifest` */
  async loss(snapshot: SnapshotId): Promise<Uint8Array> {
    return await this.#records.loss(snapshot);
  }

  /** Snapshots of which there is such a note, sorted. */
  async losses(): Promise<SnapshotId[]> {
    return await this.#records.losses();
  }

  async removeLoss(snapshot: SnapshotId): Promise<void> {
    this.#requireWrite();
    await this.#records.removeLoss(snapshot);
  }

  /**
   * What of a snapshot is missing here, by its refs and the durable index; no key is needed.
   * @throws LowtideError `damaged-page` if its refs cannot be true
   */
  async closure(signed: SignedManifest, options: ClosureOptions = {}): Promise<Closure> {
    const parts = { reader: this.#reader, index: this.#room.index };
    return await checkClosure(parts, signed, options, this.#room.limits.ids_per_message);
  }

  /** What a snapshot adds to its base, as far as the refs of both can be read here. */
  refsBeyond(signed: SignedManifest, base: SignedManifest): AsyncGenerator<readonly Ref[]> {
    return refsBeyond(this.#reader, signed.manifest.refs, base.manifest.refs);
  }

  /** A durable intent: until `unpin`, compaction spares what these refs name. Pin before `closure`, unpin after commit. */
  async pin(id: SnapshotId, refs: RefsRoot): Promise<void> {
    this.#requireWrite();
    await this.#room.index.pin({ snapshot: id, id: refs.id, length: refs.length });
  }

  async unpin(id: SnapshotId): Promise<void> {
    this.#requireWrite();
    await this.#room.index.unpin(id);
  }

  async pins(): Promise<SnapshotId[]> {
    return (await this.#room.index.pins()).map((pin) => pin.snapshot);
  }

  /** Proves without keys what can be proved. With write access damaged blocks are quarantined, good ones taken back. */
  verify(options: VerifyOptions): AsyncIterable<Finding> {
    const { world, path, room, lock } = this.#opened;
    return verifyDepot(
      {
        disk: world.disk,
        path,
        room,
        reader: this.#reader,
        records: this.#records,
        restore: lock === null ? null : (pack, ids) => room.index.restorePresent(pack, ids),
      },
      options,
    );
  }

  /** Makes the index anew from the packs alone. Packs that are being written keep their rows. */
  async rebuildIndex(): Promise<RebuildReport> {
    this.#requireWrite();
    return await this.#moving.take(() => rebuild(this.#room, this.#opened.world.monitor));
  }

  #reclaim(): ReclaimParts {
    const { monitor } = this.#opened.world;
    return { room: this.#room, reader: this.#reader, monitor, writer: (group) => this.writer(group) };
  }

  #requireWrite(): void {
    if (this.access !== 'write') throw new TypeError(`the depot ${this.path} is open for reading only`);
  }

  #requireIdle(group: string): void {
    this.#requireWrite();
    for (const writer of this.#writers) {
      if (writer.group === group) throw new TypeError(`a writer of the group ${group} is still open`);
    }
  }
}

/** The depot as somewhere to restore from. Whoever can open it may read all of it, so the scope does not matter. */
export function depotSource(depot: Depot): BlockSource {
  return {
    checked: true,
    async *fetch(_scope, ids, stop) {
      for await (const read of depot.read(ids, stop)) if ('bytes' in read) yield read;
    },
    async *fetchUnchecked(_scope, ids, stop) {
      for await (const read of depot.readUnchecked(ids, stop)) if ('bytes' in read) yield read;
    },
  };
}
