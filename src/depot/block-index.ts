import { sql, type Kysely } from 'kysely';
import type { Ref } from '../format/refs.ts';
import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { isLowtideError, type LowtideError } from '../model/errors.ts';
import type { BlockId, DomainKeyId, SnapshotId } from '../model/ids.ts';
import { kyselyOver } from '../world/kysely.ts';
import type { World } from '../world/ports.ts';
import { INDEX_VERSION, indexVersion, makeSchema } from './index-schema.ts';
import { packName, type PackEntry, typeCode } from './pack-format.ts';

/**
 * - `open`: being written. Of its file only the first `bytes` count.
 * - `cut`: given up or left behind by a crash, so it has no trailer; only the first `bytes` count.
 * - `sealed`: complete, with its trailer.
 * - `dropped`: nothing of it counts any more; its file is to be removed.
 */
export type PackState = 'open' | 'cut' | 'sealed' | 'dropped';

export interface PackRow {
  readonly key: number;
  readonly name: string;
  readonly group: string;
  readonly state: PackState;
  /** Durable bytes, header and trailer included. */
  readonly bytes: number;
  readonly blocks: number;
}

/** `condemned`: about to be reclaimed. `quarantined`: found damaged. Neither is had. */
export const BLOCK_STATES = ['present', 'condemned', 'quarantined'] as const;
export type BlockState = (typeof BLOCK_STATES)[number];

export interface BlockLocation {
  readonly id: BlockId;
  /** Key and name of the pack. */
  readonly pack: number;
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  readonly state: BlockState;
}

export interface Pin extends Ref {
  readonly snapshot: SnapshotId;
}

/** Ids looked up by one statement: a statement must be short, because SQLite answers synchronously. */
const LOOKUP_IDS = 1024;
const ALL_PRESENT = 0;
const CONDEMNED = 1;
const QUARANTINED = 2;

/** Where the blocks are: a cache of what the packs say, of which every change is durable when it resolves. */
export class BlockIndex {
  readonly #world: World;
  readonly path: string;
  #db: Kysely<unknown>;

  private constructor(world: World, path: string, db: Kysely<unknown>) {
    this.#world = world;
    this.path = path;
    this.#db = db;
  }

  /** Opens the index for writing, or makes an empty one if there is none or none that can be used. */
  static async open(world: World, path: string): Promise<BlockIndex> {
    try {
      const db = kyselyOver<unknown>(await world.databases.open(path));
      const version = await indexVersion(db).catch(async (error: unknown) => {
        await db.destroy();
        throw error;
      });
      const index = new BlockIndex(world, path, db);
      if (version === 0) await makeSchema(db);
      else if (version !== INDEX_VERSION) await index.recreate();
      return index;
    } catch (error) {
      if (!isIndexDamage(error)) throw error;
      await removeFiles(world, path);
      const db = kyselyOver<unknown>(await world.databases.open(path));
      await makeSchema(db);
      return new BlockIndex(world, path, db);
    }
  }

  /** Null if there is no index that can be used: a writer has to make it. */
  static async openReadOnly(world: World, path: string): Promise<BlockIndex | null> {
    try {
      if ((await world.disk.stat(path)) === null) return null;
      const db = kyselyOver<unknown>(await world.databases.openReadOnly(path));
      if ((await indexVersion(db)) === INDEX_VERSION) return new BlockIndex(world, path, db);
      await db.destroy();
      return null;
    } catch (error) {
      if (isIndexDamage(error)) return null;
      throw error;
    }
  }

  /** Throws the whole index away. What it knew must be read from the packs again. */
  async recreate(): Promise<void> {
    await this.#db.destroy();
    await removeFiles(this.#world, this.path);
    this.#db = kyselyOver<unknown>(await this.#world.databases.open(this.path));
    await makeSchema(this.#db);
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }

  /** Registers a pack before its file is made, so that recovery knows how much of the file ever counted. */
  async beginPack(group: string): Promise<PackRow> {
    return await this.#db.transaction().execute(async (db) => {
      const { rows } = await sql<{ seq: number }>`
        SELECT seq FROM sqlite_sequence WHERE name = 'packs'`.execute(db);
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
    await this.#db.transaction().execute(async (db) => {
      const added = await insertBlocks(db, pack, entries);
      await sql`UPDATE packs SET bytes = ${bytes}, state = ${state}, blocks = blocks + ${added}
        WHERE key = ${pack}`.execute(db);
    });
  }

  /** A pack that was found, or found to be different: what is known to be damaged in it stays quarantined. */
  async replacePack(
    pack: Omit<PackRow, 'key' | 'blocks'> & { readonly key: number | null },
    entries: readonly PackEntry[],
  ): Promise<void> {
    await this.#db.transaction().execute(async (db) => {
      const { rows: taken } = await sql<{ key: number }>`
        SELECT key FROM packs WHERE key = ${pack.key} AND name <> ${pack.name}`.execute(db);
      const key = taken.length > 0 ? null : pack.key;
      const { rows: bad } = await sql<{ id: Uint8Array }>`
        SELECT b.id FROM packs p CROSS JOIN blocks b ON b.pack = p.key
        WHERE p.name = ${pack.name} AND b.state = ${QUARANTINED}`.execute(db);
      await sql`DELETE FROM blocks WHERE pack IN (SELECT key FROM packs WHERE name = ${pack.name})`.execute(
        db,
      );
      await sql`DELETE FROM packs WHERE name = ${pack.name}`.execute(db);
      await insertPack(db, { ...pack, key, blocks: 0 });
      const { rows } = await sql<{ key: number }>`SELECT key FROM packs WHERE name = ${pack.name}`.execute(
        db,
      );
      const added = await insertBlocks(db, rows[0]!.key, entries);
      await sql`UPDATE packs SET blocks = ${added} WHERE name = ${pack.name}`.execute(db);
      await setStates(
        db,
        rows[0]!.key,
        bad.map((row) => hexOf(row.id) as BlockId),
        QUARANTINED,
      );
    });
  }

  async setPackState(pack: number, state: PackState): Promise<void> {
    await sql`UPDATE packs SET state = ${state} WHERE key = ${pack}`.execute(this.#db);
  }

  /** In one transaction: their blocks are gone, their files may be removed. */
  async dropPacks(packs: readonly number[]): Promise<void> {
    await this.#db.transaction().execute(async (db) => {
      for (const key of packs) {
        await sql`DELETE FROM blocks WHERE pack = ${key}`.execute(db);
        await sql`UPDATE packs SET state = 'dropped' WHERE key = ${key}`.execute(db);
      }
    });
  }

  /** The last trace of packs whose files are gone. */
  async forgetPacks(packs: readonly number[]): Promise<void> {
    await this.#db.transaction().execute(async (db) => {
      for (const key of packs) {
        await sql`DELETE FROM blocks WHERE pack = ${key}`.execute(db);
        await sql`DELETE FROM packs WHERE key = ${key}`.execute(db);
      }
    });
  }

  /** In order of key. */
  async packs(group?: string): Promise<PackRow[]> {
    const where = group === undefined ? sql`` : sql`WHERE pack_group = ${group}`;
    const { rows } = await sql<PackRow>`
      SELECT key, name, pack_group AS "group", state, bytes, blocks FROM packs ${where} ORDER BY key`.execute(
      this.#db,
    );
    return rows;
  }

  /** Null if the pack is gone or dropped. */
  async pack(key: number): Promise<PackRow | null> {
    const { rows } = await sql<PackRow>`
      SELECT key, name, pack_group AS "group", state, bytes, blocks FROM packs
      WHERE key = ${key} AND state <> 'dropped'`.execute(this.#db);
    return rows[0] ?? null;
  }

  async blocksOf(pack: PackRow): Promise<BlockLocation[]> {
    const { rows } = await sql<{ id: Uint8Array; offset: number; length: number; state: number }>`
      SELECT id, offset, length, state FROM blocks WHERE pack = ${pack.key} ORDER BY offset`.execute(
      this.#db,
    );
    return rows.map((row) => ({
      id: hexOf(row.id) as BlockId,
      pack: pack.key,
      name: pack.name,
      offset: row.offset,
      length: row.length,
      state: BLOCK_STATES[row.state]!,
    }));
  }

  /** Every place of every one of these blocks, whatever its state. */
  async locations(ids: readonly BlockId[]): Promise<BlockLocation[]> {
    const found: BlockLocation[] = [];
    for (const batch of batches(ids)) {
      const { rows } = await sql<LocationRow>`
        SELECT b.id, b.pack, p.name, b.offset, b.length, b.state
        FROM json_each(${batch}) w CROSS JOIN blocks b ON b.id = unhex(w.value) CROSS JOIN packs p ON p.key = b.pack`.execute(
        this.#db,
      );
      for (const row of rows) {
        found.push({ ...row, id: hexOf(row.id) as BlockId, state: BLOCK_STATES[row.state]! });
      }
    }
    return found;
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
      const { rows } = await sql<{ id: Uint8Array; length: number }>`
        SELECT b.id, b.length FROM json_each(${batch}) w CROSS JOIN blocks b ON b.id = unhex(w.value)
        WHERE b.state = ${ALL_PRESENT} ${within}`.execute(this.#db);
      for (const row of rows) found.set(hexOf(row.id) as BlockId, row.length);
    }
    return found;
  }

  /** @returns whether the block was not known to be damaged there */
  async quarantine(pack: number, id: BlockId): Promise<boolean> {
    const { numAffectedRows } = await sql`UPDATE blocks SET state = ${QUARANTINED}
      WHERE id = ${bytesOfHex(id)} AND pack = ${pack} AND state <> ${QUARANTINED}`.execute(this.#db);
    return (numAffectedRows ?? 0n) > 0n;
  }

  /** What was damaged or condemned is there after all. */
  async restorePresent(pack: number, ids: readonly BlockId[]): Promise<void> {
    await this.#db.transaction().execute((db) => setStates(db, pack, ids, ALL_PRESENT));
  }

  async condemn(pack: number, ids: readonly BlockId[]): Promise<void> {
    await this.#db.transaction().execute((db) => setStates(db, pack, ids, CONDEMNED, ALL_PRESENT));
  }

  /** Nobody is reclaiming any more. */
  async absolveAll(): Promise<void> {
    await sql`UPDATE blocks SET state = ${ALL_PRESENT} WHERE state = ${CONDEMNED}`.execute(this.#db);
  }

  async pin(pin: Pin): Promise<void> {
    await sql`INSERT OR REPLACE INTO pins (snapshot, page, length)
      VALUES (${bytesOfHex(pin.snapshot)}, ${bytesOfHex(pin.id)}, ${pin.length})`.execute(this.#db);
  }

  async unpin(snapshot: SnapshotId): Promise<void> {
    await sql`DELETE FROM pins WHERE snapshot = ${bytesOfHex(snapshot)}`.execute(this.#db);
  }

  async pins(): Promise<Pin[]> {
    const { rows } = await sql<{ snapshot: Uint8Array; page: Uint8Array; length: number }>`
      SELECT snapshot, page, length FROM pins ORDER BY snapshot`.execute(this.#db);
    return rows.map(({ snapshot, page, length }) => ({
      snapshot: hexOf(snapshot) as SnapshotId,
      id: hexOf(page) as BlockId,
      length,
    }));
  }
}

interface LocationRow {
  readonly id: Uint8Array;
  readonly pack: number;
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  readonly state: number;
}

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** Whether the index itself is damaged: it can be made anew. */
export function isIndexDamage(error: unknown): error is LowtideError {
  if (!isLowtideError(error, 'disk-failed') || !(error.cause instanceof Error)) return false;
  const code = 'errcode' in error.cause ? Number(error.cause.errcode) & 0xff : 0;
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

async function removeFiles(world: World, path: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await world.disk.remove(path + suffix);
}

/** Sorted, so that neighbours in the index are looked up one after another. */
function* batches(ids: readonly BlockId[]): Generator<string> {
  const sorted = ids.toSorted();
  for (let at = 0; at < sorted.length; at += LOOKUP_IDS) {
    yield JSON.stringify(sorted.slice(at, at + LOOKUP_IDS));
  }
}

async function insertPack(
  db: Kysely<unknown>,
  row: Omit<PackRow, 'key'> & { readonly key: number | null },
): Promise<void> {
  await sql`INSERT INTO packs (key, name, pack_group, state, bytes, blocks)
    VALUES (${row.key}, ${row.name}, ${row.group}, ${row.state}, ${row.bytes}, ${row.blocks})`.execute(db);
}

/** @returns how many were new to the pack */
async function insertBlocks(
  db: Kysely<unknown>,
  pack: number,
  entries: readonly PackEntry[],
): Promise<number> {
  let added = 0;
  const sorted = entries.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  for (let at = 0; at < sorted.length; at += LOOKUP_IDS) {
    const rows = sorted
      .slice(at, at + LOOKUP_IDS)
      .map((entry) => [entry.id, entry.domain, entry.offset, entry.length, typeCode(entry.type)]);
    const { numAffectedRows } = await sql`
      INSERT OR IGNORE INTO blocks (id, pack, domain, offset, length, type, state)
      SELECT unhex(value ->> 0), ${pack}, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, ${ALL_PRESENT}
      FROM json_each(${JSON.stringify(rows)})`.execute(db);
    added += Number(numAffectedRows ?? 0n);
  }
  return added;
}

async function setStates(
  db: Kysely<unknown>,
  pack: number,
  ids: readonly BlockId[],
  to: number,
  from?: number,
): Promise<void> {
  const only = from === undefined ? sql`` : sql`AND state = ${from}`;
  for (const batch of batches(ids)) {
    await sql`UPDATE blocks SET state = ${to}
      WHERE pack = ${pack} AND id IN (SELECT unhex(value) FROM json_each(${batch})) ${only}`.execute(db);
  }
}
