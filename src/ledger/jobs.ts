import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import type { JobRow, RunRow } from './tables.ts';

/** What the agent remembers of a job; made when the job is first seen. */
export async function jobMemory(db: Database, name: string, now: UnixMillis): Promise<JobRow> {
  const known = await db.selectFrom('jobs').selectAll().where('name', '=', name).executeTakeFirst();
  if (known !== undefined) return known;
  const fresh: JobRow = {
    name,
    since: now,
    last_taken: null,
    last_tried: null,
    last_code: '',
    last_message: '',
    full_needed: 0,
  };
  await db
    .insertInto('jobs')
    .values(fresh)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return fresh;
}

export async function updateJob(
  db: Database,
  name: string,
  changes: Partial<Omit<JobRow, 'name'>>,
): Promise<void> {
  await db.updateTable('jobs').set(changes).where('name', '=', name).execute();
}

export async function forgetJob(db: Database, name: string): Promise<void> {
  await db.deleteFrom('jobs').where('name', '=', name).execute();
}

/** Written before the first block, so that a restart knows whose the pack group is. One that could not be swept begins again. */
export async function startRun(db: Database, run: RunRow): Promise<void> {
  const { started_at } = run;
  await db
    .insertInto('runs')
    .values(run)
    .onConflict((conflict) => conflict.column('pack_group').doUpdateSet({ started_at }))
    .execute();
}

export async function endRun(db: Database, packGroup: string): Promise<void> {
  await db.deleteFrom('runs').where('pack_group', '=', packGroup).execute();
}

export async function unfinishedRuns(db: Database): Promise<RunRow[]> {
  return await db.selectFrom('runs').selectAll().orderBy('started_at').execute();
}
