import { RandomStream } from '../../src/model/random-stream.ts';
import type { Fleet } from '../../src/simulate/fleet.ts';
import { measure, type Metrics } from '../../src/simulate/metrics.ts';
import { simulateNight } from '../../src/simulate/night.ts';
import { progressEvery } from '../../src/simulate/simulate.ts';
import { Reach } from '../../src/simulate/reach.ts';
import { intersect, clip, totalTime } from '../../src/schedule/spans.ts';
import { intervalsBetween } from '../../src/schedule/windows.ts';
import type { Contender } from './contenders.ts';

/** What is compared. Hours, parts and counts. */
export interface Trial {
  /** Until all within reach are collected; until the end of the scenario if some are not. */
  readonly hours: number;
  /** The moment from which it counts. */
  readonly opening: number;
  readonly complete: boolean;
  readonly p95Hours: number;
  readonly misses: number;
  readonly uncollected: number;
  /** Clients whose newest copy got older than twice its target before the next arrived; the oldest over its target. */
  readonly starved: number;
  /** Those of them that were connected for long enough before that, had there been no other. */
  readonly starvedInReach: number;
  readonly worstAge: number;
  readonly jain: number;
  readonly peakOfCap: number;
  readonly slowdownP99: number;
  readonly resentShare: number;
  /** Seconds on the wire outside of the windows of both sides, of all. */
  readonly outsideSeconds: number;
  readonly decisions: number;
}

const HOUR = 3_600_000;

export function tryOut(drawn: Fleet, contender: Contender, value: number, seed: number): Trial {
  const { spoolless = false } = contender;
  const fleet = spoolless ? withGuessedSizes(drawn, seed) : drawn;
  const night = simulateNight(fleet, contender.make(fleet, value, seed), {
    yields: false,
    random: new RandomStream(seed, 'failures'),
    progressMs: progressEvery(fleet.clients.length),
    resumes: !spoolless,
  });
  const metrics: Metrics = measure(night);
  const { opening, allCollected } = metrics;
  // Nothing is taken on the later days, so ages count up to the collection only.
  const reach = new Reach(fleet);
  const ages = night.fates.flatMap(({ client, snapshot, collectedAt }) => {
    const { target, lastCollected } = client.spec;
    if (target === null || collectedAt === null) return [];
    const age = (collectedAt - lastCollected!) / target;
    return [{ age, couldBeLess: reach.within(client.spec, snapshot, lastCollected! + 2 * target) }];
  });
  const old = ages.filter(({ age }) => age > 2);
  return {
    hours: (allCollected ?? fleet.until - (opening ?? fleet.from)) / HOUR,
    opening: opening ?? fleet.from,
    complete: allCollected !== null,
    p95Hours: (metrics.completionP95 ?? Infinity) / HOUR,
    misses: metrics.missesInReach,
    uncollected: metrics.reachable - Math.min(metrics.reachable, metrics.collected),
    starved: old.length,
    starvedInReach: old.filter(({ couldBeLess }) => couldBeLess).length,
    worstAge: ages.reduce((most, { age }) => Math.max(most, age), 0),
    jain: metrics.jain ?? 1,
    peakOfCap: metrics.peakOfCap ?? 0,
    slowdownP99: metrics.slowdownP99 ?? 1,
    resentShare: metrics.bytesResent / Math.max(1, metrics.bytesReady),
    outsideSeconds: outside(night),
    decisions: metrics.decisions,
  };
}

/** What the last backup came to is all that is known of the next one: up to a half more or less. */
function withGuessedSizes(fleet: Fleet, seed: number): Fleet {
  const random = new RandomStream(seed, 'guessed sizes');
  const clients = fleet.clients.map((client) => ({
    ...client,
    snapshots: client.snapshots.map((snapshot) => ({
      ...snapshot,
      announced: Math.round(snapshot.bytes * (0.5 + random.fraction())),
    })),
  }));
  return { ...fleet, clients };
}

/** A stop takes up to two seconds; what is longer than that beyond an end counts. */
function outside({ fleet, stretches }: ReturnType<typeof simulateNight>): number {
  const open = new Map<string, ReturnType<typeof intervalsBetween>>();
  let seconds = 0;
  for (const { fate, start, end } of stretches) {
    const { windows } = fate.client.spec;
    const known =
      open.get(windows.text) ??
      intersect(
        intervalsBetween(fleet.conditions.windows, fleet.from, fleet.until),
        intervalsBetween(windows, fleet.from, fleet.until),
      );
    open.set(windows.text, known);
    const out = end - start - totalTime(clip(known, start, end));
    if (out > 2000) seconds += out / 1000;
  }
  return seconds;
}
