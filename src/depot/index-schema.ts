import { isLowtideError } from '../model/errors.ts';
import type { SqlConnection, World } from '../world/ports.ts';
import { rawSql, sql, SqlDatabase } from '../world/sql/sql.ts';

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
async function hasSchema(db: SqlDatabase): Promise<boolean> {
  const version = await db.rows<{ user_version: number }>(sql`PRAGMA user_version`);
  if (version[0]?.user_version !== INDEX_VERSION) return false;
  const rows = await db.rows<{ sql: string }>(sql`
    SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'`);
  const made = new Set(rows.map((row) => row.sql));
  return made.size === tables.length && tables.every((statement) => made.has(statement));
}

async function makeSchema(db: SqlDatabase): Promise<void> {
  await db.transaction(async (change) => {
    for (const statement of tables) await change.change(rawSql(statement));
    await change.change(rawSql(`PRAGMA user_version = ${INDEX_VERSION}`));
  });
}

/** Reads all of the index: slow, and nobody else is served meanwhile. */
export async function isSound(db: SqlDatabase): Promise<boolean> {
  const rows = await db.rows<{ integrity_check: string }>(sql`PRAGMA integrity_check(1)`);
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
export async function usable(connection: SqlConnection): Promise<SqlDatabase | null> {
  const db = new SqlDatabase(connection);
  try {
    if (await hasSchema(db)) return db;
  } catch (error) {
    await db.close();
    throw error;
  }
  await db.close();
  return null;
}

export async function emptyIndex(world: World, path: string): Promise<SqlDatabase> {
  for (const suffix of ['', '-wal', '-shm']) await world.disk.remove(path + suffix);
  const db = new SqlDatabase(await world.databases.open(path));
  await makeSchema(db);
  return db;
}
