import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { PlannerEvent } from './plan.ts';
import { parseRate } from './rate-text.ts';
import { at, Bench, client, id, TOKYO } from './test-bench.ts';

const rate = (text: string): ReturnType<typeof parseRate> => parseRate(text, TOKYO);
const LINES = ['one', 'two', null];

/** Clients by number: every third on each line; some have a rate of their own. */
const fleet = fc.record({
  total: fc.constantFrom('unlimited', '900 B/s', '20 kB/s'),
  one: fc.constantFrom('unlimited', '400 B/s', '5 kB/s'),
  two: fc.constantFrom('unlimited', '100 B/s', '3 kB/s'),
  capped: fc.constantFrom('unlimited', '50 B/s', '1 kB/s'),
  able: fc.array(fc.option(fc.integer({ min: 5, max: 3000 })), { minLength: 3, maxLength: 9 }),
  restores: fc.array(fc.record({ line: fc.nat(2), count: fc.nat(1) }), { maxLength: 3 }),
  ends: fc.array(fc.nat(8), { maxLength: 6 }),
});

test('S59, S65: rates are never above what line, center and client allow, and nobody could have more', () => {
  let limited = 0;
  fc.assert(
    fc.property(fleet, (fleet) => {
      const texts = { one: fleet.one, two: fleet.two };
      const bench = new Bench('any', 20, at(12), {
        rate: rate(fleet.total),
        lines: new Map(Object.entries(texts).map(([name, text]) => [name, rate(text)])),
        clientRates: new Map([0, 3].map((n) => [client(`c${n}`), rate(fleet.capped)])),
        restoreShare: 0.25,
      });
      const restoring = new Map<string | null, number>();
      const check = (): void => {
        limited += assertShares(bench, fleet, restoring);
      };
      const tell = (event: PlannerEvent): void => {
        bench.step(event);
        check();
      };
      fleet.able.forEach((able, n) => {
        const line = LINES[n % 3]!;
        if (able !== null) bench.learnt(`c${n}`, able, line);
        bench.offer(`s${n}`, { client: `c${n}`, line, bytes: 1 });
        tell({ kind: 'online', client: client(`c${n}`), line });
      });
      for (const { line, count } of fleet.restores) {
        restoring.set(LINES[line]!, count);
        tell({ kind: 'restores', line: LINES[line]!, count });
      }
      for (const n of fleet.ends) tell({ kind: 'ended', snapshot: id(`s${n}`), outcome: 'committed' });
    }),
    { numRuns: 200 },
  );
  assert.ok(limited > 300, String(limited));
});

type Fleet = typeof fleet extends fc.Arbitrary<infer T> ? T : never;

/** @returns how many of the rates are limited */
function assertShares(bench: Bench, fleet: Fleet, restoring: ReadonlyMap<string | null, number>): number {
  const cap = (text: string, busy: boolean): number =>
    (rate(text).rows[0]?.bytesPerSecond ?? Infinity) * (busy ? 0.75 : 1);
  const anybody = [...restoring.values()].some((count) => count > 0);
  const lineCap = (line: string | null): number =>
    line === null ? Infinity : cap(line === 'one' ? fleet.one : fleet.two, (restoring.get(line) ?? 0) > 0);
  const runs = bench.running.map((snapshot) => {
    const n = Number(snapshot.slice(1));
    const own = n === 0 || n === 3 ? cap(fleet.capped, false) : Infinity;
    return { line: LINES[n % 3]!, own, now: bench.rates.get(snapshot) ?? Infinity };
  });
  const sum = (list: typeof runs): number => list.reduce((all, { now }) => all + now, 0);
  assert.ok(sum(runs) <= cap(fleet.total, anybody), 'more than the center has');
  // Small rises are not told, and shares are cut to whole bytes.
  const usedUp = (used: number, there: number): boolean => used >= there / 1.06 - runs.length;
  for (const { line, own, now } of runs) {
    const beside = runs.filter((run) => run.line === line);
    assert.ok(sum(beside) <= lineCap(line), `more than line ${line} has`);
    assert.ok(now <= own, 'more than the client may');
    const atLimit = usedUp(now, own) || usedUp(sum(beside), lineCap(line));
    assert.ok(atLimit || usedUp(sum(runs), cap(fleet.total, anybody)), `${now} could be more`);
  }
  return runs.filter(({ now }) => now < Infinity).length;
}

test('S59: equals share equally; what a slow client leaves goes to the others; nothing limited is null', () => {
  const lines = new Map([['site', rate('12 kB/s')]]);
  const bench = new Bench('any', 4, at(12), { lines });
  bench.learnt('ann', 1000, 'site');
  for (const name of ['bob', 'cy']) bench.learnt(name, 5000, 'site');
  for (const name of ['ann', 'bob', 'cy'])
    bench.offer(name, { client: name, line: 'site', bytes: 10_000_000 });
  bench.online('ann', 'bob', 'cy');
  const rates = ['ann', 'bob', 'cy'].map((name) => bench.rates.get(name)!);
  assert.ok(rates[0]! >= 1000 && rates[0]! < 2000, String(rates));
  assert.equal(rates[1], rates[2]);
  assert.ok(rates[1]! > 5000, String(rates));
  bench.offer('free', { client: 'dee' });
  bench.online('dee');
  assert.equal(bench.rates.get('free'), undefined, 'has had null from the start');
});

test('S59: where there is too little for all, nobody gets more than it was seen to use, however urgent it is', () => {
  const lines = new Map([['site', rate('20 MB/s')]]);
  const bench = new Bench('12:00-15:00', 4, at(12), { lines });
  const mega = 1_000_000;
  bench.learnt('ann', 10 * mega, 'site');
  bench.learnt('bob', 15 * mega, 'site');
  // Ann needs all of the time that there is.
  bench.offer('all', { client: 'ann', line: 'site', bytes: 10 * mega * 10_500 });
  bench.offer('some', { client: 'bob', line: 'site', bytes: 15 * mega * 1000 });
  bench.online('ann', 'bob');
  const [anns, bobs] = ['all', 'some'].map((name) => bench.rates.get(name)!);
  assert.ok(anns! >= 10 * mega && anns! <= 10.5 * mega, String(anns));
  assert.equal(bobs, 20 * mega - anns!, 'the other has all that she cannot use');
});

test('S59, S60: a rate that changes by the time of day is told on the minute', () => {
  const bench = new Bench('any', 4, at(12), { rate: rate('3 kB/s 13:00-14:00, 8 kB/s') });
  bench.offer('A', { bytes: 100_000_000 });
  bench.online('ann');
  const seen: (string | null)[] = [];
  for (let hour = 12; hour < 16; hour++) {
    bench.waitUntil(at(hour));
    seen.push(`${bench.clock(bench.now)} ${bench.rates.get('A')}`);
  }
  assert.deepEqual(seen, ['12:00 8000', '13:00 3000', '14:00 8000', '15:00 8000']);
});

test('S59: a client that is gone when its last snapshot is committed is counted off its line once', () => {
  const bench = new Bench('any', 1, at(12), { rate: rate('300 B/s') });
  for (const name of ['ann', 'bob']) {
    bench.offer(`of ${name}`, { client: name, line: 'one' });
    bench.online(name);
  }
  bench.step({ kind: 'offline', client: client('ann') });
  bench.ended('of ann', 'committed');
  assert.deepEqual(bench.running, [id('of bob')]);
  assert.equal(bench.rates.get(id('of bob')), 300);
});
