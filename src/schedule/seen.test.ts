import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LowtideError } from '../model/errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';
import { paceSeen, staySeen, type SeenTransfer } from './seen.ts';
import { parseSpan, spanText } from './span-text.ts';

const NOW = Date.UTC(2026, 2, 2);

const sent = (daysAgo: number, megabytes: number, granted: number | null = null): SeenTransfer => ({
  endedAt: NOW - daysAgo * DAY_MS,
  bytes: megabytes * 1e6 * 10,
  ms: 10_000,
  granted,
});

test('S68: a pace is the median of past transfers: one odd night changes nothing', () => {
  assert.equal(paceSeen([sent(3, 4), sent(2, 5), sent(1, 0.2)], NOW), 4e6);
  assert.equal(paceSeen([sent(3, 4), sent(2, 5), sent(1, 900)], NOW), 5e6);
  assert.equal(paceSeen([], NOW), null);
});

test('S68: what is long ago counts for less than what was lately', () => {
  const old = [sent(100, 1), sent(101, 1), sent(102, 1), sent(103, 1)];
  assert.equal(paceSeen([...old, sent(1, 8)], NOW), 8e6);
});

test('S68: a transfer that was held back by its grant says only that at least so much can be sent', () => {
  assert.equal(paceSeen([sent(1, 2, 2e6), sent(2, 2, 2e6)], NOW), null, 'nothing is known of what it can do');
  assert.equal(paceSeen([sent(1, 2, 2e6), sent(2, 6, 10e6)], NOW), 6e6, 'slower ones do not count');
  assert.equal(paceSeen([sent(9, 2, 10e6), sent(1, 8, 8e6), sent(2, 8, 8e6)], NOW), 8e6);
});

test('S68: what is small or short says nothing', () => {
  const short = { endedAt: NOW, bytes: 50e6, ms: 1000, granted: null };
  const small = { endedAt: NOW, bytes: 50_000, ms: 10_000, granted: null };
  assert.equal(paceSeen([short, small], NOW), null);
});

test('S67: how long a client stays is the median of its stays, broken connections joined', () => {
  const stay = (day: number, hour: number, hours: number) => {
    const from = NOW - day * DAY_MS + hour * HOUR_MS;
    return { from, until: from + hours * HOUR_MS };
  };
  assert.equal(staySeen([stay(3, 9, 8), stay(2, 9, 8), stay(1, 9, 2)], NOW), 8 * HOUR_MS);
  const [first, second] = [stay(1, 9, 4), stay(1, 13, 4)];
  const broken = [first, { from: second.from + MINUTE_MS, until: second.until }];
  assert.equal(staySeen(broken, NOW), 8 * HOUR_MS);
  assert.equal(staySeen([{ from: NOW - MINUTE_MS, until: NOW }], NOW), null, 'it was broken off');
});

test('S69: spans of time are read and written, and a mistake is told with its place', () => {
  assert.deepEqual(['90 min', '24h', '7 d', '36 h'].map(parseSpan), [
    90 * MINUTE_MS,
    DAY_MS,
    7 * DAY_MS,
    36 * HOUR_MS,
  ]);
  assert.deepEqual([90 * MINUTE_MS, DAY_MS, 36 * HOUR_MS].map(spanText), ['90 min', '24 h', '36 h']);
  for (const text of ['', 'soon', '24', '24 hours', '0 h', '400 d', '24 h later'])
    assert.throws(
      () => parseSpan(text),
      (error: unknown) => error instanceof LowtideError && error.code === 'bad-schedule',
      text,
    );
});
