import type { ClientId, SnapshotId } from '../model/ids.ts';
import { DAY_MS, MINUTE_MS, type UnixMillis } from '../model/time.ts';
import type { CenterConditions } from '../schedule/plan.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { Fleet, FleetClient } from './fleet.ts';
import { stepsOf } from './rate-steps.ts';
import { constant } from './steps.ts';

/** A backup that a center was offered in the past. */
export interface PastBackup {
  readonly snapshot: SnapshotId;
  readonly client: ClientId;
  readonly clientName: string | null;
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
  /** Of the center's line, bytes per second. */
  readonly capacity: number;
  /** What computers are known to be able to send, in bytes a second: what the planner itself begins with (S68). */
  readonly speeds: ReadonlyMap<ClientId, number>;
}

/** Of a computer of which the past does not tell: 100 Mbit/s. */
const UNKNOWN_SPEED = 12_500_000;
/** What came in less time or is smaller tells nothing about speed. */
const TELLING_MS = 2000;
const TELLING_BYTES = 1_000_000;

/**
 * The past again under other conditions: sizes and times are as they were, each computer is as fast as it once was at
 * its best. What the past does not tell is taken to be favourable: computers are connected and may send at any time.
 */
export function replayFleet(past: readonly PastBackup[], options: ReplayOptions): Fleet {
  const { name, zone, from, until, conditions, capacity, speeds } = options;
  const any = parseWindows('any', zone);
  const clients = [...Map.groupBy(past, ({ client }) => client)].map(([id, backups]): FleetClient => {
    const { clientName } = backups[0]!;
    return {
      id,
      name: clientName ?? id.slice(0, 12),
      group: 'computers',
      line: 0,
      speed: speeds.get(id) ?? speedOf(backups),
      windows: any,
      online: null,
      session: null,
      snapshots: backups.map(({ snapshot, bytes, offeredAt }, at) => ({
        id: snapshot,
        sequence: at + 1,
        bytes: Math.max(1, bytes),
        announced: Math.max(1, bytes),
        readyAt: offeredAt,
        deadline: offeredAt + DAY_MS,
      })),
      target: null,
      lastCollected: null,
      breaksPerHour: 0,
      mute: false,
    };
  });
  const center = {
    name: 'center',
    parent: null,
    capacity: constant(capacity),
    cap: stepsOf(conditions.rate, from, until),
    foreground: constant(0),
    foregroundFlow: 0,
  };
  return { name, zone, from, until, lines: [center], clients, conditions, restores: [] };
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
