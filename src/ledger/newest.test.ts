import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addRow, ANNS_INSTANCE, keyOf, newLedger, OSLO, ROME } from '../../test/support/ledger-kit.ts';
import { newestKnown, newestSafeAt, newestWholeAt, receiptedBases } from './newest.ts';

const BEN = keyOf('ben');

describe('receiptedBases', () => {
  it('are the newest of each job that every center owed has receipted', async () => {
    const ledger = await newLedger();
    const both = { [OSLO]: 'safe' as const, [ROME]: 'safe' as const };
    await addRow(ledger, { sequence: 1, at: both });
    const base = await addRow(ledger, { sequence: 2, at: both });
    await addRow(ledger, { sequence: 3, at: { [OSLO]: 'safe', [ROME]: 'waiting' } });
    await addRow(ledger, { sequence: 4, at: { [OSLO]: 'safe', [ROME]: 'void' } });
    await addRow(ledger, { sequence: 5 });
    const other = await addRow(ledger, { job: 'other', sequence: 1, at: { [OSLO]: 'safe' } });
    await addRow(ledger, { job: 'third', sequence: 1, at: { [OSLO]: 'waiting' } });
    const bens = await addRow(ledger, { key: BEN, sequence: 9, at: both });
    const rows = await receiptedBases(ledger.db);
    assert.deepEqual(rows.map(({ id }) => id).toSorted(), [base, other, bens].toSorted());
    const anns = rows.filter(({ instance }) => instance === ANNS_INSTANCE);
    assert.deepEqual(
      anns.map(({ job }) => job),
      ['home', 'other'],
    );
  });

  it('at a relay are those that all centers have, whatever has become of its own copy', async () => {
    const ledger = await newLedger();
    const base = await addRow(ledger, { sequence: 1, at: { [OSLO]: 'held', [ROME]: 'safe' } });
    assert.deepEqual(await receiptedBases(ledger.db), []);
    assert.deepEqual(
      (await receiptedBases(ledger.db, OSLO)).map(({ id }) => id),
      [base],
    );
  });
});

describe('newestSafeAt', () => {
  it('are the newest of each job of each machine that one center has receipted', async () => {
    const ledger = await newLedger();
    assert.deepEqual(await newestSafeAt(ledger.db, OSLO), []);
    await addRow(ledger, { sequence: 1, at: { [OSLO]: 'safe' } });
    const oslo = await addRow(ledger, { sequence: 2, at: { [OSLO]: 'safe', [ROME]: 'waiting' } });
    const rome = await addRow(ledger, { sequence: 3, at: { [OSLO]: 'behind', [ROME]: 'safe' } });
    const bens = await addRow(ledger, { key: BEN, sequence: 9, at: { [OSLO]: 'safe' } });
    assert.deepEqual((await newestSafeAt(ledger.db, OSLO)).toSorted(), [oslo, bens].toSorted());
    assert.deepEqual(await newestSafeAt(ledger.db, ROME), [rome]);
  });
});

describe('newestWholeAt', () => {
  it('are the newest that one center has receipted and that are no parts, with their arrival', async () => {
    const ledger = await newLedger();
    const whole = await addRow(ledger, { sequence: 1, at: { [OSLO]: 'safe' } });
    const part = await addRow(ledger, { sequence: 2, complete: false, at: { [OSLO]: 'safe' } });
    await addRow(ledger, { key: BEN, sequence: 1, complete: false, at: { [OSLO]: 'safe' } });
    const rows = await newestWholeAt(ledger.db, OSLO);
    assert.deepEqual(
      rows.map(({ id, arrived_at }) => [id, arrived_at]),
      [[whole, 2]],
    );
    assert.deepEqual(await newestWholeAt(ledger.db, ROME), []);
    const known = await newestKnown(ledger.db);
    assert.equal(known.length, 2);
    assert.ok(known.some(({ id }) => id === part));
  });
});
