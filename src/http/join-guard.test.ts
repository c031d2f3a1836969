import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINUTE_MS } from '../model/time.ts';
import { JoinGuard } from './join-guard.ts';

test('an address that fails too often waits for the rest of its minute; others do not', () => {
  const guard = new JoinGuard(3);
  const failures = [0, 1, 2, 3].map((at) => {
    guard.mayTry('a', at);
    return guard.failed('a', at);
  });
  assert.deepEqual(failures, [false, false, true, false]);
  assert.equal(guard.mayTry('a', MINUTE_MS), false);
  assert.equal(guard.mayTry('b', MINUTE_MS), true);
  assert.equal(guard.mayTry('a', MINUTE_MS + 1), true);
  assert.equal(guard.failed('a', MINUTE_MS + 1), false);
});

test('a flood of addresses costs no memory: the ones that failed last are remembered', () => {
  const guard = new JoinGuard(1);
  for (let at = 0; at < 5000; at++) guard.failed(`address ${at}`, at / 1000);
  assert.equal(guard.mayTry('address 4999', 5), false);
  assert.equal(guard.mayTry('address 4000', 5), false);
  assert.equal(guard.mayTry('address 3999', 5), true);
});
