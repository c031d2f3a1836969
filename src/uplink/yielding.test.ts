import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startYielding, type Yielding, yieldTo } from './yielding.ts';

/**
 * A line of 10 MB/s with 20 ms of empty round trip. What is sent beyond what others leave stands in a queue, up to 2 s.
 */
function onLine(
  foreground: (second: number) => number,
  seconds: number,
): { rates: number[]; queues: number[] } {
  const capacity = 10_000_000;
  let state: Yielding = startYielding(0);
  let queued = 0;
  const rates: number[] = [];
  const queues: number[] = [];
  for (let second = 0; second < seconds; second++) {
    const left = capacity - foreground(second);
    const sent = Math.min(state.bytesPerSecond, capacity);
    queued = Math.min(2 * capacity, Math.max(0, queued + sent - left));
    const queueMs = (queued / capacity) * 1000;
    state = yieldTo(state, { ...both(20 + queueMs), sent }, second * 1000);
    rates.push(state.bytesPerSecond);
    queues.push(queueMs);
  }
  return { rates, queues };
}

const both = (roundTrip: number) => ({ roundTrip, shortest: roundTrip });
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describe('S74: a transfer that yields', () => {
  it('takes most of an empty line', () => {
    const { rates, queues } = onLine(() => 0, 120);
    assert.ok(mean(rates.slice(30)) > 7_000_000, String(mean(rates.slice(30))));
    assert.ok(mean(queues.slice(30)) < 250, String(mean(queues.slice(30))));
  });

  it('gives way when others come, and takes the line again when they have gone', () => {
    const { rates } = onLine((second) => (second >= 60 && second < 120 ? 9_000_000 : 0), 200);
    assert.ok(mean(rates.slice(75, 120)) < 2_000_000, String(mean(rates.slice(75, 120))));
    assert.ok(mean(rates.slice(150)) > 6_000_000, String(mean(rates.slice(150))));
  });

  it('does not believe in a rate that it does not use: what holds it back may go any moment', () => {
    let state = startYielding(0);
    for (let second = 0; second < 100; second++) {
      const sent = Math.min(2_000_000, state.bytesPerSecond);
      state = yieldTo(state, { ...both(20), sent }, second * 1000);
    }
    assert.ok(state.bytesPerSecond < 4_000_000, String(state.bytesPerSecond));
    state = yieldTo(state, { ...both(250), sent: 2_000_000 }, 100_000);
    assert.ok(state.bytesPerSecond <= 1_000_000, 'one sample is enough to make room');
  });

  it('never stops altogether', () => {
    const { rates } = onLine(() => 10_000_000, 300);
    assert.ok(Math.min(...rates) >= 64 * 1024);
  });

  it('takes a longer route for what it is, after a while', () => {
    let state = startYielding(0);
    const after = (roundTrip: number, second: number): Yielding =>
      yieldTo(state, { ...both(roundTrip), sent: state.bytesPerSecond }, second * 1000);
    for (let second = 0; second < 60; second++) state = after(20, second);
    for (let second = 60; second < 1000; second++) state = after(180, second);
    assert.ok(state.bytesPerSecond > 10_000_000);
  });
});
