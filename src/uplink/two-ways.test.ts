import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jobOf } from '../../test/support/fleet-kit.ts';
import { RelayKit } from '../../test/support/relay-kit.ts';
import { openVoid, signVoid } from '../format/void-record.ts';
import { findCopy } from '../ledger/copies.ts';
import { historyOf } from '../ledger/history.ts';
import type { CopyRecord } from '../model/exchange.ts';
import type { CenterId, SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../sim/machines.ts';

describe('of two ways to one center', () => {
  it('one that orders what has come by the other meanwhile is no trouble, and is sent nothing', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    // From 13:00 on; it is noon.
    const conditions = { windows: '13:00-14:00', zone: 'UTC', streams: 2 };
    const osaka = await kit.relay('osaka', [tokyo], { conditions });
    const ann = await kit.agent('ann', [tokyo, osaka]);
    ann.jobs = [jobOf()];
    const { network } = kit.fleet;
    network.cut('ann', 'tokyo');
    const id = await kit.take(ann);
    await kit.pass(MINUTE_MS);
    network.cut('osaka', 'tokyo');
    network.join('ann', 'tokyo');
    await kit.pass(10 * MINUTE_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    await kit.pass(HOUR_MS);
    const { recorder } = kit.simulation;
    const ordered = (): number =>
      recorder.events('ordered', 'osaka').filter(({ snapshot }) => snapshot === id).length;
    assert.ok(ordered() > 0, 'the relay did order it');
    assert.deepEqual(kit.alarmCodes('ann'), []);
    assert.equal(recorder.events('committed', 'osaka').length, 0);
    assert.equal(await kit.custody(osaka), 0);
    network.join('osaka', 'tokyo');
    await kit.pass(10 * MINUTE_MS);
    const before = ordered();
    await kit.pass(HOUR_MS);
    assert.equal(ordered(), before, 'once it has heard where it is, it orders it no more');
    assert.equal(osaka.running!.collector.planning.reasonFor(id), null);
  });

  it('one that orders what was freed on the word of a relay on the other hears at once that it is not here', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '20:00-21:00' });
    const conditions = { windows: '13:00-14:00', zone: 'UTC', streams: 2 };
    const osaka = await kit.relay('osaka', [tokyo], { conditions });
    const kobe = await kit.relay('kobe', [tokyo]);
    const ann = await kit.agent('ann', [osaka, kobe]);
    ann.jobs = [jobOf({ freeAfter: 'custody' })];
    const id = await kit.take(ann);
    await kit.pass(MINUTE_MS);
    kit.fleet.network.cut('ann', 'osaka');
    await kit.pass(10 * MINUTE_MS);
    assert.equal(await kit.spooled(ann), 0);
    const all = kit.fleet.blockBytesFrom('ann');
    kit.fleet.network.join('ann', 'osaka');
    await kit.pass(HOUR_MS);
    const history = await kit.finish(historyOf(osaka.running!.ledger.db, id));
    assert.ok(history.some(({ code }) => code === 'declined-not-here'));
    assert.equal(kit.fleet.blockBytesFrom('ann'), all);
    assert.deepEqual(kit.alarmCodes('ann'), []);
    await kit.pass(8 * HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    assert.equal(await kit.custody(kobe), 0);
  });

  it('one whose hours never meet those of the center does not take from the other what that can bring', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '20:00-22:00' });
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [osaka, tokyo]);
    ann.jobs = [jobOf({ transfer: '12:00-14:00' })];
    const { network } = kit.fleet;
    network.cut('ann', 'tokyo');
    network.cut('osaka', 'tokyo');
    await kit.take(ann);
    // Longer than the word of the relay keeps it from being offered by another way.
    await kit.pass(26 * HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: held']);
    network.join('osaka', 'tokyo');
    await kit.pass(HOUR_MS);
    network.join('ann', 'tokyo');
    await kit.pass(HOUR_MS);
    const offered = kit.simulation.recorder.events('offered', 'ann').map(({ center }) => center);
    assert.deepEqual(offered, [osaka.face.id, tokyo.face.id]);
    await kit.pass(6 * HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
    assert.equal(await kit.custody(osaka), 0);
  });

  it('what leans on a snapshot that the relay on one way has goes that way too, also when a better one is open again', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '20:00-21:00' });
    const [east, west] = [await kit.relay('east', [tokyo]), await kit.relay('west', [tokyo])];
    const ann = await kit.agent('ann', [east, west]);
    const { network } = kit.fleet;
    network.cut('ann', 'east');
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    const all = kit.fleet.blockBytesFrom('ann');
    network.join('ann', 'east');
    await kit.pass(HOUR_MS);
    kit.write(ann, 'new', 5000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: held', 'home#2 tokyo: held']);
    assert.equal(await kit.custody(east), 0);
    await kit.pass(8 * HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: safe']);
    assert.ok(kit.fleet.blockBytesFrom('ann') < 1.5 * all, 'nothing was sent twice');
  });

  it('the relay that waits for what came by the other hears of every center, though each answers for itself', async () => {
    const kit = new RelayKit();
    const centers = [await kit.center('tokyo'), await kit.center('sapporo')];
    const [east, west] = [await kit.relay('east', centers), await kit.relay('west', centers)];
    const conditions = { windows: 'never', zone: 'UTC', streams: 1 };
    const north = await kit.relay('north', [east], { conditions });
    const south = await kit.relay('south', [west]);
    const ann = await kit.agent('ann', [north, south]);
    const id = await kit.take(ann);
    await kit.pass(4 * HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 sapporo: safe', 'home#1 tokyo: safe']);
    for (const { face, name } of centers) {
      const copy = await kit.finish(findCopy(north.running!.ledger.db, id, face.id));
      assert.equal(copy?.phase, 'safe', `north knows that ${name} has it`);
    }
    assert.equal(north.running!.collector.planning.reasonFor(id), null, 'north waits for nothing');
  });
});

interface Town {
  readonly kit: RelayKit;
  readonly tokyo: CenterMachine;
  readonly osaka: RelayMachine;
  readonly ann: AgentMachine;
  readonly id: SnapshotId;
  /** The owner's word that it is closed there. */
  readonly word: (center: CenterId) => Uint8Array;
}

/** osaka has a snapshot in custody, and tokyo knows of it. @param tell how tokyo's answers are changed on their way */
async function town(tell: (row: CopyRecord, town: Pick<Town, 'word'>) => CopyRecord): Promise<Town> {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo', { windows: 'never' });
  let made: Town | null = null;
  const osaka = await kit.relay('osaka', [tokyo], {
    meddle: (api) => ({
      ...api,
      copies: async (query) => {
        const page = await api.copies(query);
        return { ...page, rows: page.rows.map((row) => (made === null ? row : tell(row, made))) };
      },
    }),
  });
  const ann = await kit.agent('ann', [osaka]);
  ann.jobs = [jobOf()];
  const id = await kit.take(ann);
  await kit.pass(10 * MINUTE_MS);
  const { client, instance, signingKey } = ann.running!.parts.identity;
  const word = (center: CenterId): Uint8Array =>
    signVoid({ client, instance, snapshot: id, reason: 'test', at: 1, centers: [center] }, signingKey);
  assert.ok((await kit.custody(osaka)) > 80_000);
  made = { kit, tokyo, osaka, ann, id, word };
  return made;
}

async function ask({ kit, osaka }: Town): Promise<void> {
  for (let times = 0; times < 2; times++) {
    await kit.restart(osaka);
    await kit.pass(5 * MINUTE_MS);
  }
}

describe('P1: what its owner has closed by another way', () => {
  it('a relay lets go when the center shows it the word of the owner, without alarm', async () => {
    const made = await town((row) => row);
    const { kit, tokyo, osaka, ann, id, word } = made;
    const { client, signingKey } = ann.running!.parts.identity;
    const direct = tokyo.running!.apiFor(client, null);
    await kit.finish(direct.withdraw(id, word(tokyo.face.id), []));
    await ask(made);
    assert.deepEqual(kit.alarmCodes('osaka'), []);
    const { db } = osaka.running!.ledger;
    assert.equal((await kit.finish(findCopy(db, id, tokyo.face.id)))?.phase, 'void');
    assert.equal(await kit.custody(osaka), 0);
    const kept = await kit.finish(osaka.running!.depot.voidRecord(id));
    assert.equal(
      openVoid(kept!, signingKey.publicKey).snapshot,
      id,
      'it can show it below and above in turn',
    );
  });

  const lies: Record<string, (row: CopyRecord, town: Pick<Town, 'word'>) => CopyRecord> = {
    'without the word of its owner': (row) => row,
    'with a word about another center': (row, { word }) => ({
      ...row,
      closing: word('ee'.repeat(16) as CenterId),
    }),
    'with a word of somebody else': (row, { word }) => {
      const closing = word(row.center);
      closing[closing.length - 1]! ^= 1;
      return { ...row, closing };
    },
    'with a word that nobody can read': (row) => ({ ...row, closing: new Uint8Array(40) }),
  };
  for (const [how, change] of Object.entries(lies)) {
    it(`is not believed ${how}: the relay keeps it, and says so once`, async () => {
      const made = await town((row, told) => change({ ...row, phase: 'void', code: 'voided' }, told));
      const { kit, osaka } = made;
      await ask(made);
      await kit.pass(2 * HOUR_MS);
      assert.deepEqual(new Set(kit.alarmCodes('osaka')), new Set(['bad-answer']));
      assert.ok((await kit.custody(osaka)) > 80_000);
    });
  }
});
