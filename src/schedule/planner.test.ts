import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECOND_MS } from '../model/time.ts';
import { conditionsWith, type PlannerEvent } from './plan.ts';
import { BACK_OFF_FIRST_MS, BACK_OFF_LAST_MS, step } from './planner.ts';
import { at, Bench, client, id, TOKYO } from './test-bench.ts';
import { parseWindows } from './windows.ts';

test('S45, seed: A (22:00, may travel 0-3) is ordered at 0:00 and B (23:00, 2-6) at 2:00, center 22-8, one stream', () => {
  const bench = new Bench('22:00-08:00', 1);
  bench.online('ann');
  bench.waitUntil(at(22));
  bench.offer('A', { windows: '00:00-03:00' });
  assert.equal(bench.says('A'), 'waiting for your window: opens 00:00 Asia/Tokyo');
  bench.waitUntil(at(23));
  bench.offer('B', { windows: '02:00-06:00' });
  assert.deepEqual(bench.log, []);
  bench.waitUntil(at(24));
  assert.deepEqual(bench.log, ['00:00 start A']);
  assert.deepEqual(bench.last!.grants, [{ kind: 'start', snapshot: 'A', client: 'ann', until: at(27) }]);
  bench.started('A');
  assert.equal(bench.says('A'), 'being collected, until 03:00 Asia/Tokyo');
  bench.waitUntil(at(24, 30));
  bench.ended('A', 'committed');
  assert.equal(bench.reason('A'), undefined);
  bench.waitUntil(at(26));
  assert.deepEqual(bench.log, ['00:00 start A', '02:00 start B']);
});

test('S44: what meets the end of a window stops exactly then and goes on first thing next night', () => {
  const bench = new Bench('22:00-08:00', 1);
  bench.online('ann');
  bench.offer('A', { windows: '00:00-03:00' });
  bench.waitUntil(at(24, 10));
  bench.started('A');
  bench.step({ kind: 'progress', snapshot: id('A'), bytes: 400 });
  bench.waitUntil(at(27, 1));
  assert.deepEqual(bench.log, ['00:00 start A', '03:00 stop A client-window']);
  bench.ended('A', 'paused');
  assert.equal(bench.says('A'), 'waiting for your window: opens 00:00 Asia/Tokyo');
  bench.waitUntil(at(48));
  assert.deepEqual(bench.log.slice(2), ['00:00 start A']);
});

test("S44, S51: the center's window ends a transfer too, and the reason names the side that opens last", () => {
  const bench = new Bench('22:00-02:00', 1);
  bench.online('ann');
  bench.offer('A', { windows: '20:00-06:00' });
  assert.equal(bench.says('A'), "waiting for the center's window: opens 22:00 Asia/Tokyo");
  bench.waitUntil(at(26));
  assert.deepEqual(bench.log, ['22:00 start A', '02:00 stop A center-window']);
});

test('S45: two clients and one stream go one after the other, the one whose time ends first in front', () => {
  const bench = new Bench('any', 1, at(0));
  bench.online('ann', 'bob', 'cy');
  bench.offer('A', { client: 'ann', windows: '00:00-06:00' });
  bench.offer('B', { client: 'bob', windows: '00:00-06:00' });
  bench.offer('C', { client: 'cy', windows: '00:00-03:00' });
  assert.deepEqual(bench.log, ['00:00 start A']);
  assert.equal(bench.reason('A')?.code, 'next');
  bench.started('A');
  assert.equal(bench.reason('A')?.code, 'running');
  assert.equal(bench.reason('C')?.code, 'next');
  assert.equal(bench.reason('B')?.code, 'streams-busy');
  bench.ended('A', 'committed');
  assert.equal(bench.reason('B')?.code, 'next');
  bench.ended('C', 'committed');
  assert.deepEqual(bench.log, ['00:00 start A', '00:00 start C', '00:00 start B']);
});

test('S45: with equal ends the oldest offer goes first, then the least id', () => {
  const bench = new Bench('any', 1, at(12));
  bench.offer('z', { client: 'ann', offeredAt: at(8) });
  bench.offer('x', { client: 'bob', offeredAt: at(11) });
  bench.offer('w', { client: 'cy', offeredAt: at(10) });
  bench.step({ kind: 'conditions', conditions: conditionsWith(parseWindows('any', TOKYO), 0) });
  bench.online('ann', 'bob', 'cy');
  assert.equal(bench.reason('z')?.code, 'held', 'nobody is in front of it: the center collects nothing');
  bench.step({ kind: 'conditions', conditions: conditionsWith(parseWindows('any', TOKYO), 1) });
  for (const name of ['z', 'w', 'x']) bench.ended(name, 'committed');
  assert.deepEqual(bench.log, ['12:00 start z', '12:00 start w', '12:00 start x']);
});

test('S46: a client sends one snapshot at a time, a job in sequence', () => {
  const bench = new Bench('any', 5, at(12));
  bench.online('ann');
  bench.offer('docs-1', { job: 'docs', sequence: 1 });
  bench.offer('docs-2', { job: 'docs', sequence: 2 });
  bench.offer('mail-1', { job: 'mail', sequence: 1 });
  assert.equal(bench.reason('docs-2')?.code, 'after-predecessor');
  assert.equal(bench.reason('mail-1')?.code, 'client-busy');
  bench.started('docs-1');
  bench.ended('docs-1', 'failed');
  assert.equal(bench.reason('docs-1')?.code, 'backing-off');
  assert.equal(bench.reason('docs-2')?.code, 'after-predecessor');
  bench.ended('mail-1', 'committed');
  assert.deepEqual(bench.log, ['12:00 start docs-1', '12:00 start mail-1']);
  bench.waitUntil(at(12, 1));
  bench.ended('docs-1', 'committed');
  assert.deepEqual(bench.log.slice(2), ['12:00 start docs-1', '12:01 start docs-2']);
});

test('S46: an earlier snapshot that turns up late takes the place of the one that is running', () => {
  const bench = new Bench('any', 1, at(12));
  bench.online('ann');
  bench.offer('docs-2', { job: 'docs', sequence: 2 });
  bench.offer('docs-1', { job: 'docs', sequence: 1 });
  assert.deepEqual(bench.log, ['12:00 start docs-2', '12:00 stop docs-2 after-predecessor']);
  bench.ended('docs-2', 'paused');
  assert.deepEqual(bench.log.slice(2), ['12:00 start docs-1']);
  assert.equal(bench.reason('docs-2')?.code, 'after-predecessor');
});

test('S43: a client that goes offline is stopped; its stream is free when that has ended, and goes to another', () => {
  const bench = new Bench('any', 1, at(12));
  bench.online('ann', 'bob');
  bench.offer('A', { client: 'ann' });
  bench.offer('B', { client: 'bob' });
  bench.started('A');
  bench.step({ kind: 'offline', client: client('ann') });
  assert.equal(bench.reason('A')?.code, 'client-offline');
  assert.deepEqual(bench.log, ['12:00 start A', '12:00 stop A client-offline']);
  bench.ended('A', 'paused');
  assert.deepEqual(bench.log.slice(2), ['12:00 start B']);
  bench.online('ann');
  bench.ended('B', 'committed');
  assert.deepEqual(bench.log.slice(3), ['12:00 start A']);
});

test('S42: a withdrawn offer is stopped and forgotten; offered again while it stops, it waits for that', () => {
  const bench = new Bench('any', 1, at(12));
  bench.online('ann');
  const offer = bench.offer('A');
  bench.step({ kind: 'withdrawn', snapshot: id('A') });
  assert.deepEqual(bench.log, ['12:00 start A', '12:00 stop A withdrawn']);
  assert.deepEqual([...bench.last!.reasons], []);
  bench.step({ kind: 'offered', offer });
  assert.equal(bench.reason('A')?.code, 'streams-busy');
  bench.ended('A', 'paused');
  assert.deepEqual(bench.log.slice(2), ['12:00 start A']);
});

test('S42: offering again keeps age and back-off, and takes new windows at once', () => {
  const bench = new Bench('any', 1, at(12));
  bench.online('ann');
  bench.offer('A');
  bench.started('A');
  bench.ended('A', 'failed');
  bench.offer('A');
  assert.equal(bench.reason('A')?.code, 'backing-off');
  bench.waitUntil(at(12, 5));
  bench.offer('A', { windows: '00:00-03:00' });
  assert.deepEqual(bench.log.slice(1), ['12:00 start A', '12:05 stop A client-window']);
});

test('S47: failures wait 30 s, 1 min, 2 min .. 1 h; a failure after progress begins again at 30 s', () => {
  const bench = new Bench('any', 1, at(12));
  bench.online('ann');
  bench.offer('A');
  const waits: number[] = [];
  for (let failure = 0; failure < 9; failure++) {
    bench.started('A');
    bench.ended('A', 'failed');
    assert.equal(bench.reason('A')?.until, bench.nextChange);
    waits.push((bench.nextChange! - bench.now) / SECOND_MS);
    bench.waitUntil(bench.nextChange!);
  }
  assert.deepEqual(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
  assert.equal(bench.log.length, 10);
  bench.step({ kind: 'progress', snapshot: id('A'), bytes: 999 });
  bench.ended('A', 'failed');
  assert.equal(bench.nextChange! - bench.now, BACK_OFF_FIRST_MS);
  assert.match(
    bench.says('A'),
    /^the last attempt did not finish: tries again \d\d:\d\d(:\d\d)? Asia\/Tokyo$/,
  );
});

test('S47: a pause that nobody ordered waits 30 s and no longer each time', () => {
  const bench = new Bench('any', 1, at(12));
  bench.online('ann');
  bench.offer('A');
  for (let pause = 0; pause < 4; pause++) {
    bench.ended('A', 'paused');
    assert.equal(bench.nextChange! - bench.now, BACK_OFF_FIRST_MS);
    bench.waitUntil(bench.nextChange!);
  }
});

test('S48: fewer streams stop those that would be started last; more streams start at once', () => {
  const bench = new Bench('any', 3, at(12));
  bench.online('ann', 'bob', 'cy');
  for (const [name, owner] of [
    ['A', 'ann'],
    ['B', 'bob'],
    ['C', 'cy'],
  ] as const) {
    bench.offer(name, { client: owner });
    bench.now += 1;
  }
  const conditions = (streams: number): PlannerEvent => ({
    kind: 'conditions',
    conditions: conditionsWith(parseWindows('any', TOKYO), streams),
  });
  bench.step(conditions(1));
  assert.deepEqual(bench.log.slice(3), ['12:00 stop C streams-busy', '12:00 stop B streams-busy']);
  assert.equal(bench.reason('C')?.code, 'streams-busy');
  for (const name of ['B', 'C']) bench.ended(name, 'paused');
  assert.equal(bench.log.length, 5);
  bench.step(conditions(2));
  assert.deepEqual(bench.log.slice(5), ['12:00 start B']);
});

test('S48: new windows of the center count at once, for what is running and for what waits', () => {
  const bench = new Bench('any', 1, at(12));
  bench.online('ann');
  bench.offer('A');
  const windows = parseWindows('22:00-08:00', TOKYO);
  bench.step({ kind: 'conditions', conditions: conditionsWith(windows, 1) });
  assert.deepEqual(bench.log, ['12:00 start A', '12:00 stop A center-window']);
  bench.ended('A', 'paused');
  bench.waitUntil(at(22));
  assert.deepEqual(bench.log.slice(2), ['22:00 start A']);
});

test('S50: windows that do not meet within five weeks say so, and are looked at again after that', () => {
  // Tokyo has no summer time and London has: 10:00 in London is 09:00 UTC only in summer.
  const bench = new Bench('09:00-10:00 UTC', 1, Temporal.Instant.from('2026-01-10T12:00Z').epochMilliseconds);
  bench.online('ann');
  bench.offer('A', { windows: '10:00-11:00 Europe/London' });
  assert.equal(bench.reason('A')?.code, 'no-shared-window');
  assert.equal(bench.reason('A')?.until, null);
  bench.waitUntil(Temporal.Instant.from('2026-03-29T09:00Z').epochMilliseconds);
  assert.equal(bench.log.length, 1);
  assert.equal(bench.last!.grants[0]!.kind, 'start');
});

test('S49: when the clock goes back, what is running outside its window stops and nobody backs off for longer', () => {
  const bench = new Bench('any', 2, at(24, 30));
  bench.online('ann', 'bob');
  bench.offer('A', { client: 'ann', windows: '00:00-03:00' });
  bench.offer('B', { client: 'bob' });
  bench.started('B');
  bench.ended('B', 'failed');
  bench.now = at(12);
  bench.step({ kind: 'tick' });
  assert.deepEqual(bench.log.slice(2), ['12:00 stop A client-window']);
  assert.equal(bench.reason('B')?.until, at(12) + BACK_OFF_LAST_MS);
});

test('S49: a center that slept through a night starts nothing in it', () => {
  const bench = new Bench('any', 1, at(18));
  bench.online('ann');
  bench.offer('A', { windows: '00:00-03:00' });
  bench.now = at(33);
  bench.step({ kind: 'tick' });
  assert.deepEqual(bench.log, []);
  assert.equal(bench.nextChange, at(48));
});

test('S52: with nothing that time can change there is no next change', () => {
  const bench = new Bench('any', 1);
  bench.online('ann');
  bench.offer('A');
  assert.equal(bench.nextChange, null);
});

test('S41: a copied state goes its own way', () => {
  const bench = new Bench('any', 1, at(12));
  bench.online('ann', 'bob');
  bench.offer('A', { client: 'ann' });
  bench.offer('B', { client: 'bob', windows: '00:00-03:00' });
  const copy = step(bench.fork(), { kind: 'ended', snapshot: id('A'), outcome: 'committed' }, at(24));
  assert.deepEqual(copy.grants, [{ kind: 'start', snapshot: 'B', client: 'bob', until: at(27) }]);
  bench.waitUntil(at(13));
  assert.equal(bench.reason('A')?.code, 'next');
  assert.equal(bench.reason('B')?.code, 'client-window');
});

test('S53: the date is added when the moment is not within the next 24 hours', () => {
  const bench = new Bench('Sat 22:00-08:00', 1, at(18));
  bench.online('ann');
  bench.offer('A');
  assert.equal(bench.says('A'), "waiting for the center's window: opens Sat 2026-03-07 22:00 Asia/Tokyo");
  bench.waitUntil(at(23, 0, 4));
  assert.equal(bench.says('A'), "waiting for the center's window: opens 22:00 Asia/Tokyo");
});
