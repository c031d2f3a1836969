import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';
import { conditionsWith } from '../schedule/plan.ts';
import { parseRate } from '../schedule/rate-text.ts';
import { parseWindows } from '../schedule/windows.ts';
import { replayFleet, replaySpan, type PastBackup } from './replay.ts';
import { simulate, type Simulation } from './simulate.ts';

const MB = 1_000_000;
/** A Monday, 20:00 in Tokyo. */
const EVENING = Temporal.Instant.from('2026-03-02T11:00Z').epochMilliseconds;
const ZONE = 'Asia/Tokyo';

const backup = (name: string, client: string, more: Partial<PastBackup> = {}): PastBackup => ({
  snapshot: name as SnapshotId,
  client: client as ClientId,
  clientName: client,
  instance: client as InstanceId,
  chain: name,
  sequence: 1,
  transfer: null,
  zone: null,
  offeredAt: EVENING,
  bytes: 600 * MB,
  arrivedAt: null,
  orderedAt: null,
  receivedBytes: null,
  ...more,
});

function played(past: readonly PastBackup[], line: string | null = null): Map<string, number | null> {
  const conditions = conditionsWith(parseWindows('any', ZONE), 4, {
    lines: new Map([['site', parseRate('1 MB/s', ZONE)]]),
  });
  const fleet = replayFleet(past, {
    name: 'again',
    zone: ZONE,
    ...replaySpan(past),
    conditions,
    capacity: 100 * MB,
    speeds: new Map(past.map(({ client }) => [client, 10 * MB])),
    lineOf: () => line,
    targetOf: () => null,
  });
  const steps = simulate(fleet, 'past', false);
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  const { night }: Simulation = step.value;
  return new Map(night.fates.map(({ snapshot, collectedAt }) => [snapshot.id, collectedAt]));
}

test("a replay keeps to the computers' own windows as they were, and one job does not wait for another's", () => {
  const night = { transfer: '00:00-03:00', zone: ZONE };
  const times = played([backup('a', 'ann', night), backup('b', 'ann'), backup('c', 'bob', night)]);
  assert.ok(times.get('b')! < EVENING + 2 * MINUTE_MS);
  for (const late of ['a', 'c']) {
    assert.ok(times.get(late)! > EVENING + 4 * HOUR_MS);
    assert.ok(times.get(late)! < EVENING + 4.1 * HOUR_MS);
  }
});

test('a replay gives a line no more than the conditions do', () => {
  const past = [backup('a', 'ann'), backup('b', 'bob')];
  const alone = [...played(past).values()];
  const shared = [...played(past, 'site').values()];
  assert.ok(Math.max(...alone.map((at) => at! - EVENING)) < 2 * MINUTE_MS);
  assert.ok(Math.max(...shared.map((at) => at! - EVENING)) > 20 * MINUTE_MS);
});
