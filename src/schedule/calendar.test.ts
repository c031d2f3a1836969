import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isLowtideError } from '../model/errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';
import { describeCalendar, dueAt, parseCalendar, type Calendar, type DueQuestion } from './calendar.ts';
import { watch } from './test-wall.ts';

const LONDON = 'Europe/London';
const at = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const due = (text: string, question: DueQuestion, zone = 'UTC'): string | null => {
  const moment = dueAt(parseCalendar(text, zone), question);
  return moment === null ? null : Temporal.Instant.fromEpochMilliseconds(moment).toString();
};

test('S30: what people write, and its canonical form', () => {
  const rows: Record<string, string> = {
    'daily 22:00': 'daily 22:00 Asia/Tokyo',
    '22:00': 'daily 22:00 Asia/Tokyo',
    'Mon-Fri 18:30': 'Mon-Fri 18:30 Asia/Tokyo',
    'Mon,Wed,Fri 07:00, Sat 12:00': 'Mon,Wed,Fri 07:00, Sat 12:00 (Asia/Tokyo)',
    'daily 7:00, 19:00': 'daily 07:00, daily 19:00 (Asia/Tokyo)',
    'daily 22:00 europe/london': 'daily 22:00 Europe/London',
    'Mon 01:00, Tue 02:00 UTC (Pacific/Apia)': 'Mon 01:00 Pacific/Apia, Tue 02:00 UTC',
    hourly: 'hourly',
    'every 6 h': 'every 6 h',
    'Every 6h': 'every 6 h',
    'every 24 h': 'every 24 h',
    'every 1 day': 'every 24 h',
    'every 30 min': 'every 30 min',
    'every 60 minutes': 'hourly',
    'every 48 hours': 'every 2 d',
    manual: 'manual',
  };
  for (const [text, expected] of Object.entries(rows)) {
    const calendar = parseCalendar(text, 'Asia/Tokyo');
    assert.equal(describeCalendar(calendar), expected, text);
    assert.deepEqual(parseCalendar(expected, LONDON), calendar);
  }
});

test('S19: an error points at the character and says what was expected there', () => {
  const rows: [text: string, character: number, expected: RegExp][] = [
    ['', 1, /a day, a time such as 22:00, "hourly", "every" or "manual"/],
    ['nightly', 1, /found "nightly"/],
    ['daily', 6, /a time of day such as 22:00, found the end/],
    ['daily 24:00', 7, /from 00:00 to 23:59/],
    ['daily 22:00:30', 7, /from 00:00 to 23:59, found "22:00:30"/],
    ['daily 22:00-23:00', 12, /a comma or the end, found "-"/],
    ['Mon-Fri 12:00, 18:00', 16, /the days of this time/],
    ['every', 6, /a number/],
    ['every 6', 8, /"min", "h" or "d"/],
    ['every 6 weeks', 9, /"min", "h" or "d", found "weeks"/],
    ['every 0 h', 7, /from 1 min to 366 d/],
    ['every 367 d', 7, /from 1 min to 366 d/],
    ['every 6 h, daily 22:00', 10, /nothing after the interval/],
    ['manual 22:00', 8, /nothing after manual/],
  ];
  for (const [text, character, expected] of rows) {
    assert.throws(
      () => parseCalendar(text, 'UTC'),
      (error) =>
        isLowtideError(error, 'bad-schedule') &&
        error.message.includes(`at character ${character}: expected`) &&
        expected.test(error.message),
      text,
    );
  }
  assert.throws(
    () => parseCalendar('daily 22:00 Asia/Tokio', 'UTC'),
    (error) => isLowtideError(error, 'bad-zone'),
  );
});

test('S31: manual is never due', () => {
  assert.equal(due('manual', { lastTaken: null, since: 0, now: at('2026-03-02T00:00Z') }), null);
});

test('S32: nothing is due that came before the job was made', () => {
  const since = at('2026-03-02T22:30Z');
  assert.equal(due('daily 22:00', { lastTaken: null, since, now: since }), '2026-03-03T22:00:00Z');
  assert.equal(due('daily 22:30', { lastTaken: null, since, now: since }), '2026-03-02T22:30:00Z');
  assert.equal(
    due('every 6 h', { lastTaken: null, since, now: since + 5 * HOUR_MS }),
    '2026-03-02T22:30:00Z',
  );
});

test('S33: of the turns that were slept through only the newest is due, at once; then the next in its turn', () => {
  const since = at('2026-02-01T00:00Z');
  const [lastTaken, now] = [at('2026-02-20T22:00Z'), at('2026-03-02T08:00Z')];
  assert.equal(due('daily 22:00', { lastTaken, since, now }), '2026-03-01T22:00:00Z');
  assert.equal(due('Mon 07:00, Fri 12:00', { lastTaken, since, now }), '2026-03-02T07:00:00Z');
  assert.equal(due('daily 22:00', { lastTaken: now, since, now }), '2026-03-02T22:00:00Z');
  assert.equal(due('every 24 h', { lastTaken, since, now }), '2026-02-21T22:00:00Z');
  assert.equal(due('every 24 h', { lastTaken: now, since, now }), '2026-03-03T08:00:00Z');
});

test('S33: a backup that was taken at the very moment of its turn is not due again', () => {
  const turn = at('2026-03-02T22:00Z');
  for (const lastTaken of [turn, turn - 1, turn - 999]) {
    const question = { lastTaken, since: 0, now: turn };
    assert.equal(due('daily 22:00', question), '2026-03-03T22:00:00Z');
  }
});

test('S34: a turn in the gap is at its end, a turn in the repeated hour is the first time round', () => {
  const since = at('2026-01-01T00:00Z');
  const spring = { lastTaken: at('2026-03-28T01:45Z'), since, now: at('2026-03-28T12:00Z') };
  assert.equal(due('daily 01:30', spring, LONDON), '2026-03-29T01:00:00Z');
  assert.equal(due('daily 01:30, daily 01:45', spring, LONDON), '2026-03-29T01:00:00Z');
  const taken = at('2026-03-29T01:00Z');
  assert.equal(due('daily 01:30', { lastTaken: taken, since, now: taken }, LONDON), '2026-03-30T00:30:00Z');
  const autumn = { lastTaken: at('2026-10-24T00:30Z'), since, now: at('2026-10-24T12:00Z') };
  assert.equal(due('daily 01:30', autumn, LONDON), '2026-10-25T00:30:00Z');
  const first = at('2026-10-25T00:30Z');
  assert.equal(due('daily 01:30', { lastTaken: first, since, now: first }, LONDON), '2026-10-26T01:30:00Z');
});

test('S35: with a spread the first backup is at once, and the second or third is in its turn and stays there', () => {
  const calendar = parseCalendar('every 24 h', 'UTC');
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      fc.nat(DAY_MS),
      fc.nat(90_000),
      (spread, start, late) => {
        const since = at('2026-03-02T00:00Z') + start;
        let lastTaken: number | null = null;
        const turns: number[] = [];
        for (let n = 0; n < 6; n++) {
          const now: number = lastTaken ?? since;
          const turn: number = dueAt(calendar, { lastTaken, since, now, spread })!;
          if (lastTaken === null) assert.equal(turn, since);
          else assert.ok(turn - lastTaken >= DAY_MS / 2 && turn - lastTaken <= DAY_MS);
          turns.push(turn);
          lastTaken = turn + late;
        }
        for (const turn of turns.slice(3)) {
          assert.equal((turn - Math.floor(spread * DAY_MS)) % DAY_MS, 0);
        }
        assert.deepEqual([turns[4]! - turns[3]!, turns[5]! - turns[4]!], [DAY_MS, DAY_MS]);
      },
    ),
  );
  assert.throws(() => dueAt(calendar, { lastTaken: 0, since: 0, now: 0, spread: 1 }), RangeError);
});

test('S36: a last backup from the future was dated by a wrong clock, and does not stop the next one for years', () => {
  const [since, now] = [at('2026-02-01T00:00Z'), at('2026-03-02T08:00Z')];
  const lastTaken = at('2031-01-01T00:00Z');
  assert.equal(due('daily 22:00', { lastTaken, since, now }), '2026-03-01T22:00:00Z');
  assert.ok(dueAt(parseCalendar('every 6 h', 'UTC'), { lastTaken, since, now })! <= now);
  assert.equal(due('daily 22:00', { lastTaken: null, since: lastTaken, now }), '2026-03-01T22:00:00Z');
  assert.equal(due('every 6 h', { lastTaken: null, since: lastTaken, now }), '2026-03-02T08:00:00Z');
  // A few minutes are an ordinary correction: nothing is taken twice for that.
  assert.equal(due('daily 08:00', { lastTaken: now + 5 * MINUTE_MS, since, now }), '2026-03-03T08:00:00Z');
});

/** What an agent does that looks at its jobs every minute while it is awake. */
function takenBy(calendar: Calendar, from: number, awake: readonly boolean[]): number[] {
  const taken: number[] = [];
  awake.forEach((isAwake, minute) => {
    const now = from + minute * MINUTE_MS;
    if (!isAwake) return;
    const turn = dueAt(calendar, { lastTaken: taken.at(-1) ?? null, since: from, now });
    if (turn !== null && turn <= now) taken.push(now);
  });
  return taken;
}

test('S31-S34: an agent that sleeps now and then takes what watching the wall clock minute by minute says', () => {
  const stretches = [
    [LONDON, '2026-03-28T00:00Z'],
    [LONDON, '2026-10-24T00:00Z'],
    ['America/Sao_Paulo', '2018-02-17T00:00Z'],
    ['America/Sao_Paulo', '2018-11-03T00:00Z'],
    ['Australia/Lord_Howe', '2026-04-03T12:00Z'],
    ['Africa/Casablanca', '2025-02-22T00:00Z'],
    ['Pacific/Apia', '2011-12-29T00:00Z'],
  ] as const;
  const hours = 60;
  const watched = stretches.map(([zone, from]) => watch(zone, at(from), hours));
  const minuteOfDay = fc.oneof(fc.constantFrom(0, 30, 60, 90, 119, 120, 1410, 1439), fc.nat(1439));
  const sleep = fc.tuple(fc.nat(hours * 60), fc.nat(20 * 60));
  fc.assert(
    fc.property(
      fc.constantFrom(...watched),
      fc.array(minuteOfDay, { minLength: 1, maxLength: 3 }),
      fc.array(sleep, { maxLength: 3 }),
      ({ zone, from, shown }, minutes, sleeps) => {
        const text = minutes
          .map((m) => `daily ${Math.floor(m / 60)}:${String(m % 60).padStart(2, '0')}`)
          .join(', ');
        const awake = shown.map(
          (_, i) => !sleeps.some(([start, length]) => start <= i && i < start + length),
        );
        const expected: number[] = [];
        let pending = false;
        shown.forEach((now, i) => {
          const before = shown[i - 1] ?? now - 1;
          for (let passed = before + 1; passed <= now; passed++) pending ||= minutes.includes(passed % 1440);
          if (pending && awake[i]!) {
            expected.push(from + i * MINUTE_MS);
            pending = false;
          }
        });
        assert.deepEqual(takenBy(parseCalendar(text, zone), from, awake), expected, `${zone} ${text}`);
      },
    ),
    { numRuns: 40 },
  );
});

test('S34: a daily job runs once on every day of three years in every hard zone', () => {
  const days = 3 * 365;
  for (const zone of [LONDON, 'America/Sao_Paulo', 'Australia/Lord_Howe', 'Africa/Casablanca']) {
    for (const time of ['00:00', '00:30', '01:30', '02:15', '23:30']) {
      const calendar = parseCalendar(`daily ${time}`, zone);
      let now = at('2017-06-15T12:00Z');
      const dates = new Set<string>();
      for (let n = 0; n < days; n++) {
        const next = dueAt(calendar, { lastTaken: now, since: 0, now })!;
        const local = Temporal.Instant.fromEpochMilliseconds(next).toZonedDateTimeISO(zone);
        dates.add(local.toPlainDate().toString());
        assert.ok(next - now <= 26 * HOUR_MS);
        now = next;
      }
      assert.equal(dates.size, days, `${zone} ${time}`);
      assert.ok(Math.abs(now - at('2017-06-15T12:00Z') - days * DAY_MS) <= DAY_MS);
    }
  }
});

test('S33, S35: every N hours, whatever sleeps lie between: one backup after each, and else one interval apart', () => {
  const sleep = fc.tuple(fc.nat(4 * 24 * 60), fc.nat(2 * 24 * 60));
  fc.assert(
    fc.property(fc.constantFrom(1, 5, 6, 24), fc.array(sleep, { maxLength: 4 }), (every, sleeps) => {
      const calendar = parseCalendar(`every ${every} h`, 'Europe/London');
      const minutes = 4 * 24 * 60;
      const awake = Array.from(
        { length: minutes },
        (_, i) => !sleeps.some(([start, length]) => start <= i && i < start + length),
      );
      // Over a night on which clocks go back: an interval does not know of it.
      const from = at('2026-10-23T12:00Z');
      const taken = takenBy(calendar, from, awake);
      const expected: number[] = [];
      for (let i = 0, due = 0; i < minutes; i++) {
        if (i < due || !awake[i]!) continue;
        expected.push(from + i * MINUTE_MS);
        due = i + every * 60;
      }
      assert.deepEqual(taken, expected);
    }),
    { numRuns: 40 },
  );
});
