import type { ClientId, SnapshotId } from '../model/ids.ts';
import { HOUR_MS, type UnixMillis } from '../model/time.ts';
import { conditionsWith } from '../schedule/plan.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { Fleet, FleetClient, FleetLine } from './fleet.ts';
import { constant } from './steps.ts';

/** 2026-03-02 20:00 UTC. */
export const EVENING: UnixMillis = 1_772_481_600_000;
export const MEGABYTE = 1e6;

export function lineFor(
  name: string,
  parent: number | null,
  megabytes: number,
  more: Partial<FleetLine> = {},
): FleetLine {
  return {
    name,
    parent,
    capacity: constant(megabytes * MEGABYTE),
    cap: constant(Infinity),
    foreground: constant(0),
    foregroundFlow: MEGABYTE,
    ...more,
  };
}

/** One snapshot, ready at the beginning. */
export function clientFor(name: string, megabytes: number, more: Partial<FleetClient> = {}): FleetClient {
  const bytes = megabytes * MEGABYTE;
  return {
    id: name as ClientId,
    name,
    group: 'test',
    line: 0,
    speed: 100 * MEGABYTE,
    windows: parseWindows('any', 'UTC'),
    online: null,
    snapshots: [
      {
        id: `${name}/1` as SnapshotId,
        sequence: 1,
        bytes,
        announced: bytes,
        readyAt: EVENING,
        deadline: null,
      },
    ],
    target: null,
    lastCollected: null,
    session: null,
    breaksPerHour: 0,
    mute: false,
    ...more,
  };
}

export function fleetFor(clients: readonly FleetClient[], more: Partial<Fleet> = {}): Fleet {
  return {
    name: 'test',
    zone: 'UTC',
    from: EVENING,
    until: EVENING + 10 * HOUR_MS,
    lines: [lineFor('center', null, 10)],
    clients,
    conditions: conditionsWith(parseWindows('any', 'UTC'), 10),
    restores: [],
    ...more,
  };
}
