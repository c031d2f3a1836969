import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLowtideError } from '../model/errors.ts';
import { rateAt } from './rate-plan.ts';
import { parseRate, rateText } from './rate-text.ts';

const TOKYO = 'Asia/Tokyo';
const at = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const rate = (text: string, moment: string): string => {
  const { bytesPerSecond, until } = rateAt(parseRate(text, TOKYO), at(moment));
  const end = until === null ? 'on' : Temporal.Instant.fromEpochMilliseconds(until).toString();
  return `${rateText(bytesPerSecond)} until ${end}`;
};

test('S60: what people write, and its canonical form', () => {
  const rows: Record<string, string> = {
    unlimited: 'unlimited',
    '20 MB/s': '20 MB/s',
    '20MB/s': '20 MB/s',
    '100 Mbit/s': '12.5 MB/s',
    '0.5 MiB/s': '512 KiB/s',
    '1500 kB/s': '1.5 MB/s',
    '8 Mbit/s': '1 MB/s',
    '5 MB/s Mon-Fri 08:00-18:00, 50 MB/s': '5 MB/s Mon-Fri 08:00-18:00 Asia/Tokyo, 50 MB/s',
    '5 MB/s 8:00-18:00 UTC': '5 MB/s 08:00-18:00 UTC',
    '5 MB/s Sat, Sun (Europe/London)': '5 MB/s Sat-Sun any Europe/London',
    '5 MB/s Sat, 6 MB/s Sun, unlimited': '5 MB/s Sat any Asia/Tokyo, 6 MB/s Sun any Asia/Tokyo, unlimited',
  };
  for (const [text, expected] of Object.entries(rows)) {
    const plan = parseRate(text, TOKYO);
    assert.equal(plan.text, expected, text);
    assert.deepEqual(parseRate(plan.text, 'Pacific/Apia'), plan);
  }
});

test('S19, S60: an error points at the character and says what was expected there', () => {
  const rows: [text: string, character: number, expected: RegExp][] = [
    ['', 1, /a rate such as 20 MB\/s, or "unlimited", found the end/],
    ['fast', 1, /a rate such as/],
    ['20', 3, /a unit: kB\/s/],
    ['20 Mb/s', 4, /MB\/s, .* or kbit\/s/],
    ['20 Mbps', 4, /a unit/],
    ['20 MB', 4, /a unit/],
    ['0 MB/s', 1, /a rate above 0 \(to collect nothing/],
    ['0 MB/s 08:00-18:00, 5 MB/s', 1, /a rate above 0/],
    ['2000 GB/s', 1, /at most 1000 GB\/s/],
    ['-5 MB/s', 1, /a rate such as/],
    ['20 MB/s, 5 MB/s', 10, /hours in front of this comma/],
    ['20 MB/s at night', 9, /hours such as/],
    ['20 MB/s 08:00', 14, /"-" and the time/],
  ];
  for (const [text, character, expected] of rows) {
    assert.throws(
      () => parseRate(text, TOKYO),
      (error) =>
        isLowtideError(error, 'bad-schedule') &&
        error.message.includes(`at character ${character}: expected`) &&
        expected.test(error.message),
      text,
    );
  }
});

test('S61: the first row whose hours are open counts, and what no row says is unlimited', () => {
  const text = '5 MB/s Mon-Fri 08:00-18:00, 7 MB/s Fri, 50 MB/s 00:00-06:00';
  // 2026-03-05 is a Thursday; Tokyo is nine hours ahead.
  assert.equal(rate(text, '2026-03-04T23:30:00Z'), '5 MB/s until 2026-03-05T09:00:00Z');
  assert.equal(rate(text, '2026-03-05T09:00:00Z'), 'unlimited until 2026-03-05T15:00:00Z');
  assert.equal(rate(text, '2026-03-05T15:00:00Z'), '7 MB/s until 2026-03-05T23:00:00Z');
  assert.equal(rate(text, '2026-03-05T23:00:00Z'), '5 MB/s until 2026-03-06T09:00:00Z');
  assert.equal(rate(text, '2026-03-06T15:00:00Z'), '50 MB/s until 2026-03-06T21:00:00Z');
  assert.equal(rate('50 MB/s', '2026-03-06T15:00:00Z'), '50 MB/s until on');
  assert.equal(rate('unlimited', '2026-03-06T15:00:00Z'), 'unlimited until on');
});

test('S2, S61: the hours of a rate follow the wall clock that is never set back', () => {
  // London, 2026-10-25: 02:00 back to 01:00, so the hours close at the first 01:30.
  assert.equal(
    rate('5 MB/s 22:00-01:30 Europe/London, 9 MB/s', '2026-10-24T22:00:00Z'),
    '5 MB/s until 2026-10-25T00:30:00Z',
  );
});
