import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { jobOf } from '../../test/support/fleet-kit.ts';
import { Town } from '../../test/support/lying-town.ts';
import { OPEN, RelayKit } from '../../test/support/relay-kit.ts';
import { parseReceipt, signReceipt } from '../format/receipt.ts';
import { centerIdOf, signingKeyFromSeed } from '../format/signing.ts';
import { copiesOf } from '../ledger/copies.ts';
import { custodiesOf } from '../ledger/custodies.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { CopyRecord, CopyState } from '../model/exchange.ts';
import type { CenterId, SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { AgentMachine, RelayMachine } from '../sim/machines.ts';

const RELAY_KEY = signingKeyFromSeed(Buffer.alloc(32, 7));

describe('P1: receipts of a hostile relay', () => {
  /** The relay's true word on a snapshot, signed by somebody, as somebody. */
  const forged = (row: CopyRecord, by: CenterId, key = RELAY_KEY): Uint8Array => {
    const { receipt } = parseReceipt(row.receipt!);
    return signReceipt({ ...receipt, kind: 'center', by }, key);
  };

  async function forging(
    change: (row: CopyRecord, town: Town, own: CopyRecord) => CopyRecord | readonly CopyRecord[],
  ): Promise<{ readonly town: Town; readonly id: SnapshotId }> {
    const town = await Town.make();
    const id = await town.take();
    await town.kit.pass(MINUTE_MS);
    const { id: relay } = town.osaka.face;
    let own: CopyRecord | null = null;
    town.lie = (api) => ({
      ...api,
      copies: async (query) => {
        const page = await api.copies(query);
        own = page.rows.find(({ center }) => center === relay) ?? own;
        const rows = page.rows.flatMap((row) => (row.center === relay ? row : change(row, town, own!)));
        return { ...page, rows };
      },
    });
    await town.listen();
    await town.keepsAll(id);
    return { town, id };
  }

  it('in the name of the center under its own key do not count', async () => {
    const { town, id } = await forging((row, { tokyo }, own) => ({
      ...row,
      phase: 'safe',
      receipt: forged(own, tokyo.face.id),
    }));
    assert.match(await town.phase(id), /^held/);
    assert.deepEqual(town.alarms, ['wrong-signature']);
    await town.endsWell(id);
  });

  it('in its own name as if it were a center do not count', async () => {
    const { town, id } = await forging((row, _, own) => ({
      ...row,
      phase: 'safe',
      receipt: forged(own, centerIdOf(RELAY_KEY.publicKey)),
    }));
    assert.deepEqual(town.alarms, ['wrong-signature']);
    await town.endsWell(id);
  });

  it('that are its custody only are not taken for a center', async () => {
    const { town, id } = await forging((row, _, own) => ({ ...row, phase: 'safe', receipt: own.receipt }));
    assert.deepEqual(town.alarms, ['wrong-signature']);
    await town.endsWell(id);
  });

  it('of the center for another snapshot do not count', async () => {
    const town = await Town.make('any');
    await town.take();
    await town.kit.pass(HOUR_MS);
    const [first] = (
      await town.kit.finish(town.osaka.running!.ledger.db.selectFrom('copies').selectAll().execute())
    ).filter(({ center }) => center === town.tokyo.face.id);
    assert.equal(first!.phase, 'safe');
    Object.assign(town.osaka.options, { transfer: { windows: 'never', zone: 'UTC' } });
    await town.kit.restart(town.osaka);
    town.kit.write(town.ann, 'a', 90_000);
    town.lieOnCopies((row) =>
      row.center === town.tokyo.face.id ? { ...row, phase: 'safe', receipt: first!.receipt } : row,
    );
    const second = await town.take();
    await town.listen();
    await town.keepsAll(second);
    assert.match(await town.phase(second), /^held/);
    assert.deepEqual(town.alarms, ['damaged-receipt']);
    await town.endsWell(second);
  });

  it('of a center that no token named do not count, and are told of once', async () => {
    const stranger = centerIdOf(RELAY_KEY.publicKey);
    const { town, id } = await forging((row, _, own) => [
      row,
      { ...row, center: stranger, phase: 'safe', receipt: forged(own, stranger) },
    ]);
    assert.match(await town.phase(id), /^held/);
    assert.deepEqual(town.alarms, ['wrong-center']);
    const copies = await town.kit.finish(copiesOf(town.parts.ledger.db, id));
    assert.deepEqual(
      copies.map(({ center }) => center),
      [town.tokyo.face.id],
    );
    await town.endsWell(id);
  });

  it('of custody that are older, of another snapshot, free nothing', async () => {
    const town = await Town.make();
    town.ann.jobs = [jobOf({ freeAfter: 'custody' })];
    await town.take();
    await town.kit.pass(HOUR_MS);
    let old: Uint8Array | null = null;
    town.lie = (api) => ({
      ...api,
      blocks: (_, from) => ({
        async *[Symbol.asyncIterator]() {
          for await (const { id } of from) yield [id];
        },
      }),
      commit: async () => ({ kind: 'receipt', receipt: old! }),
      copies: async (query) => {
        const page = await api.copies(query);
        const own = page.rows.find(({ center }) => center === town.osaka.face.id);
        old ??= own?.receipt ?? null;
        return page;
      },
    });
    await town.kit.restart(town.osaka);
    await town.kit.pass(MINUTE_MS);
    assert.notEqual(old, null);
    town.kit.write(town.ann, 'a', 90_000);
    const second = await town.take();
    await town.kit.pass(HOUR_MS);
    await town.keepsAll(second);
    assert.deepEqual(await town.kit.finish(custodiesOf(town.parts.ledger.db, second)), []);
    assert.ok(town.alarms.includes('damaged-receipt'));
  });
});

describe('P1: words of a hostile relay', () => {
  let town: Town;
  beforeEach(async () => {
    town = await Town.make();
  });

  const says = (change: (state: CopyState) => Partial<CopyState>): void => {
    const center = (state: CopyState): boolean => state.center === town.tokyo.face.id;
    const lie = <T extends CopyState>(state: T): T =>
      center(state) ? { ...state, ...change(state) } : state;
    town.lie = (api) => ({
      ...api,
      offer: async (...values) => (await api.offer(...values)).map(lie),
      copies: async (query) => {
        const page = await api.copies(query);
        return { ...page, rows: page.rows.map(lie) };
      },
    });
  };

  it('that a snapshot is safe, without a receipt, free nothing', async () => {
    says(() => ({ phase: 'safe' }));
    const id = await town.take();
    await town.listen();
    await town.keepsAll(id);
    assert.notEqual(await town.phase(id), 'safe');
    await town.endsWell(id);
  });

  it('that it has a snapshot, without its custody receipt, free nothing under free-after custody', async () => {
    town.ann.jobs = [jobOf({ freeAfter: 'custody' })];
    says(() => ({ phase: 'held', holder: 'osaka' }));
    const { lie } = town;
    const { id: relay } = town.osaka.face;
    town.lie = (api) => {
      const lying = lie(api);
      const none = (row: CopyRecord): CopyRecord => (row.center === relay ? { ...row, receipt: null } : row);
      return {
        ...lying,
        commit: () => Promise.reject(new TypeError('it never commits')),
        copies: async (query) => {
          const page = await lying.copies(query);
          return { ...page, rows: page.rows.map(none) };
        },
      };
    };
    const id = await town.take();
    await town.listen();
    await town.keepsAll(id);
    assert.match(await town.phase(id), /^waiting/);
  });

  it('that a snapshot was closed close nothing', async () => {
    says(() => ({ phase: 'void', code: 'voided' }));
    const id = await town.take();
    await town.listen();
    await town.keepsAll(id);
    assert.deepEqual(town.alarms, ['bad-answer']);
    await town.endsWell(id);
  });

  it('that the own spool is damaged keep nothing from being sent', async () => {
    says(({ phase }) => (phase === 'safe' ? {} : { phase: 'stuck', code: 'damaged-block' }));
    const id = await town.take();
    await town.listen();
    await town.keepsAll(id);
    assert.equal(await town.phase(id), 'stuck bad-answer');
    await town.endsWell(id);
  });

  it('that a snapshot lacks its base cost a backup of everything, and lose nothing without a word', async () => {
    town = await Town.make('any');
    const first = await town.take();
    await town.kit.pass(HOUR_MS);
    assert.equal(await town.phase(first), 'safe');
    Object.assign(town.osaka.options, { transfer: { windows: 'never', zone: 'UTC' } });
    await town.kit.restart(town.osaka);
    town.kit.write(town.ann, 'a', 90_000);
    const second = await town.take();
    says(() => ({ phase: 'behind', code: 'base-unknown' }));
    await town.listen();
    assert.equal(await town.phase(second), 'behind base-unknown');
    await town.keepsAll(second);
    const third = await town.take();
    const row = await town.kit.finish(findSnapshot(town.parts.ledger.db, third));
    assert.equal(row!.base, null);
    await town.keepsAll(second);
    await town.endsWell(third);
    const gone = await town.phase(second);
    assert.ok(gone === 'safe' || town.alarms.includes('not-collected'), `${gone}: ${town.alarms.join()}`);
  });

  it('that the center has lost a snapshot are told, and the next backup has everything', async () => {
    town = await Town.make('any');
    const id = await town.take();
    await town.kit.pass(HOUR_MS);
    says(() => ({ phase: 'behind', code: 'center-went-back' }));
    await town.listen();
    assert.deepEqual(town.alarms, ['center-went-back']);
    const next = await town.take();
    assert.equal((await town.kit.finish(findSnapshot(town.parts.ledger.db, next)))!.base, null);
    assert.notEqual(await town.phase(id), 'safe');
  });

  it('of more centers than the token named are owed nothing', async () => {
    const stranger = { ...town.tokyo.face, id: centerIdOf(RELAY_KEY.publicKey), name: 'paradise' };
    town.lie = (api) => ({
      ...api,
      hello: async (me) => ({ ...(await api.hello(me)), centers: [stranger] }),
    });
    await town.listen();
    const id = await town.take();
    await town.kit.pass(MINUTE_MS);
    const copies = await town.kit.finish(copiesOf(town.parts.ledger.db, id));
    assert.deepEqual(
      copies.map(({ center }) => center),
      [town.tokyo.face.id],
    );
    await town.endsWell(id);
  });

  it('of hours that nobody can read are told of and not kept', async () => {
    town.lie = (api) => ({
      ...api,
      hello: async (me) => ({ ...(await api.hello(me)), windows: '99:99-\u001b[2J' }),
    });
    await town.listen();
    assert.equal(town.ann.running!.uplinks[0]!.status.connected, true);
    assert.deepEqual([...new Set(town.alarms)], ['bad-schedule']);
    const { ledger } = town.parts;
    const known = await town.kit.finish(ledger.fact(`conditions/${town.osaka.face.id}`));
    assert.equal(known, JSON.stringify({ windows: OPEN.windows, zone: OPEN.zone }));
  });

  it('that it is another node than was joined are believed in nothing', async () => {
    let offers = 0;
    town.lie = (api) => ({
      ...api,
      hello: async (me) => ({ ...(await api.hello(me)), center: town.tokyo.face }),
      offer: (...values) => {
        offers++;
        return api.offer(...values);
      },
    });
    await town.listen();
    await town.take();
    await town.kit.pass(MINUTE_MS);
    assert.equal(offers, 0);
    assert.deepEqual(town.alarms, ['wrong-center']);
  });
});

describe('P1: what a relay says above of free-after', () => {
  it('decides when those above it let go of their own copies, and frees no spool below', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: 'never' });
    const nara = await kit.relay('nara', [tokyo]);
    const osaka = await kit.relay('osaka', [nara]);
    const meddle = (api: CenterApi): CenterApi => ({
      ...api,
      offer: (manifest, keyring, wishes) => api.offer(manifest, keyring, { ...wishes, freeAfter: 'custody' }),
    });
    const kobe = await kit.relay('kobe', [osaka], { meddle });
    const ann = await kit.agent('ann', [kobe]);
    const id = await kit.take(ann);
    await kit.pass(2 * HOUR_MS);
    const kept = async ({ running }: RelayMachine | AgentMachine): Promise<boolean> =>
      (await kit.finish(findSnapshot(running!.parts.ledger.db, id)))!.pack_group !== null;
    assert.deepEqual(
      [await kept(ann), await kept(kobe), await kept(osaka), await kept(nara)],
      [true, true, false, true],
    );
    Object.assign(tokyo.conditions, { windows: 'any' });
    await kit.restart(tokyo);
    await kit.pass(2 * HOUR_MS);
    for (const machine of [ann, kobe, nara]) assert.equal(await kept(machine), false, machine.name);
  });
});
