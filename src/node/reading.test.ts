import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isLowtideError } from '../model/errors.ts';
import { resolveLine, type SnapshotLine } from './reading.ts';

const line = (id: string, takenAt: number, more: Partial<SnapshotLine> = {}): SnapshotLine =>
  ({ id: id.padEnd(64, '0'), takenAt, sequence: 1, job: 'docs', where: ['spool'], ...more }) as SnapshotLine;
const lines = [
  line('abc1', 1),
  line('abd2', 3, { job: 'photos' }),
  line('f00d', 9, { where: [] }),
  line('123e', 2),
];
const found = (text: string, job?: string): string => resolveLine(lines, text, job).id.slice(0, 4);

it('latest is the newest snapshot that is still kept somewhere, of the job if one is named', () => {
  assert.equal(found('latest'), 'abd2');
  assert.equal(found('latest', 'docs'), '123e');
});

it('latest is what was taken last of a job, although the clock was ahead before', () => {
  const chain = [
    line('a1', 10, { sequence: 3 }),
    line('a2', 900, { sequence: 2 }),
    line('a3', 5, { sequence: 1 }),
    line('b1', 11, { sequence: 1, job: 'photos' }),
  ];
  assert.equal(resolveLine(chain, 'latest', 'docs'), chain[0]);
  assert.equal(resolveLine(chain, 'latest'), chain[3]);
  const lost = chain.map((each) => (each.sequence === 3 ? { ...each, where: [] } : each));
  assert.equal(resolveLine(lost, 'latest', 'docs'), chain[1]);
});

it('a prefix names a snapshot if it is the only one that starts so, in small letters or capitals', () => {
  assert.equal(found('abc'), 'abc1');
  assert.equal(found('ABD'), 'abd2');
  assert.equal(found('f00d'), 'f00d');
  assert.equal(found('ab', 'photos'), 'abd2');
});

it('what names none or several is refused', () => {
  for (const text of ['zzz', '', 'abc2']) {
    assert.throws(
      () => found(text),
      (error) => isLowtideError(error, 'no-such-snapshot'),
      text,
    );
  }
  assert.throws(
    () => found('ab'),
    (error) => isLowtideError(error, 'ambiguous-snapshot'),
  );
  assert.throws(
    () => resolveLine([], 'latest'),
    (error) => isLowtideError(error, 'no-such-snapshot'),
  );
});
