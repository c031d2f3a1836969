import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  addRow,
  ANNS_CLIENT,
  manifestOf,
  newLedger,
  newMachine,
  OSLO,
  PATH,
  ROME,
} from '../../test/support/ledger-kit.ts';
import { deriveDomainKeys, type DomainKeys } from '../format/domain-keys.ts';
import { proveDomain } from '../format/domain-proof.ts';
import { isLowtideError } from '../model/errors.ts';
import type { ClientId } from '../model/ids.ts';
import { findClient, findClientByName, listClients, putClient, setRevoked, setSession } from './clients.ts';
import {
  copiesIn,
  copiesOf,
  downgradeCopy,
  endTransit,
  findCopy,
  markSafe,
  OPEN_PHASES,
  oweCopy,
  setPhase,
} from './copies.ts';
import { claimDomains } from './domains.ts';
import { appendHistory, hasHappened, historyOf } from './history.ts';
import { endRun, forgetJob, jobMemory, startRun, unfinishedRuns, updateJob } from './jobs.ts';
import { Ledger } from './ledger.ts';
import {
  addReceived,
  findOffer,
  listOffers,
  offersLeaningOn,
  putOffer,
  queuedOffers,
  removeOffer,
} from './offers.ts';

const BEN = 'be'.repeat(16) as ClientId;
const CARL = 'ca'.repeat(16) as ClientId;

describe('the schema', () => {
  it('is made from nothing, and opening it again changes nothing', async () => {
    const node = newMachine();
    const world = node.boot();
    const first = await Ledger.open(world, PATH);
    const incarnation = await first.fact('incarnation');
    assert.match(incarnation!, /^[0-9a-f]{32}$/);
    const id = await addRow(first, {});
    await first.close();
    const second = await Ledger.open(world, PATH);
    assert.equal(await second.fact('incarnation'), incarnation);
    assert.equal((await copiesOf(second.db, id)).length, 0);
    await second.close();
  });

  it('half made by a crash, is made by the next start', async () => {
    for (let left = 0; left < 30; left++) {
      const node = newMachine(left);
      let count = 0;
      let crashed = false;
      const end = node.simulation.observe(() => {
        if (count++ < left) return undefined;
        end();
        crashed = true;
        return 'crash-after';
      });
      const opening = Ledger.open(node.boot(), PATH);
      await node.simulation.runUntil(() => crashed, node.simulation.now + 1).catch(() => undefined);
      end();
      if (!crashed) {
        await (await opening).close();
        return;
      }
      const ledger = await Ledger.open(node.boot(), PATH);
      await addRow(ledger, {});
      await ledger.close();
    }
    assert.fail('a ledger is made in fewer operations');
  });

  it('of a newer program is refused, and left as it is', async () => {
    const world = newMachine().boot();
    await (await Ledger.open(world, PATH)).close();
    const connection = await world.databases.open(PATH);
    await connection.execute('PRAGMA user_version = 99', []);
    await connection.close();
    const newer = (error: unknown): boolean => isLowtideError(error, 'newer-format');
    await assert.rejects(Ledger.open(world, PATH), newer);
    await assert.rejects(Ledger.openReadOnly(world, PATH), newer);
    const again = await world.databases.open(PATH);
    assert.deepEqual((await again.execute('PRAGMA user_version', [])).rows, [{ user_version: 99 }]);
  });

  it('is read beside the writer, which sees no change, and an older one is not read as if it were new', async () => {
    const world = newMachine().boot();
    await assert.rejects(Ledger.openReadOnly(world, PATH), (error) => isLowtideError(error, 'not-found'));
    await (await world.databases.open(PATH)).close();
    await assert.rejects(Ledger.openReadOnly(world, PATH), (error) => isLowtideError(error, 'wrong-state'));
    const writer = await Ledger.open(world, PATH);
    const reader = await Ledger.openReadOnly(world, PATH);
    await writer.setFact('a', '1');
    assert.equal(await reader.fact('a'), '1');
    await assert.rejects(reader.setFact('a', '2'));
    await reader.close();
    await writer.setFact('a', '3');
    assert.equal(await writer.fact('a'), '3');
  });
});

describe('a transaction', () => {
  it('that fails leaves nothing', async () => {
    const ledger = await newLedger();
    const failing = ledger.transaction(async (db) => {
      await appendHistory(db, manifestOf().id, 'taken', 1);
      throw new Error('no');
    });
    await assert.rejects(failing, /no/);
    assert.deepEqual(await historyOf(ledger.db, manifestOf().id), []);
  });
});

describe('copies', () => {
  it('are owed once, and what was said of them stays', async () => {
    const ledger = await newLedger();
    const snapshot = await addRow(ledger, { at: { [OSLO]: 'behind' } });
    await oweCopy(ledger.db, snapshot, OSLO, 99);
    await oweCopy(ledger.db, snapshot, ROME, 5);
    assert.deepEqual(
      (await copiesOf(ledger.db, snapshot)).map(({ phase, since }) => [phase, since]),
      [
        ['behind', 2],
        ['waiting', 5],
      ],
    );
  });

  it('keep the time since which they are in a phase while only the reason changes', async () => {
    const ledger = await newLedger();
    const snapshot = await addRow(ledger, { at: { [OSLO]: 'waiting' } });
    const copy = { snapshot, center: OSLO, phase: 'waiting', code: 'streams-busy', until: 70 } as const;
    await setPhase(ledger.db, copy, 50);
    const row = await findCopy(ledger.db, snapshot, OSLO);
    assert.deepEqual([row?.since, row?.code, row?.until], [1, 'streams-busy', 70]);
    await setPhase(ledger.db, { ...copy, phase: 'in-transit' }, 60);
    assert.equal((await findCopy(ledger.db, snapshot, OSLO))?.since, 60);
  });

  it('P6: that are safe or void stay so, whatever anybody says but a receipt', async () => {
    const ledger = await newLedger();
    const safe = await addRow(ledger, { sequence: 1, at: { [OSLO]: 'safe' } });
    const closed = await addRow(ledger, { sequence: 2, at: { [OSLO]: 'void' } });
    for (const snapshot of [safe, closed]) {
      for (const phase of [...OPEN_PHASES, 'void'] as const) {
        await setPhase(ledger.db, { snapshot, center: OSLO, phase, code: 'x', until: null }, 9);
      }
    }
    assert.equal((await findCopy(ledger.db, safe, OSLO))?.phase, 'safe');
    assert.equal((await findCopy(ledger.db, closed, OSLO))?.phase, 'void');
    const receipt = new Uint8Array([1]);
    assert.equal(
      await markSafe(ledger.db, { snapshot: closed, center: OSLO, receipt, arrivedAt: 3 }, 9),
      true,
    );
    assert.equal(
      await markSafe(
        ledger.db,
        { snapshot: closed, center: OSLO, receipt: new Uint8Array([2]), arrivedAt: 4 },
        9,
      ),
      false,
      'the first receipt stays',
    );
    assert.deepEqual((await findCopy(ledger.db, closed, OSLO))?.receipt, receipt);
  });

  it('that a center has lost keep its word as history', async () => {
    const ledger = await newLedger();
    const snapshot = await addRow(ledger, { at: { [OSLO]: 'safe', [ROME]: 'safe' } });
    await downgradeCopy(ledger.db, snapshot, OSLO, 9);
    const row = await findCopy(ledger.db, snapshot, OSLO);
    assert.deepEqual([row?.phase, row?.code, row?.arrived_at], ['behind', 'center-went-back', 2]);
    assert.ok(row?.receipt);
    assert.equal((await findCopy(ledger.db, snapshot, ROME))?.phase, 'safe');
  });

  it('are not in transit any more once the process or the line is gone', async () => {
    const ledger = await newLedger();
    const snapshot = await addRow(ledger, { at: { [OSLO]: 'in-transit', [ROME]: 'in-transit' } });
    await endTransit(ledger.db, OSLO, 'stopped', 9);
    assert.deepEqual(
      (await copiesOf(ledger.db, snapshot)).map(({ phase, code }) => `${phase} ${code}`.trim()),
      ['waiting stopped', 'in-transit'],
    );
    assert.equal((await copiesIn(ledger.db, [ROME], OPEN_PHASES)).length, 1);
    assert.equal((await copiesIn(ledger.db, [ROME], ['safe'])).length, 0);
  });
});

describe('offers', () => {
  const wishes = {
    transfer: 'any',
    zone: 'UTC',
    centers: [OSLO],
    freeAfter: 'centers',
    bytes: 10,
    blocks: 1,
  } as const;
  const offerOf = (fields = {}) => {
    const signed = manifestOf(fields);
    return { snapshot: signed.id, client: ANNS_CLIENT, manifest: signed.bytes, wishes, offeredAt: 5 };
  };

  it('put again have the newest wishes, and the age and the bytes that they had', async () => {
    const ledger = await newLedger();
    const snapshot = await addRow(ledger, { at: { [OSLO]: 'waiting' } });
    await putOffer(ledger.db, offerOf());
    await addReceived(ledger.db, snapshot, 4, 5);
    await addReceived(ledger.db, snapshot, 3, 5);
    await putOffer(ledger.db, { ...offerOf(), wishes: { ...wishes, transfer: 'never' }, offeredAt: 99 });
    const offer = await findOffer(ledger.db, snapshot);
    assert.deepEqual([offer?.wishes.transfer, offer?.offeredAt, offer?.received], ['never', 5, 7]);
    assert.equal((await listOffers(ledger.db)).length, 1);
    await removeOffer(ledger.db, snapshot);
    await addReceived(ledger.db, snapshot, 1, 5);
    assert.equal(await findOffer(ledger.db, snapshot), null);
  });

  it('are queued oldest first, but for those that cannot be collected', async () => {
    const ledger = await newLedger();
    const phases = ['waiting', 'behind', 'in-transit', 'stuck', 'waiting'] as const;
    const ids: string[] = [];
    for (const [at, phase] of phases.entries()) {
      const fields = { sequence: at + 1 };
      ids.push(await addRow(ledger, { ...fields, at: { [OSLO]: phase } }));
      await putOffer(ledger.db, { ...offerOf(fields), offeredAt: 100 - at });
    }
    const queued = (await queuedOffers(ledger.db, OSLO)).map(({ snapshot }) => snapshot);
    assert.deepEqual(queued, [ids[4], ids[2], ids[0]]);
    assert.deepEqual(await queuedOffers(ledger.db, ROME), []);
    assert.equal((await listOffers(ledger.db)).length, 5);
  });

  it('are found by what they lean on', async () => {
    const ledger = await newLedger();
    const base = await addRow(ledger, { at: { [OSLO]: 'waiting' } });
    const leaning = await addRow(ledger, { sequence: 2, base, at: { [OSLO]: 'waiting' } });
    await putOffer(ledger.db, offerOf());
    await putOffer(ledger.db, offerOf({ sequence: 2, base }));
    assert.deepEqual(
      (await offersLeaningOn(ledger.db, base)).map(({ snapshot }) => snapshot),
      [leaning],
    );
    assert.deepEqual(await offersLeaningOn(ledger.db, leaning), []);
  });
});

describe('history', () => {
  it('only grows, in the order in which things happened, whatever the clock said', async () => {
    const ledger = await newLedger();
    const { id } = manifestOf();
    await appendHistory(ledger.db, id, 'taken', 100, { bytes: 7 });
    await appendHistory(ledger.db, id, 'offered', 50, { center: OSLO, address: '10.0.0.1' });
    await appendHistory(ledger.db, id, 'paused', 60, { center: OSLO, code: 'client-window' });
    assert.deepEqual(
      (await historyOf(ledger.db, id)).map(({ what, at, code }) => `${what} ${at} ${code}`.trim()),
      ['taken 100', 'offered 50', 'paused 60 client-window'],
    );
    assert.equal(await hasHappened(ledger.db, id, 'offered', OSLO), true);
    assert.equal(await hasHappened(ledger.db, id, 'offered', ROME), false);
    assert.equal(await hasHappened(ledger.db, id, 'voided', OSLO), false);
    assert.equal(await hasHappened(ledger.db, id, 'paused', OSLO, 'client-window'), true);
    assert.equal(await hasHappened(ledger.db, id, 'paused', OSLO, 'center-window'), false);
  });
});

describe('key domains', () => {
  const [one, other] = [1, 2].map((byte) => deriveDomainKeys(Buffer.alloc(32, byte))) as [
    DomainKeys,
    DomainKeys,
  ];
  const epochs = (keys: readonly DomainKeys[]) =>
    keys.map(({ id }, at) => ({ domain: id, epoch: at + 1, since: 0 }));
  /** As keyrings were before there were proofs. */
  const bare = (client: ClientId, ...keys: readonly DomainKeys[]) => ({
    client,
    epochs: epochs(keys),
    proofs: null,
  });
  const proved = (client: ClientId, ...keys: readonly DomainKeys[]) => ({
    client,
    epochs: epochs(keys),
    proofs: keys.map((each) => proveDomain(each, client)),
  });
  const refused = (error: unknown): boolean => isLowtideError(error, 'forbidden');

  it('without a proof belong to the client that named them first, all of them or none', async () => {
    const ledger = await newLedger();
    await claimDomains(ledger, bare(ANNS_CLIENT, one));
    await claimDomains(ledger, bare(ANNS_CLIENT, one));
    await assert.rejects(claimDomains(ledger, bare(BEN, other, one)), refused);
    await claimDomains(ledger, bare(ANNS_CLIENT, other));
  });

  it('claimed by two at once go to exactly one', async () => {
    const ledger = await newLedger();
    const both = await Promise.allSettled([
      claimDomains(ledger, bare(ANNS_CLIENT, one)),
      claimDomains(ledger, bare(BEN, one)),
    ]);
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  });

  it('are shared by clients that prove that they know the key, and by no other', async () => {
    const ledger = await newLedger();
    await claimDomains(ledger, proved(ANNS_CLIENT, one));
    await claimDomains(ledger, proved(BEN, one));
    await assert.rejects(claimDomains(ledger, bare(CARL, one)), refused);
    const anns = { ...proved(ANNS_CLIENT, one), client: CARL };
    await assert.rejects(claimDomains(ledger, anns), refused, "somebody else's proof");
    const foreign = { ...bare(CARL, one), proofs: [proveDomain({ ...other, id: one.id }, CARL)] };
    await assert.rejects(claimDomains(ledger, foreign), refused, 'a proof with another key');
    await claimDomains(ledger, proved(CARL, other));
  });

  it('named first without a proof are shared once that client has proved them, and it may show old keyrings still', async () => {
    const ledger = await newLedger();
    await claimDomains(ledger, bare(ANNS_CLIENT, one));
    await assert.rejects(claimDomains(ledger, proved(BEN, one)), refused);
    await claimDomains(ledger, proved(ANNS_CLIENT, one));
    await claimDomains(ledger, proved(BEN, one));
    await claimDomains(ledger, bare(ANNS_CLIENT, one));
    await claimDomains(ledger, bare(BEN, one));
    await assert.rejects(claimDomains(ledger, bare(CARL, one)), refused);
  });
});

describe('clients', () => {
  const ann = { name: 'ann', role: 'agent', instance_key: new Uint8Array(32), pass: 'p1' } as const;

  it('are enrolled, renewed, shut out and let in again', async () => {
    const ledger = await newLedger();
    await putClient(ledger.db, { id: ANNS_CLIENT, ...ann, enrolled_at: 1 });
    await setSession(ledger.db, ANNS_CLIENT, { token: 't', before: 'none', address: '10.0.0.1' }, 5);
    await setRevoked(ledger.db, ANNS_CLIENT, 9);
    assert.equal((await findClient(ledger.db, ANNS_CLIENT))?.revoked_at, 9);
    await putClient(ledger.db, { id: ANNS_CLIENT, ...ann, pass: 'p2', name: 'ann-2', enrolled_at: 20 });
    const row = await findClientByName(ledger.db, 'ann-2');
    assert.deepEqual(
      [row?.pass, row?.revoked_at, row?.enrolled_at, row?.session, row?.address, row?.seen_at],
      ['p2', null, 1, 't', '10.0.0.1', 5],
    );
    assert.equal((await listClients(ledger.db)).length, 1);
    assert.equal(await findClient(ledger.db, BEN), null);
    assert.equal(await findClientByName(ledger.db, 'nobody'), null);
  });
});

describe('jobs and runs', () => {
  it('are remembered until they are forgotten', async () => {
    const ledger = await newLedger();
    const fresh = await jobMemory(ledger.db, 'home', 5);
    assert.deepEqual([fresh.since, fresh.last_taken, fresh.full_needed], [5, null, 0]);
    await updateJob(ledger.db, 'home', { last_taken: 7, full_needed: 1 });
    const known = await jobMemory(ledger.db, 'home', 99);
    assert.deepEqual([known.since, known.last_taken, known.full_needed], [5, 7, 1]);
    await forgetJob(ledger.db, 'home');
    assert.equal((await jobMemory(ledger.db, 'home', 50)).since, 50);
  });

  it('under way are found after a restart, until they are ended', async () => {
    const ledger = await newLedger();
    const run = { job: 'home', instance: ANNS_CLIENT as never, sequence: 1 };
    await startRun(ledger.db, { ...run, pack_group: 'b', started_at: 2 });
    await startRun(ledger.db, { ...run, pack_group: 'a', started_at: 1 });
    assert.deepEqual(
      (await unfinishedRuns(ledger.db)).map(({ pack_group }) => pack_group),
      ['a', 'b'],
    );
    await endRun(ledger.db, 'a');
    assert.equal((await unfinishedRuns(ledger.db)).length, 1);
  });
});
