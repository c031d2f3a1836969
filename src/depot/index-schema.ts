import { sql, type Kysely } from 'kysely';

/** `PRAGMA user_version` of an index that this program made. An index of another version is made anew. */
export const INDEX_VERSION = 1;

const statements = [
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
  `PRAGMA user_version = ${INDEX_VERSION}`,
];

export async function indexVersion(db: Kysely<unknown>): Promise<number> {
  const { rows } = await sql<{ user_version: number }>`PRAGMA user_version`.execute(db);
  return rows[0]?.user_version ?? 0;
}

export async function makeSchema(db: Kysely<unknown>): Promise<void> {
  await db.transaction().execute(async (change) => {
    for (const statement of statements) await sql.raw(statement).execute(change);
  });
}
