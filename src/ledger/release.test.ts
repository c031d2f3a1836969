import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addRow, newLedger, OSLO, ROME } from '../../test/support/ledger-kit.ts';
import type { CenterId } from '../model/ids.ts';
import { copiesOf, releaseCenter } from './copies.ts';
import { historyOf } from './history.ts';
import { drainable } from './snapshots.ts';

const SHOP = '33'.repeat(16) as CenterId;
const spooled = (group: string) => ({ facts: { packGroup: group } });

test('a center that is released is owed nothing, what the others have may be freed, and the history says so', async () => {
  const ledger = await newLedger();
  const half = await addRow(ledger, {
    sequence: 1,
    ...spooled('a'),
    at: { [OSLO]: 'safe', [ROME]: 'behind' },
  });
  const none = await addRow(ledger, {
    sequence: 2,
    ...spooled('b'),
    at: { [OSLO]: 'waiting', [ROME]: 'waiting' },
  });
  const both = await addRow(ledger, { sequence: 3, at: { [OSLO]: 'safe', [ROME]: 'safe' } });
  assert.deepEqual(await releaseCenter(ledger, ROME, 9), { released: 2, kept: 0 });
  assert.deepEqual(
    (await drainable(ledger.db)).map(({ id }) => id),
    [half],
  );
  const phases = async (id: typeof half) =>
    (await copiesOf(ledger.db, id)).map(({ phase, code }) => [phase, code]);
  assert.deepEqual(await phases(none), [
    ['waiting', ''],
    ['void', 'released'],
  ]);
  assert.deepEqual(
    (await phases(both)).map(([phase]) => phase),
    ['safe', 'safe'],
  );
  const [line, ...more] = await historyOf(ledger.db, half);
  assert.deepEqual([line?.what, line?.center, line?.at, more], ['released', ROME, 9, []]);
  assert.deepEqual(await releaseCenter(ledger, ROME, 10), { released: 0, kept: 0 });
});

test('what is owed to one center alone stays owed when that is released: nobody else has it (P1)', async () => {
  const ledger = await newLedger();
  await addRow(ledger, { sequence: 1, ...spooled('a'), at: { [ROME]: 'waiting' } });
  await addRow(ledger, { sequence: 2, ...spooled('b'), at: { [OSLO]: 'void', [ROME]: 'waiting' } });
  await addRow(ledger, { sequence: 3, ...spooled('c'), at: { [SHOP]: 'held', [ROME]: 'waiting' } });
  assert.deepEqual(await releaseCenter(ledger, ROME, 9, SHOP), { released: 0, kept: 3 });
  assert.deepEqual(await drainable(ledger.db, SHOP), []);
});
