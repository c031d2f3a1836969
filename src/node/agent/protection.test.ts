import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CopyRow, SnapshotRow } from '../../ledger/tables.ts';
import type { CopyPhase } from '../../model/exchange.ts';
import type { CenterId } from '../../model/ids.ts';
import { type JobFacts, protectionOf } from './protection.ts';

const tokyo = 'a'.repeat(32) as CenterId;
const osaka = 'b'.repeat(32) as CenterId;

/** A snapshot with one copy for each phase: at tokyo, at osaka. */
function taken(
  sequence: number,
  phases: readonly CopyPhase[],
  more: Partial<SnapshotRow> = {},
): JobFacts['snapshots'][number] {
  const row = {
    id: String(sequence),
    sequence,
    taken_at: sequence * 1000,
    complete: 1,
    problems: 0,
    ...more,
  } as SnapshotRow;
  const copies = phases.map((phase, at) => ({ center: [tokyo, osaka][at], phase }) as CopyRow);
  return { row, copies };
}

const of = (snapshots: JobFacts['snapshots'], more: Partial<JobFacts> = {}) =>
  protectionOf({ memory: null, centers: [tokyo], snapshots, ...more });
const kinds = (protection: ReturnType<typeof of>): string[] => protection.remarks.map(({ kind }) => kind);

describe('a job is not protected', () => {
  it('before anything was taken, and without a center', () => {
    assert.deepEqual(of([]), {
      level: 'none',
      asOf: null,
      snapshot: null,
      at: [],
      remarks: [{ kind: 'never-taken' }],
    });
    assert.deepEqual(kinds(of([], { centers: [] })), ['no-center', 'never-taken']);
  });

  it('while only the spool has it, or a relay, whatever the copy waits for', () => {
    for (const phase of ['waiting', 'in-transit', 'held', 'behind', 'stuck'] as const) {
      const protection = of([taken(1, [phase])]);
      assert.equal(protection.level, 'none');
      const held = phase === 'held' ? 1 : 0;
      assert.deepEqual(protection.remarks, [{ kind: 'not-collected', count: 1, held }]);
    }
  });

  it('by what a relay lost that had custody of it, which is in no spool either', () => {
    const lost = taken(1, ['stuck'], { pack_group: null });
    const copies = lost.copies.map((copy) => ({ ...copy, code: 'custody-lost' }));
    const remarks = of([taken(2, ['waiting']), { ...lost, copies }]).remarks;
    assert.deepEqual(remarks, [
      { kind: 'lost', count: 1 },
      { kind: 'not-collected', count: 1, held: 0 },
    ]);
    const spooled = taken(1, ['stuck'], { pack_group: 'run-1' });
    assert.deepEqual(kinds(of([{ ...spooled, copies }])), ['not-collected']);
  });

  it('by a part of a backup, even if that part is receipted', () => {
    assert.deepEqual(kinds(of([taken(1, ['safe'], { complete: 0 })])), ['partial']);
    assert.equal(of([taken(1, ['safe'], { complete: 0 })]).level, 'none');
  });

  it('by what its owner gave up', () => {
    assert.deepEqual(kinds(of([taken(1, ['void'])])), ['never-taken']);
  });

  it('and the reason is the failure, if there was one', () => {
    const memory = { last_code: 'source-missing', last_message: '/x does not exist', last_tried: 5 };
    const { remarks } = of([], { memory });
    assert.deepEqual(remarks, [
      { kind: 'failed', code: 'source-missing', message: '/x does not exist', at: 5 },
    ]);
    assert.deepEqual(kinds(of([], { memory: { ...memory, last_code: 'interrupted' } })), ['never-taken']);
  });
});

describe('a job is protected', () => {
  it('as of the newest whole snapshot that every center has, with what is newer told', () => {
    const protection = of([taken(3, ['waiting']), taken(2, ['safe']), taken(1, ['safe'])]);
    assert.equal(protection.level, 'protected');
    assert.equal(protection.asOf, 2000);
    assert.deepEqual(protection.at, [tokyo]);
    assert.deepEqual(protection.remarks, [{ kind: 'not-collected', count: 1, held: 0 }]);
  });

  it('only partly while a center that it is owed to lacks it', () => {
    const protection = of([taken(1, ['safe', 'waiting'])], { centers: [tokyo, osaka] });
    assert.equal(protection.level, 'partly');
    assert.deepEqual(protection.remarks, [{ kind: 'still-owed', centers: [osaka] }]);
  });

  it('no more by what the center lost', () => {
    const protection = of([taken(2, ['behind']), taken(1, ['safe'])]);
    assert.equal(protection.asOf, 1000);
  });

  it('with what could not be read and what failed since told', () => {
    const memory = { last_code: 'quota-full', last_message: 'full', last_tried: null };
    assert.deepEqual(kinds(of([taken(1, ['safe'], { problems: 2 })], { memory })), ['failed', 'unreadable']);
  });
});
