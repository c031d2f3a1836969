import type { ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import { DAY_MS, MINUTE_MS, type UnixMillis } from '../model/time.ts';
import type { CenterConditions } from '../schedule/plan.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { Fleet, FleetClient, FleetLine, FleetSnapshot } from './fleet.ts';
import { stepsOf } from './rate-steps.ts';
import { constant } from './steps.ts';

/** A backup that a center was offered in the past. */
export interface PastBackup {
  readonly snapshot: SnapshotId;
  readonly client: ClientId;
  readonly clientName: string | null;
  readonly instance: InstanceId;
  readonly chain: string;
  readonly sequence: number;
  /** When it might travel; null where nobody noted it. */
  readonly transfer: string | null;
  readonly zone: string | null;
  readonly offeredAt: UnixMillis;
  readonly bytes: number;
  readonly arrivedAt: UnixMillis | null;
  readonly orderedAt: UnixMillis | null;
  readonly receivedBytes: number | null;
}

export interface ReplayOptions {
  readonly name: string;
  readonly zone: string;
  readonly from: UnixMillis;
  readonly until: UnixMillis;
  readonly conditions: CenterConditions;
  /** Of the center's line, and of each other at least, bytes per second. */
  readonly capacity: number;
  /** The line of the conditions by which a computer comes; null for none. */
  readonly lineOf: (client: ClientId) => string | null;
  /** How old the newest copy of what it backs up may get, in milliseconds; null for no matter. */
  readonly targetOf: (client: ClientId) => number | null;
  /** What computers are known to be able to send, in bytes a second: what the planner itself begins with (S68). */
  readonly speeds: ReadonlyMap<ClientId, number>;
}

/** Of a computer of which the past does not tell: 100 Mbit/s. */
const UNKNOWN_SPEED = 12_500_000;
/** What came in less time or is smaller tells nothing about speed. */
const TELLING_MS = 2000;
const TELLING_BYTES = 1_000_000;

/**
 * The past again under other conditions: sizes, times and the computers' own windows are as they were, each computer is
 * as fast as it once was at its best. What the past does not tell is taken to be favourable: computers are connected, and
 * may send at any time where their windows are not known.
 */
export function replayFleet(past: readonly PastBackup[], options: ReplayOptions): Fleet {
  const { name, zone, from, until, conditions } = options;
  const lines = linesOf(options);
  const clients = [...Map.groupBy(past, ({ client }) => client)].map(([id, backups]) =>
    clientOf(id, backups, options, lines),
  );
  return { name, zone, from, until, lines, clients, conditions, restores: [] };
}

/** The center's own, and those of the conditions, which carry what they are allowed at least. */
function linesOf({ conditions, capacity, from, until }: ReplayOptions): FleetLine[] {
  const people = { foreground: constant(0), foregroundFlow: 0 };
  const own = { name: 'center', parent: null, capacity: constant(capacity), ...people };
  const others = [...conditions.lines].map(([name, plan]): FleetLine => {
    const cap = stepsOf(plan, from, until);
    const rates = cap.map(({ value }) => value).filter((value) => Number.isFinite(value));
    return { name, parent: 0, capacity: constant(Math.max(capacity, ...rates)), cap, ...people };
  });
  return [{ ...own, cap: stepsOf(conditions.rate, from, until) }, ...others];
}

function clientOf(
  id: ClientId,
  backups: readonly PastBackup[],
  { zone, speeds, lineOf, targetOf }: ReplayOptions,
  lines: readonly FleetLine[],
): FleetClient {
  const { clientName } = backups[0]!;
  const line = lineOf(id);
  return {
    id,
    name: clientName ?? id.slice(0, 12),
    group: 'computers',
    line: line === null ? 0 : lines.findIndex((each, at) => at > 0 && each.name === line),
    speed: speeds.get(id) ?? speedOf(backups),
    windows: parseWindows('any', zone),
    online: null,
    session: null,
    snapshots: backups.map((backup) => snapshotOf(backup, zone)),
    target: targetOf(id),
    lastCollected: null,
    breaksPerHour: 0,
    mute: false,
  };
}

function snapshotOf(backup: PastBackup, zone: string): FleetSnapshot {
  const { snapshot, bytes, offeredAt, instance, chain, sequence, transfer } = backup;
  return {
    id: snapshot,
    job: `${instance}/${chain}`,
    sequence,
    windows: parseWindows(transfer ?? 'any', backup.zone ?? zone),
    bytes: Math.max(1, bytes),
    announced: Math.max(1, bytes),
    readyAt: offeredAt,
    deadline: null,
  };
}

function speedOf(backups: readonly PastBackup[]): number {
  let best = 0;
  for (const { arrivedAt, orderedAt, receivedBytes } of backups) {
    if (arrivedAt === null || orderedAt === null || receivedBytes === null) continue;
    const took = arrivedAt - orderedAt;
    if (took >= TELLING_MS && took < 7 * DAY_MS && receivedBytes >= TELLING_BYTES) {
      best = Math.max(best, (receivedBytes / took) * 1000);
    }
  }
  return best === 0 ? UNKNOWN_SPEED : Math.round(best);
}

/** What really happened, to be put beside: milliseconds that each arrived backup had waited. */
export function pastWaits(past: readonly PastBackup[]): number[] {
  return past
    .flatMap(({ offeredAt, arrivedAt }) => (arrivedAt === null ? [] : [Math.max(0, arrivedAt - offeredAt)]))
    .sort((a, b) => a - b);
}

/** From the first whole minute of the first offer to a day after the last. */
export function replaySpan(past: readonly PastBackup[]): { from: UnixMillis; until: UnixMillis } {
  const first = past[0]?.offeredAt ?? 0;
  const last = past.at(-1)?.offeredAt ?? first;
  return { from: Math.floor(first / MINUTE_MS) * MINUTE_MS, until: last + DAY_MS };
}
