import { sql } from 'kysely';
import type { SignedManifest } from '../format/manifest.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterId, ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import type { FreeAfter } from '../model/jobs.ts';
import type { UnixMillis } from '../model/time.ts';
import { OPEN_PHASES } from './copies.ts';
import type { Database } from './ledger.ts';
import { prepared } from './prepared.ts';
import type { SnapshotRow } from './tables.ts';

export interface SnapshotFacts {
  readonly newBytes: number;
  readonly newBlocks: number;
  readonly packGroup: string | null;
  readonly knownAt: UnixMillis;
  /** What its owner calls the job, where the manifest does not say it. */
  readonly job?: string;
  /** What it holds, where the manifest does not show it. */
  readonly label?: string;
  /** When it may travel, as far as this node knows. */
  readonly travel?: { readonly transfer: string; readonly zone: string };
  readonly freeAfter?: FreeAfter;
  /** @see SnapshotRow.target */
  readonly target?: number;
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
      job: facts.job ?? manifest.job,
      chain: manifest.job,
      sequence: manifest.sequence,
      previous: manifest.previous,
      base: manifest.base,
      taken_at: manifest.takenAt,
      complete: manifest.complete ? 1 : 0,
      files: manifest.counts.files,
      bytes: manifest.counts.bytes,
      problems: manifest.counts.problems,
      label: facts.label ?? manifest.labels.roots?.join(' ') ?? null,
      new_bytes: facts.newBytes,
      new_blocks: facts.newBlocks,
      pack_group: facts.packGroup,
      transfer: facts.travel?.transfer ?? null,
      zone: facts.travel?.zone ?? null,
      free_after: facts.freeAfter ?? 'centers',
      target: facts.target ?? null,
      known_at: facts.knownAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** What has to travel, as its sender says now. */
export async function setAnnounced(
  db: Database,
  id: SnapshotId,
  { bytes, blocks }: { readonly bytes: number; readonly blocks: number },
): Promise<void> {
  await db
    .updateTable('snapshots')
    .set({ new_bytes: bytes, new_blocks: blocks })
    .where('id', '=', id)
    .execute();
}

const SNAPSHOT = prepared((db, { id }: { id: SnapshotId }) =>
  db.selectFrom('snapshots').selectAll().where('id', '=', id),
);

export async function findSnapshot(db: Database, id: SnapshotId): Promise<SnapshotRow | null> {
  return await SNAPSHOT.first(db, { id });
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
 * The snapshot that `latest` or a unique prefix of an id means. `latest` is the one that this node heard of last: by the
 * order of its rows, because a clock may have been wrong.
 * @throws LowtideError `no-such-snapshot`, `ambiguous-snapshot`
 */
export async function resolveSnapshot(db: Database, text: string, client?: ClientId): Promise<SnapshotRow> {
  const matches = text === 'latest' ? await latest(db, client) : await startingWith(db, text, client);
  if (matches.length > 1) {
    throw new LowtideError(
      'ambiguous-snapshot',
      `more than one snapshot starts with ${text}: give more digits`,
    );
  }
  const [match] = matches;
  if (match !== undefined) return match;
  throw new LowtideError(
    'no-such-snapshot',
    text === 'latest' ? 'there is no snapshot yet' : `there is no snapshot ${text}`,
  );
}

async function latest(db: Database, client: ClientId | undefined): Promise<SnapshotRow[]> {
  return await db
    .selectFrom('snapshots')
    .selectAll()
    .$if(client !== undefined, (select) => select.where('client', '=', client!))
    .orderBy(sql`rowid`, 'desc')
    .limit(1)
    .execute();
}

/** At most two: enough to tell one from many. */
async function startingWith(
  db: Database,
  text: string,
  client: ClientId | undefined,
): Promise<SnapshotRow[]> {
  if (!/^[0-9a-f]{1,64}$/.test(text)) return [];
  return await db
    .selectFrom('snapshots')
    .selectAll()
    .$if(client !== undefined, (select) => select.where('client', '=', client!))
    .where('id', '>=', text as SnapshotId)
    .where('id', '<', `${text}g` as SnapshotId)
    .orderBy('id')
    .limit(2)
    .execute();
}

/** The newest snapshot of a job, by sequence and not by any clock; null if there is none. */
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

/** Another snapshot with the same place in the chain (format F43): a fork. For nodes that see manifests only. */
export async function findFork(db: Database, signed: SignedManifest): Promise<SnapshotRow | null> {
  const { client, instance, job, sequence } = signed.manifest;
  const row = await db
    .selectFrom('snapshots')
    .selectAll()
    .where('instance', '=', instance)
    .where('job', '=', job)
    .where('sequence', '=', sequence)
    .where('client', '=', client)
    .where('id', '!=', signed.id)
    .executeTakeFirst();
  return row ?? null;
}

export async function setPackGroup(db: Database, id: SnapshotId, group: string | null): Promise<void> {
  await db.updateTable('snapshots').set({ pack_group: group }).where('id', '=', id).execute();
}

/**
 * Snapshots whose data blocks can go: every center owed has receipted or given them up; or, where custody is enough, a
 * relay has what is still owed. Oldest first.
 * @param own the node's own id: a relay's custody of it is nothing that is owed
 */
export async function drainable(db: Database, own: CenterId | null = null): Promise<SnapshotRow[]> {
  return await DRAINABLE.rows(db, { own: own ?? NOBODY });
}

const DRAINABLE = prepared((db, { own }: { own: CenterId }) =>
  db
    .selectFrom('snapshots')
    .selectAll()
    .where('pack_group', 'is not', null)
    .where((e) => {
      const copies = e
        .selectFrom('copies')
        .select('snapshot')
        .whereRef('copies.snapshot', '=', 'snapshots.id')
        .where('center', '!=', own);
      const open = copies.where('phase', 'in', OPEN_PHASES);
      const unheld = open.where('phase', '!=', 'held');
      return e.and([
        e.exists(copies),
        e.or([e.not(e.exists(open)), e.and([e('free_after', '=', 'custody'), e.not(e.exists(unheld))])]),
      ]);
    })
    .orderBy('taken_at')
    .orderBy('sequence'),
);

/** The id of no node. */
export const NOBODY = '' as CenterId;

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

/** Bytes that the snapshots whose blocks are here brought, each by itself. */
export async function spooledBytes(db: Database): Promise<number> {
  return (await SPOOLED_BYTES.first(db, {}))!.bytes;
}

const SPOOLED_BYTES = prepared((db) =>
  db
    .selectFrom('snapshots')
    .select((e) => e.fn.coalesce(e.fn.sum<number>('new_bytes'), e.lit(0)).as('bytes'))
    .where('pack_group', 'is not', null),
);

/**
 * Snapshots that are still owed to some center, wherever their blocks are: their manifests stay.
 * @param own as for `drainable`
 */
export async function stillOwed(db: Database, own: CenterId | null = null): Promise<SnapshotRow[]> {
  return await db
    .selectFrom('snapshots')
    .selectAll()
    .where('id', 'in', (e) =>
      e
        .selectFrom('copies')
        .select('snapshot')
        .where('phase', 'in', OPEN_PHASES)
        .where('center', '!=', own ?? NOBODY),
    )
    .execute();
}

/** When a copy was taken, by its computer's clock, and had come, by the node's own. */
export interface CollectedCopy {
  readonly takenAt: UnixMillis;
  readonly arrivedAt: UnixMillis;
}

/** The newest snapshot of a job, by what its manifests call it, that `center` has receipted or has in custody; null if none. */
export async function newestCollected(
  db: Database,
  center: CenterId,
  { instance, job }: { readonly instance: InstanceId; readonly job: string },
): Promise<CollectedCopy | null> {
  const row = await NEWEST_COLLECTED.first(db, { center, instance, job });
  return row === null ? null : { takenAt: row.taken_at, arrivedAt: row.arrived_at ?? row.since };
}

const NEWEST_COLLECTED = prepared(
  (db, { center, instance, job }: { center: CenterId; instance: InstanceId; job: string }) =>
    db
      .selectFrom('snapshots')
      .innerJoin('copies', 'copies.snapshot', 'snapshots.id')
      .select(['snapshots.taken_at', 'copies.arrived_at', 'copies.since'])
      .where('snapshots.instance', '=', instance)
      .where('snapshots.job', '=', job)
      .where('copies.center', '=', center)
      .where('copies.phase', 'in', ['safe', 'held'])
      .orderBy('snapshots.sequence', 'desc')
      .limit(1),
);
