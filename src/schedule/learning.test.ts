import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECOND_MS } from '../model/time.ts';
import { forecast } from './forecast.ts';
import { parseRate } from './rate-text.ts';
import { at, Bench, id, TOKYO } from './test-bench.ts';

const MB = 1_000_000;
const site = { line: 'site' };
/** A line of 10 MB/s. */
const onALine = (windows = 'any'): Bench =>
  new Bench(windows, 6, at(22), { lines: new Map([['site', parseRate('10 MB/s', TOKYO)]]) });

/** A computer that nobody has seen sends this many seconds' worth of the line, and takes `seconds` for it. */
function transfer(bench: Bench, name: string, worth: number, seconds: number): void {
  bench.offer(name, { client: name, bytes: worth * 10 * MB, ...site });
  bench.online(name);
  bench.started(name);
  bench.now += seconds * SECOND_MS;
  bench.progress(name, 0);
  bench.ended(name, 'committed');
}

/** Who of a long and a short one starts first: the short one if both are thought to fill the line, else both at once. */
function startsOf(bench: Bench): readonly string[] {
  bench.offer('running', { client: 'first', bytes: 600 * MB, ...site });
  bench.online('first', 'ann', 'bob');
  const before = bench.log.length;
  bench.offer('long', { client: 'ann', bytes: 60_000 * MB, ...site });
  bench.offer('short', { client: 'bob', bytes: 600 * MB, ...site });
  bench.ended('running', 'committed');
  return bench.log.slice(before).map((line) => line.split(' ').at(-1)!);
}

test('S63: where most reach what they are granted, one that was slow says nothing about those not seen yet', () => {
  const bench = onALine('22:00-06:00');
  for (let n = 0; n < 10; n++) transfer(bench, `fast${n}`, 10, 10);
  transfer(bench, 'slow', 10, 40);
  assert.deepEqual(startsOf(bench), ['short']);
});

test('S63: where most are slow, those not seen yet are taken for slow, and no more when that changes', () => {
  const bench = onALine('22:00-06:00');
  for (let n = 0; n < 4; n++) transfer(bench, `slow${n}`, 10, 40);
  const fork = onALine('22:00-06:00');
  for (let n = 0; n < 4; n++) transfer(fork, `slow${n}`, 10, 40);
  for (let n = 0; n < 8; n++) transfer(fork, `fast${n}`, 10, 10);
  assert.deepEqual(startsOf(bench), ['long', 'short']);
  assert.deepEqual(startsOf(fork), ['short']);
});

test('S63: what passes before the first byte says nothing about a pace', () => {
  const bench = onALine('22:00-06:00');
  bench.offer('A', { client: 'ann', bytes: 100 * MB, ...site });
  bench.online('ann');
  bench.started('A');
  bench.now += 20 * SECOND_MS;
  bench.progress('A', 100 * MB);
  bench.now += 10 * SECOND_MS;
  bench.progress('A', 0);
  bench.ended('A', 'committed');
  assert.equal(bench.fork().learnt.clients.size, 0);
});

test('S70: a forecast takes so long for setting up and for receipts as they took lately', () => {
  const foreseen = (setUp: number, closing: number): number => {
    const bench = onALine();
    for (let n = 0; n < 60; n++) {
      bench.offer(`s${n}`, { client: 'ann', bytes: 100 * MB, ...site });
      if (n === 0) bench.online('ann');
      bench.now += setUp;
      bench.started(`s${n}`);
      bench.progress(`s${n}`, 0);
      bench.now += closing;
      bench.ended(`s${n}`, 'committed');
    }
    bench.offer('next', { client: 'ann', bytes: 100 * MB, ...site });
    const [next] = forecast(bench.fork(), bench.now).offers;
    assert.equal(next!.snapshot, id('next'));
    return next!.end!.likely - bench.now - 10 * SECOND_MS;
  };
  const close = (seen: number, expected: number): void =>
    assert.ok(Math.abs(seen - expected) < 0.02 * expected, `${seen} of ${expected}`);
  close(foreseen(2000, 5000), 7000);
  close(foreseen(50, 150), 200);
});

test('S71: where everybody is held back by the line alone, the range says how slow that may turn out to be', () => {
  const bench = onALine('22:00-06:00');
  for (const name of ['ann', 'bob', 'cy']) bench.offer(name, { client: name, bytes: 6000 * MB, ...site });
  bench.online('ann', 'bob', 'cy');
  const { offers } = forecast(bench.fork(), bench.now);
  const { early, likely, late } = offers.at(-1)!.end!;
  const minutes = [early, likely, late].map((end) => Math.round((end - bench.now) / 60_000));
  assert.deepEqual(minutes, [30, 30, 40], 'no faster than it is granted, a third longer than it should take');
});
