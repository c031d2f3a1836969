import type { SignedManifest } from '../format/manifest.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterId, ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import type { SnapshotRow } from './tables.ts';

export interface SnapshotFacts {
  readonly newBytes: number;
  readonly newBlocks: number;
  readonly packGroup: string | null;
  readonly knownAt: UnixMillis;
}

/** Idempotent: a snapshot that is known already stays as it is. */
export async function addSnapshot(db: Database, signed: SignedManifest, facts: SnapshotFacts): Promise<void> {
  const { manifest } = signed;
  await db
    .insertInto('snapshots')
    .values({
      id: signed.id,
      client: manifest.client,
      instance: manifest.instance,
      job: manifest.job,
      sequence: manifest.sequence,
      previous: manifest.previous,
      base: manifest.base,
      taken_at: manifest.takenAt,
      complete: manifest.complete ? 1 : 0,
      files: manifest.counts.files,
      bytes: manifest.counts.bytes,
      problems: manifest.counts.problems,
      label: manifest.labels.roots?.join(' ') ?? null,
      new_bytes: facts.newBytes,
      new_blocks: facts.newBlocks,
      pack_group: facts.packGroup,
      known_at: facts.knownAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function findSnapshot(db: Database, id: SnapshotId): Promise<SnapshotRow | null> {
  return (await db.selectFrom('snapshots').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
}

export interface SnapshotQuery {
  readonly client?: ClientId;
  readonly job?: string;
  /** Newest first, at most this many; the rest is asked for with `before`. */
  readonly limit?: number;
  readonly before?: { readonly takenAt: UnixMillis; readonly id: SnapshotId };
}

export async function listSnapshots(db: Database, query: SnapshotQuery = {}): Promise<SnapshotRow[]> {
  const { client, job, before } = query;
  return await db
    .selectFrom('snapshots')
    .selectAll()
    .$if(client !== undefined, (select) => select.where('client', '=', client!))
    .$if(job !== undefined, (select) => select.where('job', '=', job!))
    .$if(before !== undefined, (select) =>
      select.where((e) =>
        e.or([
          e('taken_at', '<', before!.takenAt),
          e.and([e('taken_at', '=', before!.takenAt), e('id', '<', before!.id)]),
        ]),
      ),
    )
    .orderBy('taken_at', 'desc')
    .orderBy('id', 'desc')
    .limit(query.limit ?? 1000)
    .execute();
}

/**
 * The snapshot that `latest` or a unique prefix of an id means.
 * @throws LowtideError `no-such-snapshot`, `ambiguous-snapshot`
 */
export async function resolveSnapshot(db: Database, text: string, client?: ClientId): Promise<SnapshotRow> {
  const matches =
    text === 'latest'
      ? await listSnapshots(db, { ...(client && { client }), limit: 1 })
      : await db
          .selectFrom('snapshots')
          .selectAll()
          .$if(client !== undefined, (select) => select.where('client', '=', client!))
          .where('id', '>=', text as SnapshotId)
          .where('id', '<', `${text}g` as SnapshotId)
          .limit(2)
          .execute();
  if (matches.length > 1)
    throw new LowtideError(
      'ambiguous-snapshot',
      `more than one snapshot starts with ${text}: give more digits`,
    );
  const [match] = matches;
  if (match === undefined) {
    throw new LowtideError(
      'no-such-snapshot',
      text === 'latest' ? 'there is no snapshot yet' : `there is no snapshot ${text}`,
    );
  }
  return match;
}

/** The last snapshot of a chain (format F43), or null. */
export async function chainEnd(db: Database, instance: InstanceId, job: string): Promise<SnapshotRow | null> {
  const row = await db
    .selectFrom('snapshots')
    .selectAll()
    .where('instance', '=', instance)
    .where('job', '=', job)
    .orderBy('sequence', 'desc')
    .executeTakeFirst();
  return row ?? null;
}

/** Another snapshot with the same place in the chain: a fork. */
export async function findFork(db: Database, signed: SignedManifest): Promise<SnapshotRow | null> {
  const { client, instance, job, sequence } = signed.manifest;
  const row = await db
    .selectFrom('snapshots')
    .selectAll()
    .where('client', '=', client)
    .where('instance', '=', instance)
    .where('job', '=', job)
    .where('sequence', '=', sequence)
    .where('id', '!=', signed.id)
    .executeTakeFirst();
  return row ?? null;
}

export async function setPackGroup(db: Database, id: SnapshotId, group: string | null): Promise<void> {
  await db.updateTable('snapshots').set({ pack_group: group }).where('id', '=', id).execute();
}

/** Spooled snapshots that nobody is owed any more: their data blocks can go. Oldest first. */
export async function drainable(db: Database): Promise<SnapshotRow[]> {
  return await db
    .selectFrom('snapshots')
    .selectAll()
    .where('pack_group', 'is not', null)
    .where((e) =>
      e.and([
        e.exists(e.selectFrom('copies').select('snapshot').whereRef('copies.snapshot', '=', 'snapshots.id')),
        e.not(
          e.exists(
            e
              .selectFrom('copies')
              .select('snapshot')
              .whereRef('copies.snapshot', '=', 'snapshots.id')
              .where('phase', 'not in', ['safe', 'void']),
          ),
        ),
      ]),
    )
    .orderBy('taken_at')
    .orderBy('sequence')
    .execute();
}

/** Snapshots whose data blocks are in the spool, oldest first. */
export async function spooledSnapshots(db: Database): Promise<SnapshotRow[]> {
  return await db
    .selectFrom('snapshots')
    .selectAll()
    .where('pack_group', 'is not', null)
    .orderBy('taken_at')
    .orderBy('sequence')
    .execute();
}

/** The newest snapshot of each chain of `instance` that every center owed has receipted: the bases (DESIGN 4.6). */
export async function receiptedBases(db: Database, instance: InstanceId): Promise<SnapshotRow[]> {
  const rows = await db
    .selectFrom('snapshots')
    .selectAll()
    .where('instance', '=', instance)
    .where((e) =>
      e.not(
        e.exists(
          e
            .selectFrom('copies')
            .select('snapshot')
            .whereRef('copies.snapshot', '=', 'snapshots.id')
            .where('phase', '!=', 'safe'),
        ),
      ),
    )
    .where((e) =>
      e.exists(e.selectFrom('copies').select('snapshot').whereRef('copies.snapshot', '=', 'snapshots.id')),
    )
    .orderBy('sequence', 'desc')
    .execute();
  const newest = new Map<string, SnapshotRow>();
  for (const row of rows) if (!newest.has(row.job)) newest.set(row.job, row);
  return [...newest.values()];
}

/**
 * Not yet safe at `center` and still held with all its blocks, in the order in which they must commit. A snapshot that
 * a center lost after it was freed cannot be sent again: a later one without base takes its place.
 */
export async function owedTo(db: Database, center: CenterId): Promise<SnapshotRow[]> {
  return await db
    .selectFrom('snapshots')
    .innerJoin('copies', 'copies.snapshot', 'snapshots.id')
    .selectAll('snapshots')
    .where('copies.center', '=', center)
    .where('copies.phase', 'not in', ['safe', 'void'])
    .where('snapshots.pack_group', 'is not', null)
    .orderBy('snapshots.job')
    .orderBy('snapshots.sequence')
    .execute();
}
