import type { UnixMillis } from '../model/time.ts';
import { rateAt, type RatePlan } from '../schedule/rate-plan.ts';
import type { Steps } from './steps.ts';

/** A plan of rates over a stretch of time; Infinity where there is no limit. */
export function stepsOf(plan: RatePlan, from: UnixMillis, until: UnixMillis): Steps {
  const steps: { at: UnixMillis; value: number }[] = [];
  for (let at: UnixMillis | null = from; at !== null && at < until;) {
    const now = rateAt(plan, at);
    const value = now.bytesPerSecond ?? Infinity;
    if (steps.at(-1)?.value !== value) steps.push({ at, value });
    at = now.until;
  }
  return steps;
}
