import type { Ref } from '../format/refs.ts';
import type { BlockId, SnapshotId } from '../model/ids.ts';
import { sql, type SqlSession } from '../world/sql/sql.ts';
import { type PackEntry, typeCode } from './pack-format.ts';

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

export interface DepotUsage {
  /** Of packs on disk. */
  readonly bytes: number;
  /** Each as often as it is stored. */
  readonly blocks: number;
  readonly packs: number;
}

/** Ids looked up by one statement: a statement must be short, because SQLite answers synchronously. */
const LOOKUP_IDS = 1024;
export const PRESENT = 0;
export const CONDEMNED = 1;
export const QUARANTINED = 2;

/** A state that no writer wrote is damage too. */
export function stateOf(number: number): BlockState {
  return BLOCK_STATES[number] ?? 'quarantined';
}

export interface LocationRow extends Omit<BlockLocation, 'state'> {
  readonly state: number;
}

/** Sorted, so that neighbours in the index are looked up one after another. */
export function* batches(ids: readonly BlockId[]): Generator<string> {
  const sorted = ids.toSorted();
  for (let at = 0; at < sorted.length; at += LOOKUP_IDS) {
    yield JSON.stringify(sorted.slice(at, at + LOOKUP_IDS));
  }
}

export async function insertPack(
  db: SqlSession,
  row: Omit<PackRow, 'key'> & { readonly key: number | null },
): Promise<void> {
  await db.change(sql`INSERT INTO packs (key, name, pack_group, state, bytes, blocks)
    VALUES (${row.key}, ${row.name}, ${row.group}, ${row.state}, ${row.bytes}, ${row.blocks})`);
}

/** @returns how many were new to the pack */
export async function insertBlocks(
  db: SqlSession,
  pack: number,
  entries: readonly PackEntry[],
): Promise<number> {
  let added = 0;
  const sorted = entries.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  for (let at = 0; at < sorted.length; at += LOOKUP_IDS) {
    const rows = sorted
      .slice(at, at + LOOKUP_IDS)
      .map((entry) => [entry.id, entry.domain, entry.offset, entry.length, typeCode(entry.type)]);
    const changed = await db.change(sql`
      INSERT OR IGNORE INTO blocks (id, pack, domain, offset, length, type, state)
      SELECT unhex(value ->> 0), ${pack}, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, ${PRESENT}
      FROM json_each(${JSON.stringify(rows)})`);
    added += changed;
  }
  return added;
}

export async function setStates(
  db: SqlSession,
  pack: number,
  ids: readonly BlockId[],
  to: number,
  from?: number,
): Promise<void> {
  const only = from === undefined ? sql`` : sql`AND state = ${from}`;
  for (const batch of batches(ids)) {
    await db.change(sql`UPDATE blocks SET state = ${to}
      WHERE pack = ${pack} AND id IN (SELECT unhex(value) FROM json_each(${batch})) ${only}`);
  }
}
