import { type RawBuilder, sql } from 'kysely';
import type { CenterId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import { prepared } from './prepared.ts';
import { NOBODY } from './snapshots.ts';
import type { SnapshotRow } from './tables.ts';

/**
 * The newest snapshot of each job of each machine here that every center owed has receipted: the bases (DESIGN 4.6).
 * @param own as for `drainable`
 */
export async function receiptedBases(db: Database, own: CenterId | null = null): Promise<SnapshotRow[]> {
  return await RECEIPTED_BASES.rows(db, { own: own ?? NOBODY });
}

const RECEIPTED_BASES = prepared<{ own: CenterId }, SnapshotRow>((db, { own }) => {
  // Without the plus SQLite looks through the index of phases: at all that ever was safe, for each snapshot.
  const copies = sql`SELECT 1 FROM copies WHERE copies.snapshot = s.id AND copies.center != ${own} AND +copies.phase`;
  const isSafe = sql`EXISTS (${copies} = 'safe') AND NOT EXISTS (${copies} != 'safe' AND copies.code != 'released')`;
  return { compile: () => newestThat(isSafe).compile(db) };
});

/** The newest snapshot of each job of each machine here that `center` has receipted. */
export async function newestSafeAt(db: Database, center: CenterId): Promise<SnapshotId[]> {
  const rows = await NEWEST_SAFE_AT.rows(db, { center });
  return rows.map(({ id }) => id);
}

const NEWEST_SAFE_AT = prepared<{ center: CenterId }, SnapshotRow>((db, { center }) => {
  const isSafe = sql`EXISTS (
    SELECT 1 FROM copies WHERE copies.snapshot = s.id AND copies.center = ${center} AND copies.phase = 'safe')`;
  return { compile: () => newestThat(isSafe).compile(db) };
});

/** The newest snapshot of each job of each machine that was ever heard of here. */
export async function newestKnown(db: Database): Promise<SnapshotRow[]> {
  return (await newestThat(sql`TRUE`).execute(db)).rows;
}

/** A snapshot that a center has, and since when; null of one that was pulled by a program that did not note it. */
export interface NewestWhole extends SnapshotRow {
  readonly arrived_at: UnixMillis | null;
}

/** The newest snapshot of each job of each machine here that `center` has receipted, and that is no part of a first backup. */
export async function newestWholeAt(db: Database, center: CenterId): Promise<NewestWhole[]> {
  const isWhole = sql`s.complete = 1 AND EXISTS (
    SELECT 1 FROM copies WHERE copies.snapshot = s.id AND copies.center = ${center} AND copies.phase = 'safe')`;
  const { rows } = await sql<NewestWhole>`
    SELECT whole.*, copies.arrived_at FROM (${newestThat(isWhole)}) AS whole
    JOIN copies ON copies.snapshot = whole.id AND copies.center = ${center}`.execute(db);
  return rows;
}

/**
 * In order of machine and job. By leaps through the index from one chain of snapshots to the next, and in each from its
 * newest on, no further than it takes: rows are kept for years.
 * @param that says of a snapshot `s` whether it counts
 */
function newestThat(that: RawBuilder<unknown>): RawBuilder<SnapshotRow> {
  return sql`
  WITH RECURSIVE chains (instance, job) AS (
    VALUES ('', '')
    UNION ALL
    SELECT next.instance, next.job FROM chains JOIN snapshots AS next ON next.id = coalesce(
      (SELECT s.id FROM snapshots AS s WHERE s.instance = chains.instance AND s.job > chains.job
        ORDER BY s.job LIMIT 1),
      (SELECT s.id FROM snapshots AS s WHERE s.instance > chains.instance ORDER BY s.instance, s.job LIMIT 1))
  )
  SELECT newest.* FROM chains JOIN snapshots AS newest ON newest.id = (
    SELECT s.id FROM snapshots AS s WHERE s.instance = chains.instance AND s.job = chains.job AND ${that}
    ORDER BY s.sequence DESC LIMIT 1)`;
}
