import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DAY_MS, MINUTE_MS } from '../model/time.ts';
import { rateAt } from './rate-plan.ts';
import { parseRate } from './rate-text.ts';
import { openByWatching, watch } from './test-wall.ts';
import { sharedBefore, timelineOf } from './timeline.ts';
import { HORIZON_MS, parseWindows, sharedTime } from './windows.ts';

const at = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const HOURS = 60;
/** Stretches of real time in which clocks do something hard, watched minute by minute, with another zone beside. */
const STRETCHES = (
  [
    ['Europe/London', '2026-03-28T00:00Z'],
    ['Europe/London', '2026-10-24T00:00Z'],
    ['America/Sao_Paulo', '2018-02-17T00:00Z'],
    ['America/Sao_Paulo', '2018-11-03T00:00Z'],
    ['Australia/Lord_Howe', '2026-04-03T12:00Z'],
    ['Australia/Lord_Howe', '2026-10-02T12:00Z'],
    ['Africa/Casablanca', '2025-02-22T00:00Z'],
    ['Africa/Casablanca', '2025-04-05T00:00Z'],
    ['Pacific/Apia', '2011-12-29T00:00Z'],
  ] as const
).map(([zone, from]) => [watch(zone, at(from), HOURS), watch('Asia/Tokyo', at(from), HOURS)] as const);

const time = fc
  .tuple(fc.oneof(fc.constantFrom(0, 1, 2, 23), fc.nat(23)), fc.oneof(fc.constantFrom(0, 30), fc.nat(59)))
  .map(([h, m]) => `${h}:${String(m).padStart(2, '0')}`);
const hours = fc.tuple(time, time).map(([a, b]) => (a === b ? 'any' : `${a}-${b}`));

test('S54: shared time before a deadline is what watching both walls minute by minute gives, also continued', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...STRETCHES),
      hours,
      hours,
      fc.array(fc.nat(HOURS * 60 - 1), { minLength: 2, maxLength: 4 }),
      (watched, first, second, moments) => {
        const { zone, from } = watched[0];
        const client = parseWindows(first, zone);
        const center = parseWindows(second, 'Asia/Tokyo');
        const sorted = moments.sort((a, b) => a - b).map((minute) => from + minute * MINUTE_MS);
        let timeline = timelineOf(client, center, from, null);
        for (const [i, moment] of sorted.entries()) {
          const earlier = sorted[i - 1] ?? from;
          const counted = sharedBefore(timeline, moment) - sharedBefore(timeline, earlier);
          let expected = 0;
          for (let now = earlier; now < moment; now += MINUTE_MS) {
            const minute = (now - from) / MINUTE_MS;
            const open = [client, center].every((windows) => openByWatching(windows, watched, minute));
            if (open) expected += MINUTE_MS;
          }
          assert.equal(counted, expected, `${client.text} | ${center.text}`);
          // Continued from later on, it counts the same.
          const before = sharedBefore(timeline, moment);
          timeline = timelineOf(client, center, moment, timeline);
          assert.equal(sharedBefore(timeline, moment), before);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('S54: a timeline reaches five weeks, and is continued without a seam for a year', () => {
  const [client, center] = [
    parseWindows('Mon-Fri 22:00-06:00', 'Europe/London'),
    parseWindows('any except Wed', 'Asia/Tokyo'),
  ];
  const start = at('2026-01-10T12:00Z');
  let timeline = timelineOf(client, center, start, null);
  const origin = sharedBefore(timeline, start);
  for (let now = start; now < start + 365 * DAY_MS; now += 20 * DAY_MS) {
    timeline = timelineOf(client, center, now, timeline);
    const end = now + HORIZON_MS;
    assert.equal(sharedBefore(timeline, end) - origin, sharedTime([client, center], start, end));
  }
});

test('S61: on hard nights a rate is the one of the minute, until the minute at which it changes', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...STRETCHES),
      hours,
      hours,
      fc.nat(HOURS * 60 - 1),
      (watched, a, b, minute) => {
        const { zone, from } = watched[0];
        const rows = [a, b].map((text) => parseWindows(text, zone));
        const plan = parseRate(`1 MB/s ${a}, 2 MB/s ${b}, 3 MB/s`, zone);
        const expectedAt = (i: number): number => {
          const row = rows.findIndex((windows) => openByWatching(windows, watched, i));
          return 1_000_000 * (row < 0 ? 3 : row + 1);
        };
        const { bytesPerSecond, until } = rateAt(plan, from + minute * MINUTE_MS);
        assert.equal(bytesPerSecond, expectedAt(minute));
        const end = until === null ? HOURS * 60 : Math.min(HOURS * 60, (until - from) / MINUTE_MS);
        for (let i = minute; i < end; i++) assert.equal(expectedAt(i), bytesPerSecond);
        assert.ok(until === null || until > from + minute * MINUTE_MS);
        assert.ok(until !== null || rows.every(({ text }) => text === 'any') || rows[0]!.text === 'any');
      },
    ),
    { numRuns: 150 },
  );
});

test('S5: windows of every kind open once for each date, through three years of changes in every hard zone', () => {
  const days = 3 * 365;
  const from = at('2017-06-15T09:00Z');
  for (const zone of ['Europe/London', 'America/Sao_Paulo', 'Australia/Lord_Howe', 'Africa/Casablanca']) {
    for (const text of ['22:00-06:00', '00:00-03:30', '01:00-04:00', '23:45-00:15', '04:30-00:00']) {
      const windows = parseWindows(text, zone);
      const timeline = timelineOf(windows, parseWindows('any', 'UTC'), from, null);
      assert.ok(timeline.spans.length >= HORIZON_MS / DAY_MS - 1, `${zone} ${text}`);
      let opened = 0;
      for (let now = from; now < from + days * DAY_MS;) {
        const next = timelineOf(windows, parseWindows('any', 'UTC'), now, null).spans.find(
          ({ start }) => start >= now,
        );
        if (next === undefined) break;
        opened++;
        now = next.end;
      }
      assert.ok(Math.abs(opened - days) <= 1, `${zone} ${text}: ${opened}`);
    }
  }
});
