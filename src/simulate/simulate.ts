import { RandomStream } from '../model/random-stream.ts';
import { SECOND_MS } from '../model/time.ts';
import { plannerController } from './controller.ts';
import type { Fleet } from './fleet.ts';
import { measure, type Metrics } from './metrics.ts';
import { nightSteps, type NightResult } from './night.ts';

export interface Simulation {
  readonly night: NightResult;
  readonly metrics: Metrics;
}

/** Up to so many computers every 10 s of every transfer are told to the planner; of larger fleets fewer. */
const REPORTED_CLIENTS = 5000;

/** How often the planner hears of a transfer. */
export function progressEvery(clients: number): number {
  return 10 * SECOND_MS * Math.max(1, Math.ceil(clients / REPORTED_CLIENTS));
}

/**
 * A night of this fleet under the planner of centers. One seed gives one result. Yields, as a part of the whole, how
 * far it is, so that whoever waits can say so and can give up.
 */
export function* simulate(fleet: Fleet, seed: string, yields: boolean): Generator<number, Simulation, void> {
  const { from, until } = fleet;
  const steps = nightSteps(fleet, plannerController(fleet.conditions, from), {
    yields,
    random: new RandomStream(seed, 'failures'),
    progressMs: progressEvery(fleet.clients.length),
  });
  for (;;) {
    const { done, value } = steps.next();
    if (done) return { night: value, metrics: measure(value) };
    yield (value - from) / (until - from);
  }
}
