import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINUTE_MS, SECOND_MS } from '../model/time.ts';
import type { CenterConditions, Hold } from './plan.ts';
import { parseRate } from './rate-text.ts';
import { at, Bench, client, id, TOKYO } from './test-bench.ts';

const MB = 1_000_000;
const rate = (text: string): CenterConditions['rate'] => parseRate(text, TOKYO);
/** A line of 10 MB/s, six streams. */
const onALine = (windows = 'any', now = at(22)): Bench =>
  new Bench(windows, 6, now, { lines: new Map([['site', rate('10 MB/s')]]) });
const site = { line: 'site' };

test('S55: of those that can fill the line, the one whose time ends first is first, however long another is', () => {
  const bench = onALine();
  for (const name of ['ann', 'bob', 'cy']) bench.learnt(name, 50 * MB, 'site');
  bench.offer('running', { client: 'ann', windows: '22:00-06:00', bytes: 600 * MB, ...site });
  bench.online('ann', 'bob', 'cy');
  // It takes four hours of the six that are left to it; the other takes a minute and has four hours.
  bench.offer('long', { client: 'bob', windows: '22:00-04:00', bytes: 144_000 * MB, ...site });
  bench.offer('short', { client: 'cy', windows: '22:00-02:00', bytes: 600 * MB, ...site });
  assert.deepEqual(bench.log, ['22:00 start running']);
  bench.ended('running', 'committed');
  bench.ended('short', 'committed');
  assert.deepEqual(bench.log.slice(1), ['22:00 start short', '22:00 start long']);
});

test('S55: of those that cannot fill the line, the one that takes longest is first, and many go at once', () => {
  const bench = onALine();
  for (const name of ['ann', 'bob', 'cy', 'dee']) bench.learnt(name, 4 * MB, 'site');
  for (const [name, owner, bytes] of [
    ['small', 'ann', 400 * MB],
    ['middle', 'bob', 4000 * MB],
    ['large', 'cy', 40_000 * MB],
    ['tiny', 'dee', 4 * MB],
  ] as const) {
    bench.offer(name, { client: owner, windows: '23:00-06:00', bytes, ...site });
  }
  bench.online('ann', 'bob', 'cy', 'dee');
  bench.waitUntil(at(23));
  // Three at 4 MB/s are more than the line carries: the fourth waits.
  assert.deepEqual(bench.log, ['23:00 start large', '23:00 start middle', '23:00 start small']);
  assert.equal(bench.reason('tiny')?.code, 'next');
});

test('S55: who cannot be in time any more does not go before those who can', () => {
  const bench = onALine();
  bench.learnt('ann', 10 * MB, 'site');
  bench.learnt('bob', 10 * MB, 'site');
  bench.learnt('cy', 10 * MB, 'site');
  bench.offer('running', { client: 'cy', windows: '22:00-06:00', bytes: 600 * MB, ...site });
  bench.online('ann', 'bob', 'cy');
  // Ten hours of work, and its window closes first.
  bench.offer('hopeless', { client: 'ann', windows: '22:00-01:00', bytes: 360_000 * MB, ...site });
  bench.offer('modest', { client: 'bob', windows: '22:00-06:00', bytes: 600 * MB, ...site });
  bench.ended('running', 'committed');
  bench.ended('modest', 'committed');
  assert.deepEqual(bench.log, ['22:00 start running', '22:00 start modest', '22:00 start hopeless']);
});

test('S54: a target counts from the newest collected snapshot, and only shared time counts', () => {
  const bench = onALine('22:00-06:00', at(12));
  for (const name of ['ann', 'bob']) bench.learnt(name, 20 * MB, 'site');
  // Both are due at noon tomorrow and tonight is all the time there is, but what is ann's ends at 2:00.
  const target = { target: 30 * 60 * MINUTE_MS, lastCollected: at(6), bytes: 600 * MB, ...site };
  bench.offer('whole night', { client: 'bob', ...target });
  bench.offer('part of it', { client: 'ann', windows: '00:00-02:00', ...target });
  bench.online('ann', 'bob');
  bench.waitUntil(at(22));
  assert.deepEqual(bench.log, ['22:00 start whole night']);
  assert.equal(bench.says('part of it'), 'waiting for your window: opens 00:00 Asia/Tokyo');
  bench.waitUntil(at(24, 1));
  assert.deepEqual(bench.log.slice(1), ['00:00 stop whole night more-urgent']);
  bench.ended('whole night', 'paused');
  assert.deepEqual(bench.log.slice(2), ['00:01 start part of it']);
});

test('S56: the longest overdue goes beside the others, one at a time, and nobody waits for its end', () => {
  const bench = onALine('any', at(22, 0, 2));
  for (const name of ['ann', 'bob', 'cy', 'dee']) bench.learnt(name, 20 * MB, 'site');
  const old = { windows: '22:00-06:00', bytes: 900_000 * MB, ...site };
  bench.offer('oldest', { client: 'ann', offeredAt: at(0), ...old });
  bench.offer('old', { client: 'bob', offeredAt: at(7), ...old });
  bench.offer('new', { client: 'cy', bytes: 600 * MB, windows: '22:00-06:00', ...site });
  bench.offer('newer', { client: 'dee', bytes: 900 * MB, windows: '22:00-06:00', ...site });
  bench.online('ann', 'bob', 'cy', 'dee');
  assert.deepEqual(bench.log, ['22:00 start oldest', '22:00 start old']);
  bench.ended('old', 'committed');
  assert.deepEqual(bench.log.slice(2), ['22:00 start new']);
  assert.deepEqual([bench.rates.get('oldest'), bench.rates.get('new')], [5 * MB, 5 * MB]);
  bench.ended('new', 'committed');
  assert.deepEqual(bench.log.slice(3), ['22:00 start newer']);
  bench.ended('oldest', 'committed');
  assert.equal(bench.log.length, 4, 'the line is full without the one beside');
});

test('S57: who has hours less gets the place of another after its first minute, and that one goes on later', () => {
  const bench = onALine();
  for (const name of ['ann', 'bob']) bench.learnt(name, 20 * MB, 'site');
  bench.offer('late', { client: 'ann', windows: '22:00-06:00', bytes: 18_000 * MB, ...site });
  bench.online('ann', 'bob');
  bench.started('late');
  bench.offer('early', { client: 'bob', windows: '22:00-02:00', bytes: 600 * MB, ...site });
  assert.deepEqual(bench.log, ['22:00 start late']);
  bench.waitUntil(at(22, 5));
  assert.deepEqual(bench.log.slice(1), ['22:01 stop late more-urgent']);
  bench.ended('late', 'paused');
  bench.ended('early', 'committed');
  assert.deepEqual(bench.log.slice(2), ['22:05 start early', '22:05 start late']);
});

test('S57: what is beside the others keeps its stream, and one that does not begin loses it as absent', () => {
  const bench = new Bench('22:00-06:00', 1, at(22, 0, 2));
  bench.offer('oldest', { client: 'ann', windows: '22:00-06:00', offeredAt: at(0), bytes: 600 * MB });
  bench.offer('early', { client: 'bob', windows: '22:00-02:00', bytes: 600 * MB });
  bench.online('ann', 'bob');
  bench.waitUntil(at(22, 4, 2));
  assert.deepEqual(bench.log, ['22:00 start oldest']);
  bench.ended('oldest', 'failed');
  assert.deepEqual(bench.log.slice(1), ['22:04 start early']);
});

test('S57: a little more urgent is not enough, until there is hardly any time to spare', () => {
  const bench = onALine();
  for (const name of ['ann', 'bob']) bench.learnt(name, 20 * MB, 'site');
  bench.offer('late', { client: 'ann', windows: '22:00-02:30', bytes: 18_000 * MB, ...site });
  bench.online('ann', 'bob');
  bench.started('late');
  bench.offer('early', { client: 'bob', windows: '22:00-02:00', bytes: 36_000 * MB, ...site });
  bench.waitUntil(at(25, 30));
  // An hour of work until 2:00: from 0:45 on there is less than a quarter of an hour to spare.
  assert.deepEqual(bench.log.slice(1), ['00:46 stop late more-urgent']);
});

test('S58: a client that cannot fill the line does not hold it alone; small ones follow each other without a gap', () => {
  const bench = onALine();
  for (const name of ['ann', 'bob', 'cy', 'dee']) bench.learnt(name, 6 * MB, 'site');
  bench.offer('A', { client: 'ann', bytes: 6000 * MB, ...site });
  bench.offer('B', { client: 'bob', bytes: 5000 * MB, ...site });
  bench.offer('C', { client: 'cy', bytes: 4000 * MB, ...site });
  bench.offer('D', { client: 'dee', bytes: 3000 * MB, ...site });
  bench.online('ann', 'bob', 'cy', 'dee');
  assert.deepEqual(bench.log, ['22:00 start A', '22:00 start B']);
  assert.equal(bench.reason('D')?.code, 'line-busy');
  assert.equal(bench.says('C'), 'next in line');
  // Half a second's work is left: the next is started before it ends.
  bench.progress('A', 3 * MB);
  assert.deepEqual(bench.log.slice(2), ['22:00 start C']);
});

test('S58: of a client that nobody knows it is taken that it can fill everything, until it is seen that it cannot', () => {
  const bench = onALine();
  bench.offer('A', { client: 'ann', bytes: 6000 * MB, ...site });
  bench.offer('B', { client: 'bob', bytes: 5000 * MB, ...site });
  bench.online('ann', 'bob');
  assert.deepEqual(bench.log, ['22:00 start A']);
  bench.started('A');
  bench.now += 10 * SECOND_MS;
  bench.progress('A', 5980 * MB);
  assert.deepEqual(bench.log.slice(1), ['22:00 start B']);
});

test("S58: without a rate streams are the only limit, and the center's whole rate is one for all lines", () => {
  const open = new Bench('any', 3, at(22));
  for (const name of ['ann', 'bob', 'cy', 'dee']) open.offer(name, { client: name });
  open.online('ann', 'bob', 'cy', 'dee');
  assert.equal(open.log.length, 3);
  const whole = new Bench('any', 3, at(22), { rate: rate('10 MB/s') });
  for (const name of ['ann', 'bob', 'cy']) {
    whole.learnt(name, 6 * MB, name);
    whole.offer(name, { client: name, line: name, bytes: 6000 * MB });
  }
  whole.step({ kind: 'online', client: client('ann'), line: 'ann' });
  whole.step({ kind: 'online', client: client('bob'), line: 'bob' });
  whole.step({ kind: 'online', client: client('cy'), line: 'cy' });
  assert.equal(whole.log.length, 2);
  whole.offer('more', { client: 'dee', line: 'dee' });
  whole.step({ kind: 'online', client: client('dee'), line: 'dee' });
  assert.equal(whole.reason('more')?.code, 'center-busy');
});

test('S63: a pace below the grant is learnt, one at the grant only as the least it can do', () => {
  const bench = onALine();
  bench.offer('A', { client: 'ann', bytes: 6000 * MB, ...site });
  bench.offer('B', { client: 'bob', bytes: 6000 * MB, ...site });
  bench.offer('C', { client: 'cy', bytes: 6000 * MB, ...site });
  bench.online('ann', 'bob', 'cy');
  bench.started('A');
  assert.equal(bench.rates.get('A'), 10 * MB);
  bench.now += 10 * SECOND_MS;
  bench.progress('A', 5900 * MB);
  assert.equal(bench.log.length, 1, 'it goes as fast as it may, so it may be able to go faster');
  bench.now += 10 * SECOND_MS;
  bench.progress('A', 5860 * MB);
  // 4 MB/s: room for two more like it.
  assert.deepEqual(bench.log.slice(1), ['22:00 start B', '22:00 start C']);
});

test('S47: who is ordered and does not begin waits with all that is its own, until it connects anew', () => {
  const bench = new Bench('any', 3, at(12));
  bench.online('ann');
  bench.offer('docs', { job: 'docs' });
  bench.offer('mail', { job: 'mail' });
  bench.ended('docs', 'failed');
  assert.deepEqual(bench.log, ['12:00 start docs']);
  assert.equal(
    bench.says('mail'),
    'the computer was asked to send and did not begin: tries again 12:00:30 Asia/Tokyo',
  );
  bench.online('ann');
  assert.deepEqual(bench.log.slice(1), ['12:00 start docs']);
  bench.ended('docs', 'failed');
  assert.equal(bench.nextChange, at(12, 1), 'twice as long as the first time');
});

test('S47: who misbehaves waits longer each time, a new connection does not help, a commit does', () => {
  const bench = new Bench('any', 3, at(12));
  bench.online('ann');
  bench.offer('A');
  bench.offer('B');
  const misbehave = (): void => {
    bench.started('A');
    bench.step({ kind: 'misbehaved', client: client('ann') });
    bench.ended('A', 'paused');
    bench.online('ann');
  };
  misbehave();
  assert.equal(bench.reason('B')?.code, 'client-misbehaved');
  bench.waitUntil(at(12, 0) + 30 * SECOND_MS);
  misbehave();
  assert.equal(bench.reason('B')?.until, bench.now + MINUTE_MS);
  bench.waitUntil(bench.now + MINUTE_MS);
  bench.ended('A', 'committed');
  bench.step({ kind: 'misbehaved', client: client('ann') });
  bench.ended('B', 'paused');
  assert.equal(bench.reason('B')?.until, bench.now + 30 * SECOND_MS);
});

test('S64: a client that comes by another line is counted there, also while it sends', () => {
  const bench = onALine();
  for (const name of ['ann', 'bob', 'cy']) bench.learnt(name, 20 * MB, 'site');
  bench.offer('A', { client: 'ann', bytes: 6000 * MB, ...site });
  bench.offer('B', { client: 'bob', bytes: 6000 * MB, ...site });
  bench.offer('C', { client: 'cy', bytes: 6000 * MB, ...site });
  bench.online('ann', 'bob', 'cy');
  assert.deepEqual(bench.log, ['22:00 start A']);
  bench.step({ kind: 'online', client: client('bob'), line: 'home' });
  assert.deepEqual(bench.log.slice(1), ['22:00 start B']);
  bench.step({ kind: 'online', client: client('ann'), line: 'home' });
  assert.deepEqual(bench.log.slice(2), ['22:00 start C']);
});

test('S64: what is being sent has the rate of the line that it goes over now', () => {
  const bench = new Bench('any', 2, at(12), { lines: new Map([['site', rate('10 MB/s')]]) });
  bench.offer('A', { client: 'ann', bytes: 6000 * MB });
  bench.offer('B', { client: 'bob', bytes: 6000 * MB });
  bench.online('ann', 'bob');
  bench.step({ kind: 'online', client: client('ann'), line: 'site' });
  assert.equal(bench.rates.get('A'), 10 * MB);
  bench.step({ kind: 'online', client: client('bob'), line: 'site' });
  assert.deepEqual([...bench.rates.values()], [5 * MB, 5 * MB]);
  bench.step({ kind: 'online', client: client('ann'), line: null });
  assert.deepEqual([bench.rates.get('A'), bench.rates.get('B')], [null, 10 * MB]);
});

test('S65: restores take their share of the rates while they last', () => {
  const more = { rate: rate('10 MB/s'), restoreShare: 0.4 };
  const bench = new Bench('any', 3, at(12), more);
  bench.learnt('ann', 20 * MB);
  bench.offer('A', { bytes: 6000 * MB });
  bench.online('ann');
  assert.equal(bench.rates.get('A'), 10 * MB);
  bench.step({ kind: 'restores', line: null, count: 2 });
  assert.equal(bench.rates.get('A'), 6 * MB);
  bench.step({ kind: 'restores', line: null, count: 0 });
  assert.equal(bench.rates.get('A'), 10 * MB);
});

test('S65: without a rate restores take their share of the streams', () => {
  const bench = new Bench('any', 3, at(12), { restoreShare: 0.5 });
  for (const name of ['ann', 'bob', 'cy']) bench.offer(name, { client: name });
  bench.online('ann', 'bob', 'cy');
  bench.step({ kind: 'restores', line: 'site', count: 1 });
  assert.deepEqual(bench.log.slice(3), ['12:00 stop cy restores-first']);
  bench.ended('cy', 'paused');
  assert.equal(bench.reason('cy')?.code, 'next');
  bench.step({ kind: 'restores', line: 'site', count: 0 });
  assert.deepEqual(bench.log.slice(4), ['12:00 start cy']);
});

test('S66: a hold stops what it says, keeps the rest from starting, and ends at its time or when it is released', () => {
  const bench = new Bench('any', 3, at(12));
  bench.offer('A', { client: 'ann', line: 'site' });
  bench.offer('B', { client: 'bob' });
  bench.offer('C', { client: 'cy', line: 'site' });
  bench.online('ann', 'bob');
  const hold = (more: Partial<Hold>): void => {
    const whole: Hold = { name: 'x', code: 'load', line: null, stops: false, until: null, ...more };
    bench.step({ kind: 'hold', hold: whole });
  };
  hold({ name: 'disk', code: 'free-space', line: 'site', stops: true, until: at(12, 10) });
  assert.deepEqual(bench.log.slice(2), ['12:00 stop A free-space']);
  bench.ended('A', 'paused');
  bench.step({ kind: 'online', client: client('cy'), line: 'site' });
  assert.equal(bench.says('C'), 'the center has too little free space, until 12:10 Asia/Tokyo');
  hold({ name: 'load' });
  assert.equal(bench.reason('A')?.code, 'load', 'the one that lasts longest');
  bench.waitUntil(at(12, 20));
  assert.equal(bench.log.length, 3);
  bench.step({ kind: 'release', name: 'load' });
  assert.deepEqual(bench.log.slice(3), ['12:20 start A', '12:20 start C']);
  hold({ code: 'not-while', stops: true });
  assert.equal(bench.log.slice(5).length, 3);
  assert.equal(bench.last!.reasons.get(id('B'))?.code, 'not-while');
});

test('S67: a client that uses to leave soon has its turn while it is there', () => {
  const bench = onALine('22:00-06:00', at(20));
  for (const name of ['ann', 'bob']) {
    bench.learnt(name, 20 * MB, 'site');
    bench.offer(name, { client: name, bytes: 600 * MB, ...site });
  }
  bench.online('ann', 'bob');
  bench.now = at(21);
  bench.step({ kind: 'offline', client: client('bob') });
  bench.now = at(21, 58);
  bench.step({ kind: 'online', client: client('bob') });
  bench.waitUntil(at(22));
  assert.deepEqual(bench.log, ['22:00 start bob']);
  bench.now = at(22, 5);
  bench.step({ kind: 'offline', client: client('bob') });
  bench.ended('bob', 'paused');
  assert.deepEqual(bench.log.slice(1), ['22:05 stop bob client-offline', '22:05 start ann']);
});
