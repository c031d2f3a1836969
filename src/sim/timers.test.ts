import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { TimerQueue } from './timers.ts';

test('timers come by due time, then in the order in which they were set, without the cancelled', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ due: fc.nat(20), cancelled: fc.boolean() })), (wanted) => {
      const queue = new TimerQueue();
      const fired: number[] = [];
      const timers = wanted.map(({ due }, at) => queue.add(due, () => fired.push(at)));
      for (const [at, { cancelled }] of wanted.entries()) timers[at]!.cancelled = cancelled;
      for (let timer = queue.pop(); timer !== undefined; timer = queue.pop()) timer.fire();
      const expected = wanted
        .map(({ due, cancelled }, at) => ({ due, cancelled, at }))
        .filter(({ cancelled }) => !cancelled)
        .sort((a, b) => a.due - b.due || a.at - b.at)
        .map(({ at }) => at);
      assert.deepEqual(fired, expected);
    }),
  );
});
