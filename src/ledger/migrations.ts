import { type Kysely, sql } from 'kysely';
import { LowtideError } from '../model/errors.ts';
import type { Tables } from './tables.ts';

/** Numbered by their place, run in order, never edited once released. */
const migrations: readonly ((database: Kysely<Tables>) => Promise<void>)[] = [
  first,
  relays,
  planning,
  forecasts,
  audit,
  bounds,
  holding,
  reading,
  leaving,
  coming,
];

/**
 * Brings a ledger to this program's schema.
 * @throws LowtideError `newer-format` if a newer program wrote it
 */
export async function migrate(database: Kysely<Tables>): Promise<void> {
  const version = await schemaVersion(database);
  refuseNewer(version);
  for (let next = version; next < migrations.length; next++) {
    await database.transaction().execute(async (transaction) => {
      await migrations[next]!(transaction);
      await sql`PRAGMA user_version = ${sql.lit(next + 1)}`.execute(transaction);
    });
  }
}

/**
 * For readers, which change nothing.
 * @throws LowtideError `newer-format`; `wrong-state` if an older program wrote it and nobody has brought it up yet
 */
export async function checkSchema(database: Kysely<Tables>): Promise<void> {
  const version = await schemaVersion(database);
  refuseNewer(version);
  if (version === migrations.length) return;
  throw new LowtideError(
    'wrong-state',
    `the ledger has schema ${version} of an older Lowtide: start the agent or the center once, which brings it up to ${migrations.length}`,
  );
}

function refuseNewer(version: number): void {
  if (version <= migrations.length) return;
  throw new LowtideError(
    'newer-format',
    `the ledger has schema ${version}, this program knows ${migrations.length}: update Lowtide`,
  );
}

async function schemaVersion(database: Kysely<Tables>): Promise<number> {
  const result = await sql<{ user_version: number }>`PRAGMA user_version`.execute(database);
  return result.rows[0]?.user_version ?? 0;
}

async function first(database: Kysely<Tables>): Promise<void> {
  const statements = [
    'CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID',
    `CREATE TABLE clients (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, instance_key BLOB NOT NULL,
      pass TEXT NOT NULL, address TEXT, enrolled_at INTEGER NOT NULL, seen_at INTEGER, revoked_at INTEGER, session TEXT,
      session_before TEXT) STRICT`,
    `CREATE TABLE tokens (hash TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL, used_at INTEGER, used_by TEXT) STRICT`,
    `CREATE TABLE snapshots (id TEXT PRIMARY KEY, client TEXT NOT NULL, instance TEXT NOT NULL, job TEXT NOT NULL,
      chain TEXT NOT NULL, sequence INTEGER NOT NULL, previous TEXT, base TEXT, taken_at INTEGER NOT NULL,
      complete INTEGER NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL, problems INTEGER NOT NULL, label TEXT,
      new_bytes INTEGER NOT NULL, new_blocks INTEGER NOT NULL, pack_group TEXT, transfer TEXT, zone TEXT,
      known_at INTEGER NOT NULL) STRICT`,
    'CREATE INDEX snapshots_chain ON snapshots (instance, job, sequence)',
    'CREATE INDEX snapshots_time ON snapshots (taken_at, id)',
    'CREATE INDEX snapshots_client_time ON snapshots (client, taken_at, id)',
    'CREATE INDEX snapshots_client ON snapshots (client, id)',
    'CREATE INDEX snapshots_base ON snapshots (base) WHERE base IS NOT NULL',
    'CREATE INDEX snapshots_spooled ON snapshots (taken_at, sequence) WHERE pack_group IS NOT NULL',
    `CREATE TABLE copies (snapshot TEXT NOT NULL REFERENCES snapshots (id), center TEXT NOT NULL, phase TEXT NOT NULL,
      code TEXT NOT NULL, until INTEGER, since INTEGER NOT NULL, receipt BLOB, arrived_at INTEGER,
      PRIMARY KEY (snapshot, center)) STRICT, WITHOUT ROWID`,
    'CREATE INDEX copies_phase ON copies (phase, center)',
    `CREATE TABLE offers (snapshot TEXT PRIMARY KEY REFERENCES snapshots (id), client TEXT NOT NULL, manifest BLOB NOT NULL,
      wishes TEXT NOT NULL, offered_at INTEGER NOT NULL, received INTEGER NOT NULL) STRICT`,
    `CREATE TABLE history (id INTEGER PRIMARY KEY, snapshot TEXT NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL,
      center TEXT, client TEXT, address TEXT, bytes INTEGER NOT NULL, code TEXT NOT NULL) STRICT`,
    'CREATE INDEX history_snapshot ON history (snapshot, id)',
    `CREATE TABLE runs (pack_group TEXT PRIMARY KEY, job TEXT NOT NULL, instance TEXT NOT NULL, sequence INTEGER NOT NULL,
      started_at INTEGER NOT NULL) STRICT`,
    `CREATE TABLE jobs (name TEXT PRIMARY KEY, since INTEGER NOT NULL, last_taken INTEGER, last_tried INTEGER,
      last_code TEXT NOT NULL, last_message TEXT NOT NULL, full_needed INTEGER NOT NULL) STRICT`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(database);
}

async function relays(database: Kysely<Tables>): Promise<void> {
  const statements = [
    'ALTER TABLE clients ADD COLUMN node TEXT',
    'ALTER TABLE clients ADD COLUMN quota INTEGER',
    `CREATE TABLE members (client TEXT NOT NULL, joined TEXT NOT NULL, via TEXT NOT NULL, name TEXT NOT NULL, node TEXT,
      membership BLOB NOT NULL, PRIMARY KEY (client, joined, via)) STRICT, WITHOUT ROWID`,
    'CREATE INDEX members_via ON members (via, client)',
    'CREATE INDEX history_sender ON history (client, center, what) WHERE client IS NOT NULL',
    "ALTER TABLE snapshots ADD COLUMN free_after TEXT NOT NULL DEFAULT 'centers'",
    'ALTER TABLE copies ADD COLUMN holder TEXT',
    "ALTER TABLE copies ADD COLUMN hops TEXT NOT NULL DEFAULT '[]'",
    `CREATE TABLE custodies (snapshot TEXT NOT NULL REFERENCES snapshots (id), holder TEXT NOT NULL, receipt BLOB NOT NULL,
      since INTEGER NOT NULL, PRIMARY KEY (snapshot, holder)) STRICT, WITHOUT ROWID`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(database);
}

/** What the planner has to know of the past, and what people wish for how old a copy may get. */
async function planning(database: Kysely<Tables>): Promise<void> {
  const statements = [
    'ALTER TABLE snapshots ADD COLUMN target INTEGER',
    'CREATE TABLE habits (client TEXT PRIMARY KEY, transfers TEXT NOT NULL, stays TEXT NOT NULL) STRICT',
  ];
  for (const statement of statements) await sql.raw(statement).execute(database);
}

/** When things were expected, to be compared with when they came; and, below, what was told of that. */
async function forecasts(database: Kysely<Tables>): Promise<void> {
  const statements = [
    `CREATE TABLE forecasts (snapshot TEXT PRIMARY KEY, made_at INTEGER NOT NULL, early INTEGER NOT NULL,
      likely INTEGER NOT NULL, late INTEGER NOT NULL, arrived_at INTEGER) STRICT`,
    'CREATE INDEX forecasts_arrived ON forecasts (arrived_at) WHERE arrived_at IS NOT NULL',
    'ALTER TABLE copies ADD COLUMN expected TEXT',
  ];
  for (const statement of statements) await sql.raw(statement).execute(database);
}

/** Who looks later sees what suited the node when. */
async function audit(database: Kysely<Tables>): Promise<void> {
  const table =
    'CREATE TABLE audit (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, key TEXT NOT NULL, before TEXT, after TEXT) STRICT';
  await sql.raw(table).execute(database);
}

/** How many machines a relay may tell of. */
async function bounds(database: Kysely<Tables>): Promise<void> {
  await sql`ALTER TABLE clients ADD COLUMN members_max INTEGER`.execute(database);
}

/** From whom nothing is collected for the time being, by the operator's word. */
async function holding(database: Kysely<Tables>): Promise<void> {
  for (const column of ['held_since INTEGER', 'held_until INTEGER', 'held_why TEXT']) {
    await sql.raw(`ALTER TABLE clients ADD COLUMN ${column}`).execute(database);
  }
}

/** Who may read what another computer has brought, by the operator's word. */
async function reading(database: Kysely<Tables>): Promise<void> {
  const statements = [
    'ALTER TABLE tokens ADD COLUMN reads TEXT',
    `CREATE TABLE readers (reader TEXT NOT NULL, client TEXT NOT NULL, since INTEGER NOT NULL,
      PRIMARY KEY (reader, client)) STRICT, WITHOUT ROWID`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(database);
}

/** Who has left what it had joined. */
async function leaving(database: Kysely<Tables>): Promise<void> {
  const statements = [
    'ALTER TABLE members ADD COLUMN left_at INTEGER',
    `CREATE TABLE leavings (client TEXT NOT NULL, node TEXT NOT NULL, at INTEGER NOT NULL, record BLOB NOT NULL,
      PRIMARY KEY (client, node)) STRICT, WITHOUT ROWID`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(database);
}

/** When the last bytes of what is on offer came. */
async function coming(database: Kysely<Tables>): Promise<void> {
  await sql`ALTER TABLE offers ADD COLUMN came_at INTEGER`.execute(database);
}
