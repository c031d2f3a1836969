import type { SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';

/** When a snapshot was expected to be here. */
export interface ForecastRow {
  readonly snapshot: SnapshotId;
  readonly madeAt: UnixMillis;
  readonly early: UnixMillis;
  readonly likely: UnixMillis;
  readonly late: UnixMillis;
}

/** How good the forecasts were of what has arrived since. Milliseconds. */
export interface ForecastErrors {
  readonly count: number;
  /** Half of them were wrong by no more than this, and nine of ten by no more than the second. */
  readonly half: number;
  readonly ninety: number;
  /** Part of them that arrived within the range that was told. */
  readonly within: number;
}

const ROWS_AT_ONCE = 500;

/** The first one of a snapshot counts: later ones know more. */
export async function noteForecasts(db: Database, rows: readonly ForecastRow[]): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    await db
      .insertInto('forecasts')
      .values(
        rows.slice(at, at + ROWS_AT_ONCE).map(({ snapshot, madeAt, early, likely, late }) => ({
          snapshot,
          made_at: madeAt,
          early,
          likely,
          late,
          arrived_at: null,
        })),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

export async function judgeForecast(
  db: Database,
  snapshot: SnapshotId,
  arrivedAt: UnixMillis,
): Promise<void> {
  await db
    .updateTable('forecasts')
    .set({ arrived_at: arrivedAt })
    .where('snapshot', '=', snapshot)
    .where('arrived_at', 'is', null)
    .execute();
}

/** Of what has arrived since then; null if nothing has. */
export async function forecastErrors(db: Database, since: UnixMillis): Promise<ForecastErrors | null> {
  const rows = await db
    .selectFrom('forecasts')
    .select(['early', 'likely', 'late', 'arrived_at'])
    .where('arrived_at', '>=', since)
    .execute();
  if (rows.length === 0) return null;
  const errors = rows
    .map(({ likely, arrived_at }) => Math.abs(arrived_at! - likely))
    .toSorted((a, b) => a - b);
  const within = rows.filter(({ early, late, arrived_at }) => arrived_at! >= early && arrived_at! <= late);
  const part = (share: number): number => errors[Math.ceil(errors.length * share) - 1]!;
  return { count: rows.length, half: part(0.5), ninety: part(0.9), within: within.length / rows.length };
}
