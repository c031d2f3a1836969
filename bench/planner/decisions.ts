/**
 * What one event costs the planner: a night's queue of offers, then events of a running night.
 *
 *   node bench/planner/decisions.ts [OFFERS ..]     (1000 10000 100000 1000000)
 *
 * Everybody is online, offers wait behind 64 lines with a rate each, 200 are under way. Of each
 * committed transfer three events are timed, by the clock and by processor time; then a change of the center's windows, which has to look at
 * everything anew.
 */
import type { ClientId, SnapshotId } from '../../src/model/ids.ts';
import { RandomStream } from '../../src/model/random-stream.ts';
import { HOUR_MS, SECOND_MS } from '../../src/model/time.ts';
import {
  conditionsWith,
  type CenterConditions,
  type PlannedOffer,
  type PlannerEvent,
} from '../../src/schedule/plan.ts';
import { newPlanner, step, type PlannerStep } from '../../src/schedule/planner.ts';
import { parseRate } from '../../src/schedule/rate-text.ts';
import { parseWindows } from '../../src/schedule/windows.ts';
import { quantile } from '../../src/simulate/metrics.ts';

/** Milliseconds of this thread on a processor: what others do on the machine meanwhile does not count. */
const spent = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

const EVENING = 1_772_481_600_000;
const EVENTS = 3000;
const LINES = 64;
const WINDOWS = ['any', '20:00-06:00', '22:00-03:00', '21:00-05:00 Europe/London'].map((text) =>
  parseWindows(text, 'UTC'),
);

function conditions(windows: string): CenterConditions {
  const lines = new Map(
    Array.from({ length: LINES }, (_, at) => [`line${at}`, parseRate('200 Mbit/s', 'UTC')]),
  );
  return conditionsWith(parseWindows(windows, 'UTC'), 200, { lines, rate: parseRate('10 Gbit/s', 'UTC') });
}

function offerOf(client: ClientId, at: number, now: number, random: RandomStream): PlannedOffer {
  return {
    snapshot: `s${at}` as SnapshotId,
    client,
    line: `line${at % LINES}`,
    job: 'job',
    sequence: 1,
    bytes: 1e8 + random.below(1e9),
    windows: WINDOWS[at % WINDOWS.length]!,
    offeredAt: now - random.below(HOUR_MS),
    deadline: null,
    target: 36 * HOUR_MS,
    lastCollected: now - 24 * HOUR_MS,
  };
}

function measure(offers: number): void {
  const random = new RandomStream(1, offers);
  let now = EVENING;
  let last = step(newPlanner(conditions('20:00-08:00'), now), { kind: 'tick' }, now);
  const going: SnapshotId[] = [];
  const tell = (event: PlannerEvent): PlannerStep => {
    last = step(last.state, event, now);
    for (const grant of last.grants) if (grant.kind === 'start') going.push(grant.snapshot);
    return last;
  };
  const began = spent();
  for (let at = 0; at < offers; at++) {
    const client = `c${at}` as ClientId;
    tell({ kind: 'online', client });
    tell({ kind: 'offered', offer: offerOf(client, at, now, random) });
  }
  const filling = ((spent() - began) * 1000) / (2 * offers);
  const times: number[] = [];
  const before = spent();
  for (let turn = 0; turn < EVENTS && going.length > 0; turn++) {
    now += SECOND_MS;
    const snapshot = going.shift()!;
    const events: PlannerEvent[] = [
      { kind: 'started', snapshot },
      { kind: 'progress', snapshot, bytes: 1e6 },
      { kind: 'ended', snapshot, outcome: 'committed' },
    ];
    for (const event of events) {
      const start = performance.now();
      tell(event);
      times.push(performance.now() - start);
    }
  }
  const each = ((spent() - before) * 1000) / times.length;
  times.sort((a, b) => a - b);
  const replans = ['20:30-08:00', '20:15-07:00', '19:45-08:00'].map((windows) => {
    const start = spent();
    tell({ kind: 'conditions', conditions: conditions(windows) });
    return spent() - start;
  });
  const figures = [quantile(times, 0.5)!, quantile(times, 0.99)!, times.at(-1)!].map((ms) => ms.toFixed(3));
  const replan = replans.sort((a, b) => a - b)[1]!;
  console.log(
    `| ${offers.toLocaleString('en-US')} | ${filling.toFixed(1)} | ${each.toFixed(0)} | ${figures.join(' | ')} | ${replan.toFixed(0)} |`,
  );
}

const asked = process.argv.slice(2).map(Number);
console.log(
  '| offers | CPU µs an event while they come | CPU µs an event later | p50 ms | p99 ms | longest ms | re-plan CPU ms |',
);
console.log('| ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
for (const offers of asked.length > 0 ? asked : [1000, 10_000, 100_000, 1_000_000]) measure(offers);
