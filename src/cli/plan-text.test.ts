import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';
import type { CenterPlan, Expected, PlannedLine } from '../node/center/people.ts';
import { drawPlan } from './plan-picture.ts';
import { barText, errorsText, expectedText, nightTexts, operatorsText, scaleText } from './plan-text.ts';

/** 18:00 in Tokyo. */
const NOW = Temporal.Instant.from('2026-03-02T09:00Z').epochMilliseconds;
const at = (hour: number, minute = 0): number => NOW + (hour - 18) * HOUR_MS + minute * MINUTE_MS;
const range = (likely: number, late = likely): Expected['start'] => ({ early: likely, likely, late });

const soon: Expected = {
  place: 3,
  start: range(at(24, 12)),
  end: range(at(24, 31), at(24, 40)),
  stretches: [{ start: at(24, 12), end: at(24, 31) }],
  fits: true,
  why: null,
};
const tomorrow: Expected = {
  ...soon,
  place: 4,
  end: range(at(47)),
  stretches: [
    { start: at(29), end: at(30) },
    { start: at(46), end: at(47) },
  ],
  fits: false,
  why: 'center-window',
};
const never: Expected = { ...soon, place: null, start: null, end: null, stretches: [], fits: false };
const away: Expected = { ...never, why: 'client-offline' };

const planned = (expected: Expected | null, n: number): PlannedLine => ({
  snapshot: `${n}` as SnapshotId,
  client: `${n}` as ClientId,
  via: null,
  clientName: `pc-${n} <1>`,
  job: 'docs',
  takenAt: NOW,
  offeredAt: NOW,
  bytes: 1024,
  received: 0,
  transfer: 'any',
  transferZone: 'Asia/Tokyo',
  code: 'center-window',
  until: null,
  text: '',
  expected,
});

const plan = (everybody = false): CenterPlan => ({
  center: 'c' as CenterId,
  name: 'rome',
  kind: 'center',
  running: !everybody,
  now: NOW,
  windows: '22:00-06:00',
  zone: 'Asia/Tokyo',
  streams: 2,
  offers: [soon, tomorrow, away].map(planned),
  forecast: {
    nightEnd: at(30),
    fitting: { offers: 1, bytes: 1024 },
    left: { offers: 2, bytes: 2048 },
    done: at(24, 31),
    everybody,
  },
  errors: null,
});

test('what is expected of one snapshot: its place, its times, and why not this night', () => {
  assert.equal(expectedText(soon, plan()), 'third in line, 00:12 to 00:31, 00:40 at the latest');
  assert.equal(
    expectedText(tomorrow, plan()),
    "not this night (waiting for the center's window): fourth in line, 00:12 to 2026-03-03 23:00",
  );
  assert.equal(expectedText(away, plan()), 'not in sight: waiting for the computer to connect to the center');
  assert.equal(expectedText({ ...soon, place: 0, end: range(at(24, 31)) }, plan()), '00:12 to 00:31');
  assert.equal(expectedText({ ...soon, place: 12, end: null }, plan()), '12th in line, from 00:12');
  assert.equal(expectedText(null, plan()), '');
});

test('what has begun in a minute is over by the next one, and no time is told that is too early', () => {
  const short = { ...soon, start: range(at(24)), end: range(at(24) + 3600, at(24) + 4800) };
  assert.equal(expectedText(short, plan()), 'third in line, 00:00 to 00:01');
  const { forecast, ...rest } = plan();
  const night = nightTexts({ ...forecast!, done: at(24) + 3600 }, { ...rest, forecast });
  assert.match(night[0]!, /the last of them by 00:01\.$/);
});

test('a time that the clock shows twice is told with its offset', () => {
  const [now, from, to] = ['2026-10-24T20:30Z', '2026-10-25T00:36Z', '2026-10-25T01:44Z'].map(
    (text) => Temporal.Instant.from(text).epochMilliseconds,
  );
  const night = { ...plan(), zone: 'Europe/London', now: now! };
  const long = { ...soon, place: 0, start: range(from!), end: range(to!) };
  assert.equal(expectedText(long, night), '01:36 (+01:00) to 01:44 (+00:00)');
});

test('why something is not collected is said to the operator, not to its owner', () => {
  const why = { ...never, why: 'no-shared-window' } as const;
  assert.equal(
    expectedText(why, plan()),
    "not in sight: the computer's windows and the center's are not open together at any time of the next five weeks",
  );
  assert.equal(expectedText(why, plan(), 'no-shared-window'), 'not in sight', 'it stands above');
  assert.equal(operatorsText('the center was told to wait', 'relay'), 'the relay was told to wait');
});

test('the scale names the time at which each of its columns begins, on the night of 25 hours too', () => {
  assert.equal(scaleText(NOW, at(30), 'Asia/Tokyo'), '18:00   20:00   22:00   00:00   02:00   04:00');
  const [from, until] = ['2026-10-24T21:30Z', '2026-10-25T09:30Z'].map(
    (text) => Temporal.Instant.from(text).epochMilliseconds,
  );
  assert.equal(scaleText(from!, until!, 'Europe/London'), '      00:00       02:00   04:00   06:00   08:00');
  assert.equal(
    scaleText(NOW, at(18 + 14 * 24), 'Asia/Tokyo'),
    '            03-06        03-10         03-14',
  );
});

test('the scale of a short night has minutes', () => {
  assert.equal(scaleText(at(18, 2), at(18, 14), 'Asia/Tokyo'), '            18:05               18:10');
});

test('a bar shows when it is on the wire, from now to the end of the night', () => {
  assert.equal(barText(soon, NOW, at(30)).indexOf('#'), 24);
  assert.equal(barText(soon, NOW, at(30)).length, 48);
  assert.match(barText(tomorrow, NOW, at(30)), /^\.{44}#{4}$/);
  assert.match(barText(away, NOW, at(30)), /^\.{48}$/);
});

test('of the night: how much is collected, what is not and why, and when it is', () => {
  assert.deepEqual(nightTexts(plan().forecast!, plan()), [
    '1 snapshot (1.0 KiB) will be collected by 06:00, the last of them by 00:31.',
    "2 snapshots (2.0 KiB) will not. 1: waiting for the center's window; 1: waiting for the computer to connect to the center.",
    'Those of them that are in sight will be there by 2026-03-03 23:00.',
  ]);
  assert.ok(nightTexts(plan(true).forecast!, plan(true)).some((text) => text.includes('every computer')));
});

test('the picture has a row for each that sends, with names that cannot break it', () => {
  const picture = drawPlan(plan())!;
  assert.ok(picture.startsWith('<svg ') && picture.trimEnd().endsWith('</svg>'));
  assert.ok(picture.includes('pc-0 &lt;1&gt; docs') && picture.includes('pc-1 &lt;1&gt; docs'));
  assert.ok(!picture.includes('pc-2'));
  assert.equal(drawPlan({ ...plan(), forecast: null }), null);
});

test('how good the forecasts were is told in times that people use', () => {
  const errors = { count: 40, half: 4 * 60_000, ninety: 11 * 60_000, within: 0.85 };
  assert.equal(
    errorsText(errors),
    'How far forecasts were off, of 40 snapshots in the last 14 days: half at most 4 min 00 s, 90 % at most 11 min 00 s; 85 % came in the time that was told.',
  );
});
