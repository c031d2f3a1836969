import { withLeftCenters } from '../left-names.ts';
import { expectedIn } from '../../ledger/copies.ts';
import type { Database, Ledger } from '../../ledger/ledger.ts';
import { spooledSnapshots } from '../../ledger/snapshots.ts';
import type { CopyRow, SnapshotRow } from '../../ledger/tables.ts';
import type { CopyPhase, Expected } from '../../model/exchange.ts';
import type { CenterId, ClientId, InstanceId, SnapshotId } from '../../model/ids.ts';
import type { Job } from '../../model/jobs.ts';
import type { UnixMillis } from '../../model/time.ts';
import { dueAt, parseCalendar } from '../../schedule/calendar.ts';
import { everMeet, parseWindows } from '../../schedule/windows.ts';
import type { UplinkStatus } from '../../uplink/uplink-status.ts';
import type { World } from '../../world/ports.ts';
import { centersReached } from './parts.ts';
import { type Protection, protectionOf, type Remark } from './protection.ts';
import {
  type CenterStatus,
  type JoinedNode,
  knownCenters,
  type UpstreamStatus,
  upstreamStatus,
} from '../upstream-view.ts';

/** Everything that `lowtide status` says, as plain data. Times are milliseconds since 1970. */
export interface AgentStatus {
  readonly client: ClientId;
  readonly name: string;
  readonly software: string;
  readonly now: UnixMillis;
  /** This machine's zone. */
  readonly zone: string;
  /** Whether the agent runs: without it nothing is taken or sent. */
  readonly running: boolean;
  /** The job whose backup is being taken now. */
  readonly taking: string | null;
  /** The program, with its arguments, that says that nothing shall be sent now; null if none does. */
  readonly notWhile: string | null;
  /** Of its files: what they said before it is in force. */
  readonly mistakes: readonly string[];
  /** What this machine sends to: centers and relays. */
  readonly upstreams: readonly UpstreamStatus[];
  /** Where backups shall be in the end. */
  readonly centers: readonly CenterStatus[];
  readonly jobs: readonly JobStatus[];
  readonly spool: SpoolStatus;
  /** What relays that had it in custody have taken with them, of what nobody has taken or kept since. */
  readonly lost: readonly LossStatus[];
}

export interface LossStatus {
  readonly snapshot: SnapshotId;
  readonly job: string;
  readonly takenAt: UnixMillis;
  /** When this machine heard of it. */
  readonly lostAt: UnixMillis;
  /** The relay. */
  readonly holder: string;
  /** How many files; null if the spool cannot tell any more. Not counted beyond `LOST_COUNTED`. */
  readonly files: number | null;
}

export interface JobStatus {
  readonly name: string;
  readonly paths: readonly string[];
  readonly backup: string;
  readonly transfer: string;
  readonly zone: string;
  readonly centers: readonly CenterId[];
  readonly lastTaken: UnixMillis | null;
  /** Null: never by itself. In the past: now. */
  readonly nextDue: UnixMillis | null;
  readonly protection: Protection;
}

export interface SpoolStatus {
  /** Of data blocks: what the quota counts. */
  readonly bytes: number;
  readonly quota: number;
  readonly snapshots: readonly SpooledSnapshot[];
}

export interface SpooledSnapshot {
  readonly id: SnapshotId;
  readonly job: string;
  readonly takenAt: UnixMillis;
  /** What has to travel. */
  readonly bytes: number;
  readonly complete: boolean;
  readonly copies: readonly {
    readonly center: CenterId;
    readonly phase: CopyPhase;
    readonly code: string;
    readonly until: UnixMillis | null;
    readonly since: UnixMillis;
    /** The relay that has it in custody, nearest to the center. */
    readonly holder: string | null;
    /** When the next node on its way expects to have it, as it said last. */
    readonly expected?: Expected | null;
  }[];
}

/** What status is made of, the same beside a running agent and inside it. */
export interface StatusParts {
  readonly world: World;
  readonly ledger: Ledger;
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly name: string;
  readonly software: string;
  readonly jobs: readonly Job[];
  readonly mistakes: readonly string[];
  readonly upstreams: readonly JoinedNode[];
  readonly spool: { readonly bytes: number; readonly quota: number };
  readonly lost: readonly LossStatus[];
  /** Null: nobody runs the agent. */
  readonly live: LiveStatus | null;
}

export interface LiveStatus {
  readonly taking: string | null;
  readonly notWhile: string | null;
  readonly uplinks: ReadonlyMap<CenterId, UplinkStatus>;
  readonly nextDue: (job: Job) => Promise<UnixMillis | null>;
}

export async function agentStatus(parts: StatusParts): Promise<AgentStatus> {
  const { world, client, name, software, live, ledger, spool } = parts;
  const upstreams = await Promise.all(
    parts.upstreams.map((upstream) =>
      upstreamStatus(ledger, upstream, live?.uplinks.get(upstream.face.id) ?? null, 'agent'),
    ),
  );
  return {
    client,
    name,
    software,
    now: world.clock.now(),
    zone: world.clock.zone,
    running: live !== null,
    taking: live?.taking ?? null,
    notWhile: live?.notWhile ?? null,
    mistakes: parts.mistakes,
    upstreams,
    centers: await withLeftCenters(ledger, knownCenters(parts.upstreams)),
    jobs: await Promise.all(parts.jobs.map((job) => jobStatus(parts, job, upstreams))),
    spool: { ...spool, snapshots: await spooled(ledger.db) },
    lost: parts.lost,
  };
}

async function jobStatus(
  parts: StatusParts,
  job: Job,
  upstreams: readonly UpstreamStatus[],
): Promise<JobStatus> {
  const { ledger, instance } = parts;
  const { name, paths, backup, transfer, zone } = job;
  const memory =
    (await ledger.db.selectFrom('jobs').selectAll().where('name', '=', name).executeTakeFirst()) ?? null;
  const all = centersReached(parts.upstreams).map(({ id }) => id);
  const centers = job.centers.length === 0 ? all : all.filter((id) => job.centers.includes(id));
  const snapshots = await snapshotsOf(ledger.db, instance, name);
  return {
    name,
    paths,
    backup,
    transfer,
    zone,
    centers,
    lastTaken: memory?.last_taken ?? null,
    nextDue: await nextDue(parts, job, memory?.since ?? null, memory?.last_taken ?? null),
    protection: withRemarks(protectionOf({ memory, snapshots, centers }), neverMeets(job, parts, upstreams)),
  };
}

const withRemarks = (protection: Protection, first: readonly Remark[]): Protection => ({
  ...protection,
  remarks: [...first, ...protection.remarks],
});

/** S22: of a job that was edited, and of a node that has changed its hours since the job was made. */
function neverMeets(job: Job, parts: StatusParts, upstreams: readonly UpstreamStatus[]): Remark[] {
  const own = parseWindows(job.transfer, job.zone);
  const now = parts.world.clock.now();
  return parts.upstreams.flatMap(({ centers }, at): Remark[] => {
    const { name: node, windows, zone } = upstreams[at]!;
    const owed = job.centers.length === 0 || centers.some(({ id }) => job.centers.includes(id));
    if (!owed || windows === null || zone === null) return [];
    return everMeet(own, parseWindows(windows, zone), now)
      ? []
      : [{ kind: 'never-meets', node, windows, zone }];
  });
}

/** Beside an agent that does not run: when it would be due if it ran. */
async function nextDue(
  { live, world }: StatusParts,
  job: Job,
  since: UnixMillis | null,
  lastTaken: UnixMillis | null,
): Promise<UnixMillis | null> {
  if (live !== null) return await live.nextDue(job);
  const now = world.clock.now();
  return dueAt(parseCalendar(job.backup, job.zone), { lastTaken, since: since ?? now, now });
}

/** Newest first. */
async function snapshotsOf(
  db: Database,
  instance: InstanceId,
  job: string,
): Promise<{ row: SnapshotRow; copies: CopyRow[] }[]> {
  const rows = await db
    .selectFrom('snapshots')
    .selectAll()
    .where('instance', '=', instance)
    .where('job', '=', job)
    .orderBy('sequence', 'desc')
    .execute();
  const copies = await db
    .selectFrom('copies')
    .innerJoin('snapshots', 'snapshots.id', 'copies.snapshot')
    .selectAll('copies')
    .where('snapshots.instance', '=', instance)
    .where('snapshots.job', '=', job)
    .execute();
  const bySnapshot = Map.groupBy(copies, ({ snapshot }) => snapshot);
  return rows.map((row) => ({ row, copies: bySnapshot.get(row.id) ?? [] }));
}

/** What is in the spool, oldest first. */
export async function spooled(db: Database): Promise<SpooledSnapshot[]> {
  const rows = await spooledSnapshots(db);
  const list: SpooledSnapshot[] = [];
  for (const row of rows) {
    const rows = await db
      .selectFrom('copies')
      .select(['center', 'phase', 'code', 'until', 'since', 'holder', 'expected'])
      .where('snapshot', '=', row.id)
      .orderBy('center')
      .execute();
    const copies = rows.map((copy) => ({ ...copy, expected: expectedIn(copy) }));
    const { id, job, taken_at, new_bytes, complete } = row;
    list.push({ id, job, takenAt: taken_at, bytes: new_bytes, complete: complete === 1, copies });
  }
  return list;
}
