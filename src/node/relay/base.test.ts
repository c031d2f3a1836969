import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { signReceipt, parseReceipt } from '../../format/receipt.ts';
import { signingKeyFromSeed } from '../../format/signing.ts';
import { findSnapshot } from '../../ledger/snapshots.ts';
import type { CopyRecord } from '../../model/exchange.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { Meddle } from '../../sim/joining.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../../sim/machines.ts';

/** ann's first snapshot came to tokyo by osaka; now it is below kobe, which has never heard of it. */
interface Moved {
  readonly kit: RelayKit;
  readonly tokyo: CenterMachine;
  readonly kobe: RelayMachine;
  readonly ann: AgentMachine;
  readonly first: SnapshotId;
}

async function moved(changes: Partial<RelayMachine['options']> = {}, hops = 1): Promise<Moved> {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  let kobe = await kit.relay('kobe', [tokyo], changes);
  for (let hop = 1; hop < hops; hop++) kobe = await kit.relay(`kobe-${hop}`, [kobe]);
  const ann = await kit.agent('ann', [osaka]);
  const first = await kit.take(ann);
  await kit.pass(HOUR_MS);
  assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe']);
  await kit.rejoin(ann, [kobe]);
  await kit.pass(MINUTE_MS);
  return { kit, tokyo, kobe, ann, first };
}

async function baseOf({ kit, ann }: Moved, id: SnapshotId): Promise<SnapshotId | null> {
  return (await kit.finish(findSnapshot(ann.running!.parts.ledger.db, id)))!.base;
}

/** Of what the first snapshot brought: what a second must not bring again. */
async function sendsOnlyNews(town: Moved, nodes: readonly string[]): Promise<void> {
  const { kit, ann, first } = town;
  const all = kit.fleet.blockBytesFrom('ann');
  const before = nodes.map((name) => kit.fleet.blockBytesFrom(name));
  kit.write(ann, 'new', 5000);
  const second = await kit.take(ann);
  assert.equal(await baseOf(town, second), first);
  await kit.pass(HOUR_MS);
  assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: safe']);
  assert.deepEqual(kit.alarmCodes('ann'), []);
  for (const [at, name] of nodes.entries()) {
    const sent = kit.fleet.blockBytesFrom(name) - before[at]!;
    assert.ok(sent > 5000 && sent < all / 3, `${name} sent ${sent} bytes of ${all}`);
  }
  assert.equal(await kit.spooled(ann), 0);
}

/** What leans on the first snapshot stays where it is, and nothing of that is kept at the relay. */
async function refusesTheBase({ kit, kobe, ann, first }: Moved): Promise<void> {
  kit.write(ann, 'new', 5000);
  await kit.take(ann);
  await kit.pass(HOUR_MS);
  assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: behind base-unknown']);
  assert.equal(await kit.finish(kobe.running!.depot.hasManifest(first)), false);
  assert.deepEqual(await kit.finish(kobe.running!.depot.pins()), []);
}

describe('a relay that lacks the base of what it is sent', () => {
  it('gets the manifest, the receipt and the refs of it from above, and the machine sends what is new only', async () => {
    const town = await moved();
    const { kit, kobe, ann, first } = town;
    await sendsOnlyNews(town, ['ann', 'kobe']);
    const { ledger } = kobe.running!;
    assert.equal((await kit.finish(findSnapshot(ledger.db, first)))!.pack_group, null, 'never in custody');
    assert.equal(await kit.custody(kobe), 0);
    kit.write(ann, 'newer', 5000);
    const third = await kit.take(ann);
    await kit.pass(HOUR_MS);
    const report = await kit.restore(ann, third, '/back');
    assert.ok(report.complete);
    assert.deepEqual(ann.node.files.tree('/back/home'), ann.node.files.tree('/home'));
  });

  it('does so over more hops, where none of the relays between has heard of the machine', async () => {
    await sendsOnlyNews(await moved({}, 3), ['ann', 'kobe-2', 'kobe-1', 'kobe']);
  });

  it('keeps the base over a restart, and asks for it once', async () => {
    let asked = 0;
    const counting = (api: CenterApi): CenterApi => ({
      ...api,
      copies: async (query) => {
        if (query.manifests === true) asked++;
        return await api.copies(query);
      },
    });
    const { kit, kobe, ann } = await moved({ meddle: counting });
    for (const name of ['one', 'two', 'three']) {
      kit.write(ann, name, 5000);
      await kit.take(ann);
      await kit.pass(HOUR_MS);
      await kit.restart(kobe);
      await kit.pass(MINUTE_MS);
    }
    assert.equal((await kit.states(ann)).filter((line) => line.endsWith(': safe')).length, 4);
    assert.equal(asked, 1);
  });

  it('does not take a center for gone back that has only not been told yet of the machine that moved', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    const nara = await kit.relay('nara', [tokyo]);
    const kobe = await kit.relay('kobe', [nara, tokyo]);
    const ann = await kit.agent('ann', [osaka]);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    kit.fleet.network.part('kobe', 'tokyo');
    await kit.rejoin(ann, [kobe]);
    kit.write(ann, 'new', 5000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    const safe = ['home#1 tokyo: safe', 'home#2 tokyo: safe'];
    assert.deepEqual(await kit.states(ann), safe);
    kit.fleet.network.join('kobe', 'tokyo');
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), safe);
    assert.deepEqual(kit.alarmCodes('kobe'), []);
  });

  it('says so if nobody above answers, and the next backup is complete', async () => {
    const town = await moved();
    const { kit, ann } = town;
    kit.fleet.network.part('kobe', 'tokyo');
    await kit.pass(HOUR_MS);
    kit.write(ann, 'new', 5000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: behind base-unknown']);
    assert.deepEqual(kit.alarmCodes('ann'), []);
    kit.fleet.network.join('kobe', 'tokyo');
    const whole = await kit.take(ann);
    assert.equal(await baseOf(town, whole), null);
    await kit.pass(HOUR_MS);
    assert.equal((await kit.states(ann)).at(-1), 'home#3 tokyo: safe');
  });

  it('is offered it again after a while, since it may ask those above by then', async () => {
    const { kit, ann } = await moved();
    kit.fleet.network.part('kobe', 'tokyo');
    await kit.pass(HOUR_MS);
    kit.write(ann, 'new', 5000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.equal((await kit.states(ann)).at(-1), 'home#2 tokyo: behind base-unknown');
    kit.fleet.network.join('kobe', 'tokyo');
    await kit.pass(3 * HOUR_MS);
    assert.deepEqual(await kit.states(ann), ['home#1 tokyo: safe', 'home#2 tokyo: safe']);
    assert.equal(await kit.spooled(ann), 0);
  });

  it('says so if one of the centers owed does not say that it has it', async () => {
    const kit = new RelayKit();
    const [tokyo, sapporo] = [await kit.center('tokyo'), await kit.center('sapporo')];
    const osaka = await kit.relay('osaka', [tokyo, sapporo]);
    const silent: Meddle = (api, node) =>
      node === sapporo ? { ...api, copies: async () => ({ rows: [], next: null }) } : api;
    const kobe = await kit.relay('kobe', [tokyo, sapporo], { meddle: silent });
    const ann = await kit.agent('ann', [osaka]);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    await kit.rejoin(ann, [kobe]);
    await kit.pass(MINUTE_MS);
    kit.write(ann, 'new', 5000);
    await kit.take(ann);
    await kit.pass(HOUR_MS);
    assert.deepEqual((await kit.states(ann)).slice(2), [
      'home#2 sapporo: behind base-unknown',
      'home#2 tokyo: behind base-unknown',
    ]);
    assert.deepEqual(await kit.finish(kobe.running!.depot.pins()), []);
  });
});

describe('P4: a node above that lies about a base', () => {
  const OTHER = signingKeyFromSeed(Buffer.alloc(32, 9));
  const lies: Record<string, (row: CopyRecord) => CopyRecord> = {
    'with a receipt under another key': (row) => ({
      ...row,
      receipt: row.receipt && signReceipt(parseReceipt(row.receipt).receipt, OTHER),
    }),
    'without a receipt': (row) => ({ ...row, receipt: null }),
    "with another machine's manifest": (row) => ({ ...row, manifest: row.manifest?.toReversed() ?? null }),
  };
  for (const [how, lie] of Object.entries(lies)) {
    it(`${how} is not believed, and costs a backup of everything`, async () => {
      const meddle = (api: CenterApi): CenterApi => ({
        ...api,
        copies: async (query) => {
          const page = await api.copies(query);
          return query.manifests === true ? { ...page, rows: page.rows.map(lie) } : page;
        },
      });
      const town = await moved({ meddle });
      await refusesTheBase(town);
      const { kit, ann } = town;
      await kit.take(ann);
      await kit.pass(HOUR_MS);
      assert.equal((await kit.states(ann)).at(-1), 'home#3 tokyo: safe');
    });
  }

  it('by keeping a page of its refs back, too', async () => {
    const meddle = (api: CenterApi): CenterApi => ({
      ...api,
      async *fetch() {
        // Nothing comes.
      },
    });
    await refusesTheBase(await moved({ meddle }));
  });
});
