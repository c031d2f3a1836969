import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { read, tableRows } from './repository.ts';

/** The reference numerals and figures of the publication, part by part. */
const NUMERALS = [
  '101 102 103 111 112 113 121 131 132',
  '201 202 211 212 213 221 222 223 223-1 223-2 223-3 223-4 231-233',
  '301 302 311 312 313',
  '401 411 412',
].flatMap((claim) => claim.split(' '));
const FIGURES: Readonly<Record<string, readonly string[]>> = {
  'fig. 3': ['S1', 'S2', 'S3'],
  'fig. 4': ['S1', 'S2'],
  'fig. 5': ['S1', 'S2', 'S3', 'S4', 'S5'],
  'fig. 6': [],
  'fig. 7': ['S1', 'S2', 'S3'],
  'fig. 8-10': ['S1', 'S2', 'S3', 'S4', 'S5', 'S6'],
  'fig. 11': [],
  'fig. 12': ['S1', 'S2'],
  'fig. 13': ['S1', 'S2', 'S6'],
  'fig. 14': ['S3', 'S4', 'S5', 'S6'],
};

const rows = tableRows(read('docs/seed-map.md'));

describe('docs/seed-map.md', () => {
  it('has every numeral of the seed once, and no other', () => {
    const found = rows.map(([numeral]) => numeral!).filter((numeral) => /^\d/.test(numeral));
    assert.deepEqual(found, NUMERALS);
  });

  it('has every figure with its steps', () => {
    const steps = new Map<string, string[]>();
    let figure = '';
    for (const [first, step] of rows) {
      if (/^\d/.test(first!)) continue;
      figure = first === '' ? figure : first!;
      steps.set(figure, [...(steps.get(figure) ?? []), ...(step!.match(/\bS\d\b/g) ?? [])]);
    }
    assert.deepEqual(Object.fromEntries(steps), FIGURES);
  });

  it('names code for each, or says that it comes later', () => {
    const open = rows.filter(
      ([, , here]) => !/`(?:src|test)\/[^`]+`|comes with the next release/.test(here!),
    );
    assert.deepEqual(open, []);
  });
});
