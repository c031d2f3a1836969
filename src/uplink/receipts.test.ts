import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SmallFleet } from '../../test/support/fleet-kit.ts';
import { type Receipt, openReceipt, signReceipt } from '../format/receipt.ts';
import { centerIdOf, type SigningKey, signingKeyFromSeed } from '../format/signing.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';
import type { CenterApi } from '../protocol/center-api.ts';

const THIEF = signingKeyFromSeed(Buffer.alloc(32, 99));
const OTHER = '12'.repeat(32) as SnapshotId;

type Forge = (bytes: Uint8Array, center: CenterFace) => Uint8Array;

const resigned =
  (changes: Partial<Receipt>, key: SigningKey): Forge =>
  (bytes, { receiptKey }) =>
    signReceipt({ ...openReceipt(bytes, receiptKey), ...changes }, key);

/** Every receipt that comes down is another than the center gave. */
function forging(api: CenterApi, face: CenterFace, forge: Forge): CenterApi {
  return {
    ...api,
    commit: async (order) => {
      const answer = await api.commit(order);
      return answer.kind === 'receipt' ? { ...answer, receipt: forge(answer.receipt, face) } : answer;
    },
    copies: async (query) => {
      const page = await api.copies(query);
      const rows = page.rows.map((row) => ({
        ...row,
        receipt: row.receipt === null ? null : forge(row.receipt, face),
      }));
      return { ...page, rows };
    },
  };
}

const forgeries: readonly (readonly [string, Forge, string])[] = [
  ['signed by another key', resigned({ by: centerIdOf(THIEF.publicKey) }, THIEF), 'wrong-signature'],
  ['signed by another key in the name of the center', resigned({}, THIEF), 'wrong-signature'],
  [
    'with one bit changed',
    (bytes) => Uint8Array.from(bytes, (byte, at) => (at === bytes.length - 9 ? byte ^ 1 : byte)),
    'wrong-signature',
  ],
  ['that is none', () => new Uint8Array(20), 'damaged-receipt'],
];

describe('P1, P6: a receipt', () => {
  for (const [what, forge, code] of forgeries) {
    it(`${what} does not count: nothing is freed, the copy is stuck, and one alarm says so`, async () => {
      let honest = false;
      const small = await SmallFleet.make({
        meddle: (api, { face }) => forging(api, face, (...values) => (honest ? values[0] : forge(...values))),
      });
      await small.take();
      await small.pass(HOUR_MS);
      for (let count = 0; count < 3; count++) {
        await small.restart(small.center);
        await small.pass(MINUTE_MS);
      }
      assert.deepEqual(await small.states(), ['home#1 oslo: stuck damaged-receipt']);
      assert.ok((await small.spooled()) > 50_000);
      assert.deepEqual(small.alarmCodes(), [code]);
      honest = true;
      await small.restart(small.center);
      await small.pass(MINUTE_MS);
      assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
      assert.equal(await small.spooled(), 0);
    });
  }

  it('of the right center for another snapshot, another client, or for custody only does not count', async () => {
    const changes: Partial<Receipt>[] = [
      { snapshot: OTHER },
      { client: '34'.repeat(16) as ClientId },
      { kind: 'custody' },
    ];
    for (const change of changes) {
      let key: SigningKey | null = null;
      const small = await SmallFleet.make({
        meddle: (api, { face }) => forging(api, face, (...values) => resigned(change, key!)(...values)),
      });
      // The center itself signs falsely: it is the same key that a fleet of this seed gives it.
      key = signingKeyFromSeed(small.simulation.stream('receipt key', 'oslo').bytes(32));
      await small.take();
      await small.pass(HOUR_MS);
      assert.deepEqual(await small.states(), ['home#1 oslo: stuck damaged-receipt'], JSON.stringify(change));
      assert.ok((await small.spooled()) > 50_000);
      assert.deepEqual(small.alarmCodes(), ['damaged-receipt']);
    }
  });

  it('that comes twice, by commit and by a question at the same time, is counted once', async () => {
    const small = await SmallFleet.make();
    const id = await small.take();
    const [uplink] = small.agent.running!.uplinks;
    const asking = small.simulation.observe((operation) => {
      if (operation.node === 'oslo' && operation.kind === 'database.commit') void uplink!.refresh();
      return undefined;
    });
    await small.pass(HOUR_MS);
    asking();
    assert.deepEqual(await small.states(), ['home#1 oslo: safe']);
    assert.deepEqual(
      (await small.history(id)).filter((what) => what === 'receipted' || what === 'arrived'),
      ['arrived', 'receipted'],
    );
    assert.equal(small.simulation.recorder.events('receipted', 'ann').length, 1);
  });
});
