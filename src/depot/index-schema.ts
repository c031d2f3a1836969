import { sql, type Kysely } from 'kysely';
import { isLowtideError } from '../model/errors.ts';
import { kyselyOver } from '../world/kysely.ts';
import type { SqlConnection, World } from '../world/ports.ts';

/** `PRAGMA user_version` of an index that this program made. An index of another version is made anew. */
const INDEX_VERSION = 1;

const tables = [
  `CREATE TABLE packs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    pack_group TEXT NOT NULL,
    state TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    blocks INTEGER NOT NULL
  )`,
  'CREATE INDEX packs_by_group ON packs (pack_group)',
  `CREATE TABLE blocks (
    id BLOB NOT NULL,
    pack INTEGER NOT NULL,
    domain BLOB NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    type INTEGER NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY (id, pack)
  ) WITHOUT ROWID`,
  'CREATE INDEX blocks_by_pack ON blocks (pack)',
  'CREATE INDEX blocks_not_present ON blocks (state) WHERE state <> 0',
  `CREATE TABLE pins (
    snapshot BLOB PRIMARY KEY,
    page BLOB NOT NULL,
    length INTEGER NOT NULL
  ) WITHOUT ROWID`,
];

/** Whether this is an index of this program: damage may also hit the names of its columns. */
async function hasSchema(db: Kysely<unknown>): Promise<boolean> {
  const { rows: version } = await sql<{ user_version: number }>`PRAGMA user_version`.execute(db);
  if (version[0]?.user_version !== INDEX_VERSION) return false;
  const { rows } = await sql<{ sql: string }>`
    SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'`.execute(db);
  const made = new Set(rows.map((row) => row.sql));
  return made.size === tables.length && tables.every((statement) => made.has(statement));
}

async function makeSchema(db: Kysely<unknown>): Promise<void> {
  await db.transaction().execute(async (change) => {
    for (const statement of tables) await sql.raw(statement).execute(change);
    await sql.raw(`PRAGMA user_version = ${INDEX_VERSION}`).execute(change);
  });
}

/** Reads all of the index: slow, and nobody else is served meanwhile. */
export async function isSound(db: Kysely<unknown>): Promise<boolean> {
  const { rows } = await sql<{ integrity_check: string }>`PRAGMA integrity_check(1)`.execute(db);
  return rows.length === 1 && rows[0]?.integrity_check === 'ok';
}

/** SQLITE_ERROR and SQLITE_CONSTRAINT: what the schema rules out; SQLITE_CORRUPT, SQLITE_NOTADB. */
const DAMAGE_CODES = new Set([1, 11, 19, 26]);

/** Whether the index itself is damaged: it can be made anew. */
export function isIndexDamage(error: unknown): error is Error {
  const cause = isLowtideError(error, 'disk-failed') ? error.cause : error;
  if (!(cause instanceof Error) || !('errcode' in cause)) return false;
  return DAMAGE_CODES.has(Number(cause.errcode) & 0xff);
}

/** Null, and closed, if it is no index of this program. */
export async function usable(connection: SqlConnection): Promise<Kysely<unknown> | null> {
  const db = kyselyOver<unknown>(connection);
  try {
    if (await hasSchema(db)) return db;
  } catch (error) {
    await db.destroy();
    throw error;
  }
  await db.destroy();
  return null;
}

export async function emptyIndex(world: World, path: string): Promise<Kysely<unknown>> {
  for (const suffix of ['', '-wal', '-shm']) await world.disk.remove(path + suffix);
  const db = kyselyOver<unknown>(await world.databases.open(path));
  await makeSchema(db);
  return db;
}
