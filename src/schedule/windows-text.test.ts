import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isLowtideError } from '../model/errors.ts';
import { describeWindows, parseWindows } from './windows.ts';

const canonical = (text: string, zone = 'Europe/London'): string => describeWindows(parseWindows(text, zone));

test('S10-S15: what people write, and its canonical form', () => {
  const rows: Record<string, string> = {
    any: 'any',
    'Mon-Sun any': 'any',
    '00:00-24:00': 'any',
    never: 'never',
    '00:00-03:00': '00:00-03:00 Europe/London',
    '0:00 – 3:00': '00:00-03:00 Europe/London',
    '22:00-00:00': '22:00-24:00 Europe/London',
    '22:00-24:00': '22:00-24:00 Europe/London',
    '22:00:00-24:00:00': '22:00-24:00 Europe/London',
    '0:00:00-24:00:00': 'any',
    '12:00:10-12:00:25': '12:00:10-12:00:25 Europe/London',
    '23:59:59-00:00:01': '23:59:59-00:00:01 Europe/London',
    '8:00 - 8:00:30, 8:01-8:01:30': '08:00-08:00:30, 08:01-08:01:30 (Europe/London)',
    'daily 1:00-2:00, 3:00-4:00': '01:00-02:00, 03:00-04:00 (Europe/London)',
    'Mon-Fri 22:00-06:00': 'Mon-Fri 22:00-06:00 Europe/London',
    'Mon-Fri 22:00-06:00, Sat-Sun any': 'Mon-Fri 22:00-06:00, Sat-Sun any (Europe/London)',
    'Mon,Wed 10:00-11:00': 'Mon,Wed 10:00-11:00 Europe/London',
    'Mon, Wed 10:00-11:00, fri 01:00-02:00': 'Mon,Wed 10:00-11:00, Fri 01:00-02:00 (Europe/London)',
    'saturday, SUNDAY': 'Sat-Sun any Europe/London',
    'Fri-Mon 01:00-02:00': 'Mon,Fri-Sun 01:00-02:00 Europe/London',
    '22:00-06:00 except Sun': '22:00-06:00 except Sun any (Europe/London)',
    'any, except 12:00-13:00': 'any except 12:00-13:00 (Europe/London)',
    'except Sun except 12:00-13:00': 'any except Sun any except 12:00-13:00 (Europe/London)',
    'any except 12:00-13:00, Sun': 'any except 12:00-13:00 except Sun any (Europe/London)',
    '00:00-03:00 Asia/Tokyo': '00:00-03:00 Asia/Tokyo',
    '00:00-03:00 asia/tokyo, Sun any': '00:00-03:00 Asia/Tokyo, Sun any Europe/London',
    '00:00-03:00 Asia/Tokyo, Sun any UTC (Africa/Casablanca)': '00:00-03:00 Asia/Tokyo, Sun any UTC',
    'Sat 01:00-02:00, daily 22:00-23:00 (UTC)': 'Sat 01:00-02:00, daily 22:00-23:00 (UTC)',
  };
  for (const [text, expected] of Object.entries(rows)) assert.equal(canonical(text), expected, text);
});

test('S18: the canonical form says the same wherever it is read', () => {
  const day = fc.constantFrom('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun');
  const days = fc
    .array(
      fc.oneof(
        day,
        fc.tuple(day, day).map(([a, b]) => `${a}-${b}`),
      ),
      { minLength: 1, maxLength: 3 },
    )
    .map((list) => list.join(','));
  const two = (count: number): string => String(count).padStart(2, '0');
  const time = fc
    .tuple(fc.nat(23), fc.nat(59), fc.oneof(fc.constant(0), fc.nat(59)))
    .map(([h, m, s]) => `${two(h)}:${two(m)}${s === 0 ? '' : `:${two(s)}`}`);
  const hours = fc.oneof(
    fc.constant('any'),
    fc
      .tuple(time, time)
      .filter(([a, b]) => a !== b)
      .map(([a, b]) => `${a}-${b}`),
  );
  const zone = fc.constantFrom('', ' UTC', ' Asia/Tokyo', ' America/Port-au-Prince', ' Etc/GMT+9');
  const item = fc.tuple(days, hours, zone).map(([d, h, z]) => `${d} ${h}${z}`);
  const list = fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => items.join(', '));
  const text = fc
    .tuple(list, fc.array(list, { maxLength: 2 }))
    .map(([open, except]) => [open, ...except].join(' except '));
  fc.assert(
    fc.property(text, (text) => {
      const windows = parseWindows(text, 'Europe/London');
      const again = parseWindows(windows.text, 'Pacific/Apia');
      assert.equal(again.text, windows.text);
      if (windows.text !== 'any') assert.deepEqual(again, windows);
    }),
  );
});

const failing = (text: string, zone = 'UTC'): { code: string; message: string } => {
  try {
    parseWindows(text, zone);
  } catch (error) {
    if (isLowtideError(error)) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: `${text} was accepted` });
};

test('S19: an error points at the character and says what was expected there', () => {
  const rows: [text: string, character: number, expected: RegExp][] = [
    ['', 1, /a day, a time such as 22:00, "any" or "except", found the end/],
    ['soon', 1, /found "soon"/],
    ['Mon-Fry 22:00-06:00', 5, /a day .*found "Fry"/],
    ['22:00', 6, /"-" and the time/],
    ['22:00-', 7, /time at which the window closes/],
    ['22-6', 1, /a time from 00:00 to 23:59, found "22"/],
    ['24:00-06:00', 1, /00:00 to 23:59,/],
    ['00:00-24:00:01', 7, /00:00 to 24:00,/],
    ['00:00:60-01:00', 1, /00:00 to 23:59,/],
    ['12:00:5-12:01', 1, /00:00 to 23:59,/],
    ['12:00:05:00-13:00', 1, /00:00 to 23:59,/],
    ['12:00:05-12:00:05', 10, /another time than the start/],
    ['00:00-24:01', 7, /00:00 to 24:00/],
    ['00:00-23:60', 7, /00:00 to 24:00/],
    ['00:00-3:000', 7, /00:00 to 24:00/],
    ['22:00-22:00', 7, /another time than the start/],
    ['10:00-11:00,', 13, /a day, a time/],
    ['10:00-11:00 Mon', 13, /a comma/],
    ['any any', 5, /a comma/],
    ['any except', 11, /a day, a time/],
    ['any except never', 12, /a day, a time/],
    ['never 5', 7, /nothing after "never"/],
    ['any (Europe/London', 19, /"\)"/],
    ['any ()', 6, /a time zone/],
    ['any (UTC) x', 11, /the end/],
    ['😀', 1, /found "😀"/],
    ['any, 😀 Mon', 6, /found "😀"/],
  ];
  for (const [text, character, expected] of rows) {
    const { code, message } = failing(text);
    assert.equal(code, 'bad-schedule', text);
    assert.ok(message.includes(`at character ${character}: expected`), message);
    assert.match(message, expected);
    assert.ok(message.includes(JSON.stringify(text)), message);
  }
});

test('S12: a time range without days after one that names days is refused, not guessed', () => {
  const { code, message } = failing('Mon-Fri 08:00-09:00, 19:30-20:30');
  assert.equal(code, 'bad-schedule');
  assert.match(message, /at character 22: expected the days of this window/);
});

test('S6: an unknown zone is refused and the nearest known one named', () => {
  const rows: Record<string, string> = {
    'any Asia/Tokio': 'Asia/Tokyo',
    'any Tokyo': 'Asia/Tokyo',
    'any Europe/Londn': 'Europe/London',
    'any (America/SaoPaulo)': 'America/Sao_Paulo',
    'any UCT+9': 'UTC',
    [`any ${'Z'.repeat(500)}`]: '',
  };
  for (const [text, nearest] of Object.entries(rows)) {
    const { code, message } = failing(text);
    assert.equal(code, 'bad-zone', text);
    assert.ok(message.includes(`the nearest name is ${nearest}`), message);
  }
  assert.equal(failing('any', '+09:00').code, 'bad-zone');
  assert.equal(failing('any', '').code, 'bad-zone');
  assert.equal(failing('any', '../etc').code, 'bad-zone');
});

test('S20: any text is read or refused with one of the two codes, quoted without control characters', () => {
  const piece = fc.constantFrom(
    'Mon',
    '-',
    ',',
    'any',
    'except',
    '1:00',
    '(',
    ')',
    'UTC',
    ' ',
    '\u001b[',
    '\u009b',
    '\u202e',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(piece).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (text) => {
      try {
        parseWindows(text, 'UTC');
      } catch (error) {
        assert.ok(isLowtideError(error, 'bad-schedule', 'bad-zone'), String(error));
        assert.doesNotMatch(error.message, /[\p{Cc}\u202a-\u202e]/u);
      }
    }),
    { numRuns: 1000 },
  );
  assert.match(failing('any, '.repeat(400)).message, /at character 1001: expected at most 1000 characters/);
});
