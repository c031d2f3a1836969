import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  addRow,
  ANNS_CLIENT,
  ANNS_INSTANCE,
  manifestOf,
  newMachine,
  OSLO,
  PATH,
  recordingWorld,
  type Statement,
} from '../../test/support/ledger-kit.ts';
import { copiesIn, endTransit, OPEN_PHASES, setPhase } from './copies.ts';
import { countOf, hasHappened, historyOf } from './history.ts';
import { jobMemory } from './jobs.ts';
import { Ledger } from './ledger.ts';
import { newestSafeAt, receiptedBases } from './newest.ts';
import {
  addReceived,
  begunTransfers,
  findOffer,
  leastWaiting,
  offersLeaningOn,
  queuedOffers,
} from './offers.ts';
import { owedTo } from './owed.ts';
import {
  chainEnd,
  drainable,
  findFork,
  findSnapshot,
  listSnapshots,
  resolveSnapshot,
  spooledSnapshots,
} from './snapshots.ts';

/** What is as short as the question, or as what is under way: offers, what is spooled, chains of snapshots. */
const SHORT = /^SCAN (?:json_each|offers|chains|CONSTANT ROW|snapshots USING INDEX snapshots_spooled)\b/;

it('P7: what is asked often is found through an index, however long a ledger has been kept', async () => {
  const statements: Statement[] = [];
  const world = recordingWorld(newMachine().boot(), statements);
  const ledger = await Ledger.open(world, PATH);
  const { db } = ledger;
  const id = await addRow(ledger, { at: { [OSLO]: 'waiting' } });
  statements.length = 0;
  await chainEnd(db, ANNS_INSTANCE, 'home');
  await findFork(db, manifestOf());
  await findSnapshot(db, id);
  await resolveSnapshot(db, id.slice(0, 8));
  await resolveSnapshot(db, 'latest');
  await listSnapshots(db, { client: ANNS_CLIENT, before: { takenAt: 5, id } }).catch(() => []);
  await drainable(db);
  await spooledSnapshots(db);
  await receiptedBases(db);
  await newestSafeAt(db, OSLO);
  await owedTo(db, [OSLO]);
  await copiesIn(db, [OSLO], OPEN_PHASES);
  await endTransit(db, OSLO, '', 1);
  await setPhase(db, { snapshot: id, center: OSLO, phase: 'waiting', code: '', until: null }, 1);
  await findOffer(db, id);
  await addReceived(db, id, 1, 5);
  await queuedOffers(db, OSLO);
  await offersLeaningOn(db, id);
  await begunTransfers(db, [id]);
  await leastWaiting(db, OSLO);
  await hasHappened(db, id, 'offered', OSLO);
  await countOf(db, { client: ANNS_CLIENT, what: 'voided', center: OSLO, code: '' });
  await historyOf(db, id);
  await jobMemory(db, 'home', 1);
  const asked = statements.splice(0).filter(({ sql }) => /^\s*(?:select|update|with)/i.test(sql));
  assert.ok(asked.length >= 20);
  const connection = await world.databases.open(PATH);
  for (const { sql, parameters } of asked) {
    const { rows } = await connection.execute(`EXPLAIN QUERY PLAN ${sql}`, parameters);
    const details = rows.map(({ detail }) => String(detail));
    const bounded = sql.includes('order by rowid desc limit');
    const scans = details.filter((detail) => detail.startsWith('SCAN') && !SHORT.test(detail) && !bounded);
    assert.deepEqual(scans, [], `${sql}\n${details.join('\n')}`);
  }
});
