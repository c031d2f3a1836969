import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS } from '../model/time.ts';
import { pictureOf, timeGrid } from './svg.ts';

const from = Temporal.ZonedDateTime.from('2026-10-20T00:00[Europe/London]').epochMilliseconds;
const axis = { from, until: from + 14 * DAY_MS, zone: 'Europe/London', left: 100, width: 900 };

test('days are named by their dates, also after the clocks were set back', () => {
  const names = [...timeGrid(axis, 0, 10).matchAll(/>(\d\d-\d\d)</g)].map(([, name]) => name);
  assert.deepEqual(names.slice(3, 8), ['10-23', '10-24', '10-25', '10-26', '10-27']);
  assert.equal(new Set(names).size, names.length);
});

test('what is said of a picture keeps to its width, and the panels stand below it', () => {
  const panels = [{ title: 'panel', height: 10, draw: (y: number) => `<!--${y}-->` }];
  const words = 'forty snapshots will not be collected';
  const picture = (text: string): string => pictureOf(axis, 'title', text, panels);
  const lines = [...picture(Array(12).fill(words).join(' ')).matchAll(/<text [^>]*>([^<]*)</g)].map(
    ([, line]) => line!,
  );
  assert.ok(lines.filter((line) => line.includes('collected')).length >= 3);
  assert.ok(lines.every((line) => line.length <= 150));
  const topOf = (text: string): number => Number(/<!--(\d+)-->/.exec(picture(text))![1]);
  assert.ok(topOf(Array(12).fill(words).join(' ')) > topOf(words));
});
