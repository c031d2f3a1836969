import { z } from 'zod';
import { targetOf } from '../../collect/conditions.ts';
import { dateOf } from '../../collect/past.ts';
import type { Reading } from '../../collect/watches.ts';
import { openJobsAt, type OpenJob } from '../../ledger/copies.ts';
import type { Held } from '../../ledger/holds.ts';
import { newestKnown, type NewestWhole, newestWholeAt } from '../../ledger/newest.ts';
import type { CenterId, SnapshotId } from '../../model/ids.ts';
import { DAY_MS, type UnixMillis } from '../../model/time.ts';
import type { Center } from './center.ts';
import { type ClientLine, linesOf } from './view.ts';
import type { CenterDesk } from './people.ts';
import { checked } from '../people.ts';

/** What the operator of a center looks at first, as plain data. Times are milliseconds since 1970. */
export interface CenterOverview {
  readonly center: CenterId;
  readonly name: string;
  readonly software: string;
  readonly now: UnixMillis;
  /** This machine's zone. */
  readonly zone: string;
  readonly running: boolean;
  /** What keeps the settings file as it is now from being in force; null for nothing. */
  readonly mistake: string | null;
  readonly windows: string;
  /** Of the windows. */
  readonly windowsZone: string;
  readonly streams: number;
  /** Bytes of all blocks here. */
  readonly stored: number;
  /** What was measured last; empty where nothing waits or the center does not run. */
  readonly readings: readonly Reading[];
  /** Those that may send and are no relays, by name. */
  readonly computers: readonly ComputerStatus[];
}

export interface ComputerStatus extends Pick<
  ClientLine,
  'id' | 'name' | 'via' | 'direct' | 'left' | 'enrolledAt' | 'seenAt' | 'connected'
> {
  /** Nothing is collected from it for the time being, or from every relay that it comes through. */
  readonly held: Held | null;
  /** By name; none if nothing of it was ever offered. */
  readonly jobs: readonly JobHere[];
}

export interface JobHere {
  readonly job: string;
  /** The newest whole backup here. */
  readonly newest: Newest | null;
  /** What of it is still to come. */
  readonly coming: { readonly snapshots: number; readonly bytes: number };
  /** How old the newest may get, in milliseconds; null if nobody said so. */
  readonly target: number | null;
  readonly standing: Standing;
}

interface Newest {
  readonly snapshot: SnapshotId;
  /** By the computer's clock, or when it arrived if that cannot be. */
  readonly takenAt: UnixMillis;
  readonly arrivedAt: UnixMillis | null;
}

/** `late` is older than the target, `old` older than a week where there is none; `nothing` is not here at all. */
export type Standing = 'here' | 'late' | 'old' | 'nothing';

/** Nobody who backs up at all wants less. */
export const OLD_MS = 7 * DAY_MS;

export interface OverviewPeople {
  overview(ask: object): Promise<CenterOverview>;
}

interface OverviewDesk extends Pick<CenterDesk, 'running' | 'mistake'> {
  readonly authority: Pick<CenterDesk['authority'], 'face'>;
  readonly node: Pick<Center, 'world' | 'depot' | 'ledger' | 'collector'>;
  readonly software: string;
}

export function overviewPeople(desk: OverviewDesk): OverviewPeople {
  return { overview: checked(z.strictObject({}), () => overviewOf(desk)) };
}

async function overviewOf({
  authority,
  node,
  software,
  running,
  mistake,
}: OverviewDesk): Promise<CenterOverview> {
  const { world, depot, collector } = node;
  const { windows, zone, streams } = collector.conditions;
  return {
    center: authority.face.id,
    name: authority.face.name,
    software,
    now: world.clock.now(),
    zone: world.clock.zone,
    running,
    mistake: (await mistake?.()) ?? null,
    windows,
    windowsZone: zone,
    streams,
    stored: (await depot.usage()).bytes,
    readings: running ? collector.readings : [],
    computers: await computersOf({ authority, node }),
  };
}

async function computersOf({
  authority,
  node,
}: Pick<OverviewDesk, 'authority' | 'node'>): Promise<ComputerStatus[]> {
  const { world, ledger, collector } = node;
  const now = world.clock.now();
  const { id: center } = authority.face;
  const known = Map.groupBy(await newestKnown(ledger.db), ({ client }) => client);
  const here = Map.groupBy(await newestWholeAt(ledger.db, center), ({ client }) => client);
  const coming = Map.groupBy(await openJobsAt(ledger.db, center), ({ client }) => client);
  const lines = await linesOf({ node });
  const relays = new Map(lines.filter(({ role }) => role === 'relay').map((line) => [line.name, line]));
  const computers = lines.filter((line) => line.role === 'agent' && mayCome(line, relays));
  return computers.map((line) => {
    const { id, name, via, direct, left, enrolledAt, seenAt, connected, address } = line;
    const about = { id, name, via, direct, left, enrolledAt, seenAt, connected };
    const wishes = (wished: number | null): number | null =>
      targetOf(collector.conditions, { client: id, name, address }, wished);
    const facts = {
      now,
      target: wishes,
      names: (known.get(id) ?? []).map(({ job }) => job),
      whole: here.get(id) ?? [],
      open: coming.get(id) ?? [],
    };
    return { ...about, held: heldOf(line, relays), jobs: jobsOf(facts) };
  });
}

type Relays = ReadonlyMap<string, ClientLine>;

/** Itself, through some relay that was not shut out, or nobody knows how: of a center that pulled what it has. */
function mayCome({ revokedAt, direct, via, left }: ClientLine, relays: Relays): boolean {
  if (revokedAt !== null || left?.relay === null) return false;
  // It has not left itself: somebody must look where its backups go now.
  if (left !== null) return true;
  return direct || via.length === 0 || via.some((relay) => (relays.get(relay)?.revokedAt ?? null) === null);
}

function heldOf({ held, direct, via }: ClientLine, relays: Relays): Held | null {
  if (held !== null || direct) return held;
  const holds = via.map((relay) => relays.get(relay)?.held ?? null);
  return holds.includes(null) ? null : (holds[0] ?? null);
}

interface JobFacts {
  readonly now: UnixMillis;
  /** @param wished by the job's owner */
  readonly target: (wished: number | null) => number | null;
  /** Of all jobs; of some more than once. */
  readonly names: readonly string[];
  readonly whole: readonly NewestWhole[];
  readonly open: readonly OpenJob[];
}

/** A machine that was set up anew goes on with its jobs under another instance: they are told of once. */
function jobsOf({ now, target: targetFor, names, whole, open }: JobFacts): JobHere[] {
  return [...new Set(names)].sort().map((job) => {
    const rows = whole.filter((row) => row.job === job).sort((a, b) => b.taken_at - a.taken_at);
    const newest = newestOf(rows[0]);
    const target = targetFor(rows[0]?.target ?? null);
    const { snapshots = 0, bytes = 0 } = open.find((waiting) => waiting.job === job) ?? {};
    return { job, newest, coming: { snapshots, bytes }, target, standing: standingOf(newest, target, now) };
  });
}

function newestOf(row: NewestWhole | undefined): Newest | null {
  if (row === undefined) return null;
  const { id, taken_at, arrived_at } = row;
  const takenAt = arrived_at === null ? taken_at : dateOf({ takenAt: taken_at, arrivedAt: arrived_at });
  return { snapshot: id, takenAt, arrivedAt: arrived_at };
}

function standingOf(newest: Newest | null, target: number | null, now: UnixMillis): Standing {
  if (newest === null) return 'nothing';
  const age = now - newest.takenAt;
  if (target !== null) return age > target ? 'late' : 'here';
  return age > OLD_MS ? 'old' : 'here';
}
