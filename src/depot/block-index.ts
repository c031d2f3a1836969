import { bytesOfHex, hexOf } from '../model/bytes.ts';
import type { BlockId, DomainKeyId, SnapshotId } from '../model/ids.ts';
import type { World } from '../world/ports.ts';
import { sql, type SqlDatabase } from '../world/sql/sql.ts';
import {
  batches,
  type BlockLocation,
  CONDEMNED,
  type DepotUsage,
  insertBlocks,
  insertPack,
  type LocationRow,
  type PackRow,
  type PackState,
  type Pin,
  PRESENT,
  QUARANTINED,
  setStates,
  stateOf,
} from './index-rows.ts';
import { emptyIndex, isIndexDamage, isSound, usable } from './index-schema.ts';
import { packName, type PackEntry } from './pack-format.ts';

/** Where the blocks are: a cache of what the packs say, of which every change is durable when it resolves. */
export class BlockIndex {
  readonly #world: World;
  readonly path: string;
  #db: SqlDatabase;

  private constructor(world: World, path: string, db: SqlDatabase) {
    this.#world = world;
    this.path = path;
    this.#db = db;
  }

  /** Opens the index for writing, or makes an empty one if there is none or none that can be used. */
  static async open(world: World, path: string): Promise<BlockIndex> {
    try {
      const db = await usable(await world.databases.open(path));
      if (db !== null) return new BlockIndex(world, path, db);
    } catch (error) {
      if (!isIndexDamage(error)) throw error;
    }
    return new BlockIndex(world, path, await emptyIndex(world, path));
  }

  /** Null if there is no index that can be used: a writer has to make it. */
  static async openReadOnly(world: World, path: string): Promise<BlockIndex | null> {
    try {
      if ((await world.disk.stat(path)) === null) return null;
      const db = await usable(await world.databases.openReadOnly(path));
      return db === null ? null : new BlockIndex(world, path, db);
    } catch (error) {
      if (isIndexDamage(error)) return null;
      throw error;
    }
  }

  /** Throws the whole index away. What it knew must be read from the packs again. */
  async recreate(): Promise<void> {
    await this.#db.close();
    this.#db = await emptyIndex(this.#world, this.path);
  }

  /** Reads all of the index: slow, and nobody else is served meanwhile. */
  async isSound(): Promise<boolean> {
    try {
      return await isSound(this.#db);
    } catch (error) {
      if (isIndexDamage(error)) return false;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  /** Registers a pack before its file is made, so that recovery knows how much of the file ever counted. */
  async beginPack(group: string): Promise<PackRow> {
    return await this.#db.transaction(async (db) => {
      const rows = await db.rows<{ seq: number }>(sql`
        SELECT seq FROM sqlite_sequence WHERE name = 'packs'`);
      const key = (rows[0]?.seq ?? 0) + 1;
      const row: PackRow = { key, name: packName(group, key), group, state: 'open', bytes: 0, blocks: 0 };
      await insertPack(db, row);
      return row;
    });
  }

  /** In one transaction: these blocks of a pack, and how much of it counts from now on. */
  async addBlocks(
    pack: number,
    entries: readonly PackEntry[],
    bytes: number,
    state: PackState,
  ): Promise<void> {
    await this.#db.transaction(async (db) => {
      const added = await insertBlocks(db, pack, entries);
      await db.change(sql`UPDATE packs SET bytes = ${bytes}, state = ${state}, blocks = blocks + ${added}
        WHERE key = ${pack}`);
    });
  }

  /** A pack that was found, or found to be different: what is known to be damaged in it stays quarantined. */
  async replacePack(
    pack: Omit<PackRow, 'key' | 'blocks'> & { readonly key: number | null },
    entries: readonly PackEntry[],
  ): Promise<void> {
    await this.#db.transaction(async (db) => {
      const taken = await db.rows<{ key: number }>(sql`
        SELECT key FROM packs WHERE key = ${pack.key} AND name <> ${pack.name}`);
      const key = taken.length > 0 ? null : pack.key;
      const bad = await db.rows<{ id: Uint8Array }>(sql`
        SELECT b.id FROM packs p CROSS JOIN blocks b ON b.pack = p.key
        WHERE p.name = ${pack.name} AND b.state = ${QUARANTINED}`);
      await db.change(
        sql`DELETE FROM blocks WHERE pack IN (SELECT key FROM packs WHERE name = ${pack.name})`,
      );
      await db.change(sql`DELETE FROM packs WHERE name = ${pack.name}`);
      await insertPack(db, { ...pack, key, blocks: 0 });
      const rows = await db.rows<{ key: number }>(sql`SELECT key FROM packs WHERE name = ${pack.name}`);
      const added = await insertBlocks(db, rows[0]!.key, entries);
      await db.change(sql`UPDATE packs SET blocks = ${added} WHERE name = ${pack.name}`);
      await setStates(
        db,
        rows[0]!.key,
        bad.map((row) => hexOf(row.id) as BlockId),
        QUARANTINED,
      );
    });
  }

  async setPackState(pack: number, state: PackState): Promise<void> {
    await this.#db.change(sql`UPDATE packs SET state = ${state} WHERE key = ${pack}`);
  }

  /** In one transaction: their blocks are gone, their files may be removed. */
  async dropPacks(packs: readonly number[]): Promise<void> {
    await this.#db.transaction(async (db) => {
      for (const key of packs) {
        await db.change(sql`DELETE FROM blocks WHERE pack = ${key}`);
        await db.change(sql`UPDATE packs SET state = 'dropped' WHERE key = ${key}`);
      }
    });
  }

  /** The last trace of packs whose files are gone. */
  async forgetPacks(packs: readonly number[]): Promise<void> {
    await this.#db.transaction(async (db) => {
      for (const key of packs) {
        await db.change(sql`DELETE FROM blocks WHERE pack = ${key}`);
        await db.change(sql`DELETE FROM packs WHERE key = ${key}`);
      }
    });
  }

  /** In order of key. */
  async packs(group?: string): Promise<PackRow[]> {
    const where = group === undefined ? sql`` : sql`WHERE pack_group = ${group}`;
    return await this.#db.rows<PackRow>(sql`
      SELECT key, name, pack_group AS "group", state, bytes, blocks FROM packs ${where} ORDER BY key`);
  }

  /** Of all packs, or of a group's, that are not dropped. */
  async usage(group?: string): Promise<DepotUsage> {
    const only = group === undefined ? sql`` : sql`AND pack_group = ${group}`;
    const rows = await this.#db.rows<DepotUsage>(sql`
      SELECT coalesce(sum(bytes), 0) AS bytes, coalesce(sum(blocks), 0) AS blocks, count(*) AS packs
      FROM packs WHERE state <> 'dropped' ${only}`);
    return rows[0]!;
  }

  /** Null if the pack is gone or dropped. */
  async pack(key: number): Promise<PackRow | null> {
    const rows = await this.#db.rows<PackRow>(sql`
      SELECT key, name, pack_group AS "group", state, bytes, blocks FROM packs
      WHERE key = ${key} AND state <> 'dropped'`);
    return rows[0] ?? null;
  }

  async blocksOf(pack: PackRow): Promise<BlockLocation[]> {
    const rows = await this.#db.rows<{ id: Uint8Array; offset: number; length: number; state: number }>(sql`
      SELECT id, offset, length, state FROM blocks WHERE pack = ${pack.key} ORDER BY offset`);
    return rows.map((row) => ({
      id: hexOf(row.id) as BlockId,
      pack: pack.key,
      name: pack.name,
      offset: row.offset,
      length: row.length,
      state: stateOf(row.state),
    }));
  }

  /** Every place of every one of these blocks, whatever its state. */
  async locations(ids: readonly BlockId[]): Promise<BlockLocation[]> {
    const found: BlockLocation[] = [];
    for (const batch of batches(ids)) {
      const rows = await this.#db.rows<LocationRow>(sql`
        SELECT w.value AS id, b.pack, p.name, b.offset, b.length, b.state
        FROM json_each(${batch}) w CROSS JOIN blocks b ON b.id = unhex(w.value) CROSS JOIN packs p ON p.key = b.pack`);
      for (const row of rows) {
        found.push({ ...row, state: stateOf(row.state) });
      }
    }
    return found;
  }

  /** Every place of one block. */
  async places(id: BlockId): Promise<BlockLocation[]> {
    const rows = await this.#db.rows<Omit<LocationRow, 'id'>>(sql`
      SELECT b.pack, p.name, b.offset, b.length, b.state
      FROM blocks b CROSS JOIN packs p ON p.key = b.pack WHERE b.id = ${bytesOfHex(id)}`);
    return rows.map((row) => ({ ...row, id, state: stateOf(row.state) }));
  }

  /** Those that are present, with their lengths. */
  async present(
    ids: readonly BlockId[],
    domains: ReadonlySet<DomainKeyId> | null,
  ): Promise<Map<BlockId, number>> {
    const found = new Map<BlockId, number>();
    if (domains?.size === 0) return found;
    const within =
      domains === null
        ? sql``
        : sql`AND b.domain IN (SELECT unhex(value) FROM json_each(${JSON.stringify([...domains])}))`;
    for (const batch of batches(ids)) {
      const rows = await this.#db.rows<{ id: BlockId; length: number }>(sql`
        SELECT w.value AS id, b.length FROM json_each(${batch}) w CROSS JOIN blocks b ON b.id = unhex(w.value)
        WHERE b.state = ${PRESENT} ${within}`);
      for (const row of rows) found.set(row.id, row.length);
    }
    return found;
  }

  /** @returns whether the block was not known to be damaged there */
  async quarantine(pack: number, id: BlockId): Promise<boolean> {
    const changed = await this.#db.change(sql`UPDATE blocks SET state = ${QUARANTINED}
      WHERE id = ${bytesOfHex(id)} AND pack = ${pack} AND state <> ${QUARANTINED}`);
    return changed > 0;
  }

  /** What was damaged or condemned is there after all. */
  async restorePresent(pack: number, ids: readonly BlockId[]): Promise<void> {
    await this.#db.transaction((db) => setStates(db, pack, ids, PRESENT));
  }

  async condemn(pack: number, ids: readonly BlockId[]): Promise<void> {
    await this.#db.transaction((db) => setStates(db, pack, ids, CONDEMNED, PRESENT));
  }

  /** Nobody is reclaiming any more. */
  async absolveAll(): Promise<void> {
    await this.#db.change(sql`UPDATE blocks SET state = ${PRESENT} WHERE state = ${CONDEMNED}`);
  }

  async pin(pin: Pin): Promise<void> {
    await this.#db.change(sql`INSERT OR REPLACE INTO pins (snapshot, page, length)
      VALUES (${bytesOfHex(pin.snapshot)}, ${bytesOfHex(pin.id)}, ${pin.length})`);
  }

  async unpin(snapshot: SnapshotId): Promise<void> {
    await this.#db.change(sql`DELETE FROM pins WHERE snapshot = ${bytesOfHex(snapshot)}`);
  }

  async pins(): Promise<Pin[]> {
    const rows = await this.#db.rows<{ snapshot: Uint8Array; page: Uint8Array; length: number }>(sql`
      SELECT snapshot, page, length FROM pins ORDER BY snapshot`);
    return rows.map(({ snapshot, page, length }) => ({
      snapshot: hexOf(snapshot) as SnapshotId,
      id: hexOf(page) as BlockId,
      length,
    }));
  }
}
