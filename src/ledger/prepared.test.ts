import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addRow, newLedger, OSLO, ROME } from '../../test/support/ledger-kit.ts';
import type { CenterId } from '../model/ids.ts';
import { each, prepared } from './prepared.ts';

const AT = prepared((db, { center, phases }: { center: CenterId; phases: string }) =>
  db
    .selectFrom('copies')
    .select('snapshot')
    .where('center', '=', center)
    .where('phase', 'in', each<'waiting' | 'safe'>(phases)),
);

test('a query that gathers its values in an object, where none of them is, is refused when it is built', () => {
  const build = () =>
    prepared((db, { center, ...others }: { center: CenterId; phase: 'safe' }) =>
      db
        .selectFrom('copies')
        .select('snapshot')
        .where('center', '=', center)
        .where('phase', '=', others.phase),
    );
  assert.throws(build, /placeholders/);
});

test('a query that is built once gives each time what its values ask for, in a transaction too', async () => {
  const ledger = await newLedger();
  const first = await addRow(ledger, { sequence: 1, at: { [OSLO]: 'waiting' } });
  const second = await addRow(ledger, { sequence: 2, at: { [OSLO]: 'safe', [ROME]: 'waiting' } });
  const all = JSON.stringify(['waiting', 'safe']);
  const found = (await AT.rows(ledger.db, { center: OSLO, phases: all })).map(({ snapshot }) => snapshot);
  assert.deepEqual(found.sort(), [first, second].sort());
  assert.deepEqual(await AT.rows(ledger.db, { center: ROME, phases: all }), [{ snapshot: second }]);
  assert.equal(await AT.first(ledger.db, { center: ROME, phases: '["safe"]' }), null);
  assert.deepEqual(await AT.rows(ledger.db, { center: ROME, phases: '[]' }), []);
  await ledger.transaction(async (db) => {
    assert.deepEqual(await AT.first(db, { center: OSLO, phases: '["safe"]' }), { snapshot: second });
  });
  await ledger.close();
});
