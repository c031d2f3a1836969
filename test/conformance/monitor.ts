/**
 * What every Monitor must do.
 *
 *   monitorConformance(name, make)
 *
 * `make()` gives a fresh Monitor and `told()`, the messages that it took so far as plain values, in order, each with
 * what it was told under its own field names.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Event, Problem } from '../../src/model/events.ts';
import type { Monitor } from '../../src/world/ports.ts';

export interface MonitorUnderTest {
  readonly monitor: Monitor;
  readonly told: () => readonly object[];
}

const EVENT = { kind: 'alarm', code: 'quota-full', message: 'the spool is full' } as const satisfies Event;
const PROBLEM: Problem = {
  path: '/home/\u202Eann',
  code: 'vanished',
  message: 'it is gone',
  severity: 'note',
};

export function monitorConformance(name: string, make: () => MonitorUnderTest): void {
  describe(`Monitor: ${name}`, () => {
    test('takes events and problems in the order in which it is told', () => {
      const { monitor, told } = make();
      monitor.event(EVENT);
      monitor.problem(PROBLEM);
      monitor.event({ ...EVENT, message: 'again' });
      const [first, second, third, ...more] = told();
      for (const [field, value] of Object.entries(EVENT)) assert.equal(Reflect.get(first!, field), value);
      for (const [field, value] of Object.entries(PROBLEM)) assert.equal(Reflect.get(second!, field), value);
      assert.equal(Reflect.get(third!, 'message'), 'again');
      assert.deepEqual(more, []);
    });

    test('is not changed by what becomes of the object it was given', () => {
      const { monitor, told } = make();
      const problem = { ...PROBLEM };
      monitor.problem(problem);
      problem.message = 'something else';
      assert.equal(Reflect.get(told()[0]!, 'message'), PROBLEM.message);
    });

    test('answers at once and never throws, however often it is told of progress', () => {
      const { monitor } = make();
      for (let files = 0; files < 10_000; files++) {
        assert.equal(
          monitor.progress({ doing: 'backup', files, bytes: files * 10, bytesTotal: 0 }),
          undefined,
        );
      }
    });
  });
}
