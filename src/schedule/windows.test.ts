import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isLowtideError } from '../model/errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../model/time.ts';
import { openByWatching, watch } from './test-wall.ts';
import {
  checkWindowsMeet,
  everMeet,
  FOREVER_AGO,
  HORIZON_MS,
  intervalAt,
  intervalsBetween,
  isOpen,
  nextInterval,
  nextShared,
  parseWindows,
  sharedTime,
  type Interval,
} from './windows.ts';

const LONDON = 'Europe/London';
const at = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const shown = (interval: Interval | null): string | null => {
  const instant = (ms: number): string => Temporal.Instant.fromEpochMilliseconds(ms).toString();
  return interval && `${instant(interval.start)} ${interval.end === null ? 'on' : instant(interval.end)}`;
};
const between = (text: string, zone: string, from: string, to: string): (string | null)[] =>
  intervalsBetween(parseWindows(text, zone), at(from), at(to)).map(shown);

test('S11: a window that crosses midnight belongs to the day on which it starts', () => {
  assert.deepEqual(between('Fri 22:00-06:00', 'Asia/Tokyo', '2026-03-05T00:00Z', '2026-03-12T00:00Z'), [
    '2026-03-06T13:00:00Z 2026-03-06T21:00:00Z',
  ]);
});

test('S14: an exception closes its own hours and nothing else', () => {
  assert.deepEqual(
    between('22:00-06:00 except Sun, Mon 03:00-04:00', 'UTC', '2026-03-07T00:00Z', '2026-03-10T00:00Z'),
    [
      '2026-03-07T00:00:00Z 2026-03-07T06:00:00Z',
      '2026-03-07T22:00:00Z 2026-03-08T03:00:00Z',
      '2026-03-08T04:00:00Z 2026-03-08T06:00:00Z',
      '2026-03-08T22:00:00Z 2026-03-09T03:00:00Z',
      '2026-03-09T04:00:00Z 2026-03-09T06:00:00Z',
      '2026-03-09T22:00:00Z 2026-03-10T00:00:00Z',
    ],
  );
  assert.deepEqual(between('22:00-06:00 except Sun', 'UTC', '2026-03-07T12:00Z', '2026-03-09T12:00Z'), [
    '2026-03-07T22:00:00Z 2026-03-08T00:00:00Z',
    '2026-03-09T00:00:00Z 2026-03-09T06:00:00Z',
  ]);
});

test('S16: windows that touch or overlap are one interval', () => {
  const windows = parseWindows('Mon-Fri 22:00-06:00, Sat-Sun any', 'UTC');
  const weekend = '2026-03-06T22:00:00Z 2026-03-09T00:00:00Z';
  assert.equal(shown(intervalAt(windows, at('2026-03-08T12:00Z'))), weekend);
  assert.equal(shown(nextInterval(windows, at('2026-03-06T12:00Z'))), weekend);
  assert.equal(intervalAt(windows, at('2026-03-09T00:00Z')), null);
  assert.equal(intervalAt(windows, at('2026-03-06T22:00Z') - 1), null);
});

test('S16: what stays open for more than five weeks has no end and no start', () => {
  const now = at('2026-03-08T12:00Z');
  for (const text of ['any', 'Mon-Fri any, Sat-Sun any', '00:00-12:00, 12:00-24:00']) {
    const windows = parseWindows(text, LONDON);
    assert.deepEqual(intervalAt(windows, now), { start: FOREVER_AGO, end: null }, text);
    assert.deepEqual(nextShared([windows, windows], now), { start: FOREVER_AGO, end: null }, text);
  }
  assert.deepEqual(nextShared([], now), { start: FOREVER_AGO, end: null });
  assert.equal(nextInterval(parseWindows('never', LONDON), now), null);
});

test('S3, S17: a start in the gap opens at its end, an end in the gap closes there, a window inside it stays shut', () => {
  // 2026-03-29, 01:00 GMT: London's clocks go to 02:00.
  const night = (text: string): (string | null)[] =>
    between(text, LONDON, '2026-03-28T12:00Z', '2026-03-29T12:00Z');
  assert.deepEqual(night('01:30-03:00'), ['2026-03-29T01:00:00Z 2026-03-29T02:00:00Z']);
  assert.deepEqual(night('00:00-01:30'), ['2026-03-29T00:00:00Z 2026-03-29T01:00:00Z']);
  assert.deepEqual(night('01:15-01:45'), []);
  assert.deepEqual(night('22:00-06:00'), ['2026-03-28T22:00:00Z 2026-03-29T05:00:00Z']);
});

test('S4: in the repeated hour a window opens and closes at the first time round', () => {
  // 2026-10-25, 01:00 GMT: London's clocks go from 02:00 back to 01:00.
  const night = (text: string): (string | null)[] =>
    between(text, LONDON, '2026-10-24T12:00Z', '2026-10-25T12:00Z');
  assert.deepEqual(night('01:15-01:45'), ['2026-10-25T00:15:00Z 2026-10-25T00:45:00Z']);
  assert.deepEqual(night('00:00-01:30'), ['2026-10-24T23:00:00Z 2026-10-25T00:30:00Z']);
  assert.deepEqual(night('01:30-03:00'), ['2026-10-25T00:30:00Z 2026-10-25T03:00:00Z']);
  assert.deepEqual(night('00:00-02:00'), ['2026-10-24T23:00:00Z 2026-10-25T02:00:00Z']);
});

test('S3, S17: on the day that Apia left out, only what reaches into the next day opens', () => {
  const days = (text: string): (string | null)[] =>
    between(text, 'Pacific/Apia', '2011-12-29T12:00Z', '2011-12-31T20:00Z');
  assert.deepEqual(days('Fri 22:00-23:00'), []);
  assert.deepEqual(days('Fri 22:00-06:00'), ['2011-12-30T10:00:00Z 2011-12-30T16:00:00Z']);
  assert.deepEqual(days('22:00-06:00'), [
    '2011-12-29T12:00:00Z 2011-12-29T16:00:00Z',
    '2011-12-30T08:00:00Z 2011-12-30T16:00:00Z',
    '2011-12-31T08:00:00Z 2011-12-31T16:00:00Z',
  ]);
});

/** Stretches of real time in which some zone's clocks do something hard. */
const STRETCHES: [zone: string, from: string][] = [
  [LONDON, '2026-03-28T00:00Z'],
  [LONDON, '2026-10-24T00:00Z'],
  ['America/Sao_Paulo', '2018-02-17T00:00Z'],
  ['America/Sao_Paulo', '2018-11-03T00:00Z'],
  ['Australia/Lord_Howe', '2026-04-03T12:00Z'],
  ['Australia/Lord_Howe', '2026-10-02T12:00Z'],
  ['Africa/Casablanca', '2025-02-22T00:00Z'],
  ['Africa/Casablanca', '2025-04-05T00:00Z'],
  ['Pacific/Apia', '2011-12-29T00:00Z'],
];
const HOURS = 60;
const OTHERS = ['Asia/Tokyo', LONDON];

const clockTime = (h: number, m: number): string => `${h}:${String(m).padStart(2, '0')}`;
/** Minutes that are often the hard ones. */
const MINUTES: fc.Arbitrary<string> = fc
  .tuple(fc.oneof(fc.constantFrom(0, 1, 2, 23), fc.nat(23)), fc.oneof(fc.constantFrom(0, 30, 59), fc.nat(59)))
  .map(([h, m]) => clockTime(h, m));
/** Seconds, in the hours in which the hard things happen. */
const SECONDS: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(0, 1, 2, 3, 4, 22, 23),
    fc.oneof(fc.constantFrom(0, 29, 30, 59), fc.nat(59)),
    fc.oneof(fc.constantFrom(0, 1, 59), fc.nat(59)),
  )
  .map(([h, m, s]) => `${clockTime(h, m)}:${String(s).padStart(2, '0')}`);

function windowTexts(zone: string, time: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const hours = fc.tuple(time, time).map(([a, b]) => (a === b ? 'any' : `${a}-${b}`));
  const days = fc.constantFrom('daily', 'Fri', 'Sat', 'Sun', 'Mon,Wed,Sun', 'Thu-Sat');
  const item = fc
    .tuple(days, hours, fc.constantFrom(zone, zone, ...OTHERS))
    .map(([d, h, z]) => `${d} ${h} ${z}`);
  const list = (least: number): fc.Arbitrary<string[]> => fc.array(item, { minLength: least, maxLength: 3 });
  return fc
    .tuple(list(1), fc.oneof(fc.constant([]), list(1)))
    .map(([open, except]) => open.join(', ') + (except.length > 0 ? ` except ${except.join(', ')}` : ''));
}

interface Stretch {
  readonly zone: string;
  readonly from: number;
  readonly hours: number;
  /** From one look at the wall clock to the next. */
  readonly step: number;
  readonly time: fc.Arbitrary<string>;
  readonly numRuns: number;
}

/** Whatever windows there are, they are open when the clocks on the wall say so, and searches find them. */
function agreesWithWatching({ zone, from, hours, step, time, numRuns }: Stretch): void {
  const to = from + hours * HOUR_MS;
  const watched = [zone, ...OTHERS].map((name) => watch(name, from, hours, step));
  const { shown: hands } = watched[0]!;
  assert.ok(
    hands.some((shown, i) => i > 0 && shown - hands[i - 1]! !== 1),
    'nothing hard happens here',
  );
  const texts = windowTexts(zone, time);
  fc.assert(
    fc.property(texts, texts, fc.nat(hands.length - 1), (first, second, look) => {
      const [a, b] = [parseWindows(first, zone), parseWindows(second, zone)];
      const spans = [a, b].map((windows) => intervalsBetween(windows, from, to));
      let shared = 0;
      for (let i = 0; i < hands.length; i++) {
        const now = from + i * step;
        const expected = [a, b].map((windows) => openByWatching(windows, watched, i));
        const found = spans.map((list) => list.some(({ start, end }) => start <= now && now < end));
        if (found[0] !== expected[0] || found[1] !== expected[1]) assert.deepEqual(found, expected);
        if (expected[0]! && expected[1]!) shared++;
      }
      assert.equal(sharedTime([a, b], from, to), shared * step);
      const now = from + look * step;
      assert.equal(isOpen(a, now), openByWatching(a, watched, look));
      assert.equal(intervalAt(a, now) !== null, isOpen(a, now));
      const next = nextInterval(a, now);
      const ahead = spans[0]!.find(({ end }) => end > now);
      if (ahead !== undefined) {
        assert.ok(next !== null);
        assert.equal(Math.max(next.start, from), ahead.start);
        assert.equal(Math.min(next.end ?? to, to), ahead.end);
      } else assert.ok(next === null || next.start >= to);
    }),
    { numRuns },
  );
}

for (const [zone, start] of STRETCHES) {
  test(`S2-S5: ${zone} from ${start} agrees with watching a wall clock minute by minute`, () => {
    const from = at(start);
    agreesWithWatching({ zone, from, hours: HOURS, step: MINUTE_MS, time: MINUTES, numRuns: 40 });
  });
  test(`S2-S5, S10: ${zone} around the change after ${start} agrees with watching it second by second`, () => {
    const change = Temporal.Instant.from(start).toZonedDateTimeISO(zone).getTimeZoneTransition('next')!;
    const from = change.epochMilliseconds - HOUR_MS;
    agreesWithWatching({ zone, from, hours: 3, step: SECOND_MS, time: SECONDS, numRuns: 15 });
  });
}

test('S10: windows of a few seconds, over midnight and between one another', () => {
  assert.deepEqual(
    between('23:59:50-00:00:05, 00:00:20-00:00:30', 'UTC', '2026-03-06T23:59Z', '2026-03-07T00:01Z'),
    ['2026-03-06T23:59:50Z 2026-03-07T00:00:05Z', '2026-03-07T00:00:20Z 2026-03-07T00:00:30Z'],
  );
  assert.deepEqual(
    between('12:00-13:00 except 12:30:15-12:30:45', 'UTC', '2026-03-06T12:00Z', '2026-03-06T13:00Z'),
    ['2026-03-06T12:00:00Z 2026-03-06T12:30:15Z', '2026-03-06T12:30:45Z 2026-03-06T13:00:00Z'],
  );
  // 2026-03-29, 01:00 GMT: London's clocks go to 02:00.
  assert.deepEqual(between('00:59:50-01:00:10', LONDON, '2026-03-29T00:00Z', '2026-03-29T12:00Z'), [
    '2026-03-29T00:59:50Z 2026-03-29T01:00:00Z',
  ]);
  assert.deepEqual(between('01:59:50-02:00:10', LONDON, '2026-03-29T00:00Z', '2026-03-29T12:00Z'), [
    '2026-03-29T01:00:00Z 2026-03-29T01:00:10Z',
  ]);
});

test('S5: a daily window opens once and closes once on every day of three years, in every hard zone', () => {
  const zones = [...new Set(STRETCHES.map(([zone]) => zone))].filter((zone) => zone !== 'Pacific/Apia');
  for (const zone of zones) {
    // These hours contain every gap and every repeated hour of these zones, so none of its days is empty.
    const windows = parseWindows('23:30-03:30', zone);
    const from = at('2017-06-15T12:00Z');
    const days = 3 * 365;
    const spans = intervalsBetween(windows, from, from + days * DAY_MS);
    assert.ok(Math.abs(spans.length - days) <= 1, `${zone}: ${spans.length}`);
    for (const { start, end } of spans.slice(1, -1)) {
      assert.ok([3, 3.5, 4, 4.5, 5].includes((end - start) / HOUR_MS), `${zone}: ${(end - start) / HOUR_MS}`);
    }
  }
});

test('S21: the shared time of two sides is where both are open', () => {
  const client = parseWindows('00:00-03:00', 'Asia/Tokyo');
  const center = parseWindows('Mon-Fri 22:00-08:00', 'Asia/Tokyo');
  // Friday 2026-03-06 18:00 in Tokyo; the center's Friday night runs into Saturday.
  const friday = at('2026-03-06T09:00Z');
  assert.equal(shown(nextShared([client, center], friday)), '2026-03-06T15:00:00Z 2026-03-06T18:00:00Z');
  assert.equal(
    shown(nextShared([client, center], friday + DAY_MS)),
    '2026-03-09T15:00:00Z 2026-03-09T18:00:00Z',
  );
  assert.equal(
    shown(nextShared([client, center], at('2026-03-06T16:00Z'))),
    '2026-03-06T15:00:00Z 2026-03-06T18:00:00Z',
  );
  assert.equal(sharedTime([client, center], friday, friday + 7 * DAY_MS), 5 * 3 * HOUR_MS);
  assert.equal(sharedTime([client, center], friday, friday), 0);
  assert.equal(nextShared([client, parseWindows('12:00-13:00', 'Asia/Tokyo')], friday), null);
});

test('S22: windows that meet only in summer do meet; the search of S21 does not see so far', () => {
  const london = parseWindows('10:00-11:00', LONDON);
  const utc = parseWindows('09:00-10:00', 'UTC');
  const winter = at('2026-11-15T00:00Z');
  assert.equal(nextShared([london, utc], winter), null);
  assert.equal(everMeet(london, utc, winter), true);
  assert.equal(everMeet(london, utc), true);
  assert.equal(
    shown(nextShared([london, utc], at('2026-03-29T00:00Z') - HORIZON_MS / 2)),
    '2026-03-29T09:00:00Z 2026-03-29T10:00:00Z',
  );
});

test('S22: windows that never meet are refused with both printed', () => {
  const client = parseWindows('12:00-13:00 except Sun', 'Asia/Tokyo');
  const center = parseWindows('22:00-08:00', 'Asia/Tokyo');
  assert.throws(
    () => checkWindowsMeet(client, center),
    (error) =>
      isLowtideError(error, 'windows-never-meet') &&
      error.message.includes(client.text) &&
      error.message.includes(center.text),
  );
  checkWindowsMeet(parseWindows('07:59-12:00', 'Asia/Tokyo'), center);
  assert.equal(everMeet(parseWindows('never', 'UTC'), parseWindows('any', 'UTC')), false);
});
