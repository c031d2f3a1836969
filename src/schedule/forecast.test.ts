import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';
import { forecast, type Forecast } from './forecast.ts';
import { parseRate } from './rate-text.ts';
import { at, Bench, client, TOKYO } from './test-bench.ts';

const MB = 1_000_000;
const line = (text: string) => ({ lines: new Map([['site', parseRate(text, TOKYO)]]) });
const site = { line: 'site' };
const shown = (bench: Bench, { offers }: Forecast): string[] =>
  offers.map(({ snapshot, place, start, end, fits, why }) => {
    const time = (ms: number | undefined): string => (ms === undefined ? '-' : bench.clock(ms));
    return `${place ?? '-'} ${snapshot} ${time(start?.likely)}-${time(end?.likely)}${fits ? '' : ` ${why}`}`;
  });

test('S70: who waits is told when it starts and ends, and how many are in front', () => {
  const bench = new Bench('22:00-06:00', 4, at(18), line('10 MB/s'));
  bench.online('ann', 'bob', 'cy');
  bench.offer('A', { client: 'ann', bytes: 36_000 * MB, ...site });
  bench.offer('B', { client: 'bob', bytes: 18_000 * MB, windows: '00:00-03:00', ...site });
  bench.offer('C', { client: 'cy', bytes: 6000 * MB, ...site });
  const night = forecast(bench.fork(), bench.now);
  assert.deepEqual(
    shown(bench, night),
    ['1 C 22:00-22:10', '2 A 22:10-23:10', '3 B 00:00-00:30'].sort(() => 0),
  );
  assert.equal(night.nightEnd, at(30));
  assert.deepEqual(night.fitting, { offers: 3, bytes: 60_000 * MB });
  assert.deepEqual(night.left, { offers: 0, bytes: 0 });
});

test('S70: what does not fit says why, and when it is collected instead', () => {
  const bench = new Bench('22:00-06:00', 4, at(18), line('10 MB/s'));
  bench.online('ann');
  // Nine hours of work, and a computer that is not there.
  bench.offer('A', { client: 'ann', bytes: 324_000 * MB, ...site });
  bench.offer('B', { client: 'bob', bytes: 1, ...site });
  const night = forecast(bench.fork(), bench.now);
  assert.deepEqual(shown(bench, night), ['1 A 22:00-23:00 center-window', '- B --- client-offline']);
  assert.deepEqual(night.left, { offers: 2, bytes: 324_000 * MB + 1 });
  assert.equal(night.done, null);
  assert.equal(night.offers[0]!.stretches.length, 2);
  assert.ok(Math.abs(night.offers[0]!.end!.likely - at(47)) < MINUTE_MS);
});

test('S70: asking changes nothing, and what is being sent goes on from where it is', () => {
  const bench = new Bench('any', 1, at(12), line('10 MB/s'));
  bench.online('ann', 'bob');
  bench.offer('A', { client: 'ann', bytes: 6000 * MB, ...site });
  bench.started('A');
  bench.offer('B', { client: 'bob', bytes: 6000 * MB, ...site });
  bench.now = at(12, 5);
  bench.progress('A', 3000 * MB);
  const before = bench.fork();
  const first = forecast(before, bench.now);
  assert.deepEqual(forecast(before, bench.now), first);
  assert.deepEqual(shown(bench, first), ['0 A 12:05-12:10', '1 B 12:10-12:20']);
});

test('S71: slow and fast nights give the range; a night that goes as it was foreseen ends within it', () => {
  const bench = new Bench('any', 2, at(12), line('10 MB/s'));
  for (const name of ['ann', 'bob', 'cy']) {
    bench.learnt(name, 4 * MB, 'site');
    bench.offer(name, { client: name, bytes: 2400 * MB, ...site });
  }
  bench.online('ann', 'bob', 'cy');
  const { offers } = forecast(bench.fork(), bench.now);
  const last = offers.at(-1)!;
  const { early, likely, late } = last.end!;
  assert.ok(early < likely && likely < late);
  assert.ok(Math.abs(likely - at(12, 20)) < MINUTE_MS, bench.clock(likely));
  assert.ok(Math.abs(late - at(12, 26, 0)) < 2 * MINUTE_MS, bench.clock(late));
});

/** Snapshots on one line that everybody can fill, as minutes of work: deadlines as minutes after the opening. */
const feasible = fc.array(
  fc.record({ minutes: fc.integer({ min: 2, max: 60 }), deadline: fc.integer({ min: 10, max: 470 }) }),
  { minLength: 2, maxLength: 8 },
);

test('S55: on one line nobody misses a deadline where a plan exists that misses none', () => {
  let tried = 0;
  fc.assert(
    fc.property(feasible, (wishes) => {
      // Earliest deadline first keeps them all if anything does; a minute for each is left for setting up.
      let busy = 0;
      const sorted = [...wishes].sort((a, b) => a.deadline - b.deadline);
      if (!sorted.every(({ minutes, deadline }) => (busy += minutes + 1) <= deadline)) return;
      tried++;
      const bench = new Bench('22:00-06:00', 4, at(20), line('10 MB/s'));
      wishes.forEach(({ minutes, deadline }, n) => {
        bench.offer(`s${n}`, {
          client: `c${n}`,
          bytes: minutes * 600 * MB,
          deadline: at(22, deadline),
          ...site,
        });
        bench.step({ kind: 'online', client: client(`c${n}`) });
      });
      const { offers } = forecast(bench.fork(), bench.now);
      for (const { snapshot, end } of offers) {
        const { deadline } = wishes[Number(snapshot.slice(1))]!;
        assert.ok(
          end !== null && end.likely <= at(22, deadline),
          `${snapshot} ${bench.clock(end?.likely ?? 0)}`,
        );
      }
    }),
    { numRuns: 150 },
  );
  assert.ok(tried > 30, String(tried));
});

test('S70: a night of a thousand computers is played in one go, each of them once', () => {
  const bench = new Bench('22:00-06:00', 50, at(21), {
    rate: parseRate('100 MB/s', TOKYO),
    lines: new Map([...Array(20).keys()].map((n) => [`line-${n}`, parseRate('10 MB/s', TOKYO)])),
  });
  for (let n = 0; n < 1000; n++) {
    const name = `c${n}`;
    bench.learnt(name, (2 + (n % 7)) * MB, `line-${n % 20}`);
    bench.offer(name, { client: name, bytes: (1 + (n % 100)) * 20 * MB, line: `line-${n % 20}` });
    bench.step({ kind: 'online', client: client(name), line: `line-${n % 20}` });
  }
  const { offers, done } = forecast(bench.fork(), bench.now);
  assert.equal(offers.length, 1000);
  assert.ok(offers.every(({ fits, stretches }) => fits && stretches.length >= 1));
  // 1,010 GB at 100 MB/s are 2.8 hours.
  assert.ok(done! - at(22) < 1.15 * 2.8 * HOUR_MS, bench.clock(done!));
});
