import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import {
  type ClientSnapshot,
  CollectKit,
  NEVER,
  streamOf,
  type TestClient,
} from '../../test/support/collect-kit.ts';
import { noise } from '../../test/support/depot-kit.ts';
import { signLeaving, signMembership } from '../format/membership.ts';
import { centerIdOf, signingKeyFromSeed } from '../format/signing.ts';
import { signVoid } from '../format/void-record.ts';
import { putClient } from '../ledger/clients.ts';
import { findCopy } from '../ledger/copies.ts';
import { liveMembers } from '../ledger/live-members.ts';
import { listMembers, speaksFor } from '../ledger/members.ts';
import { setQuota } from '../ledger/quotas.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { Member, Wishes } from '../model/exchange.ts';
import type { BlockId, CenterId, OrderId } from '../model/ids.ts';
import { HOUR_MS } from '../model/time.ts';

const refused = (code: ErrorCode) => (error: unknown) => isLowtideError(error, code);
const nodeOf = (name: string): CenterId =>
  centerIdOf(signingKeyFromSeed(noise(`node ${name}`, 32)).publicKey);

/** What a machine signs when it joins `joined`, as which node if it is a relay. */
function wordOf(who: TestClient, joined: CenterId, node: CenterId | null = null, signer = who): Member {
  const { id: client, name, signingKey } = who;
  const word = { client, instanceKey: signingKey.publicKey, joined, node, at: 5 };
  return { name, membership: signMembership(word, signer.signingKey) };
}

/** Below this center the relay mallory, with ann; beside it ben, who has joined the center. */
class Center {
  readonly kit: CollectKit;
  readonly mallory: TestClient;
  readonly ann: TestClient;
  readonly ben: TestClient;

  private constructor(kit: CollectKit, mallory: TestClient, ann: TestClient, ben: TestClient) {
    this.kit = kit;
    this.mallory = mallory;
    this.ann = ann;
    this.ben = ben;
  }

  static async make(): Promise<Center> {
    const kit = await CollectKit.make();
    const mallory = kit.stranger('mallory');
    const { id, signingKey } = mallory;
    const key = { instance_key: signingKey.publicKey, pass: 'mallory', enrolled_at: 1 };
    await putClient(kit.ledger.db, { id, name: 'mallory', role: 'relay', node: nodeOf('mallory'), ...key });
    const ann = kit.stranger('ann');
    const center = new Center(kit, mallory, ann, await kit.client('ben'));
    await mallory.api.enroll([wordOf(ann, nodeOf('mallory'))]);
    return center;
  }

  /** mallory offers what somebody else made, with wishes as it likes. */
  async offer(
    by: TestClient,
    snapshot: ClientSnapshot,
    changes: Partial<Wishes> = {},
    ring = by,
  ): Promise<unknown> {
    const wishes = by.wishes(snapshot, changes);
    return await this.mallory.api.offer(snapshot.signed.bytes, ring.keyring.signed.bytes, wishes);
  }

  /** As far as an order for the next thing on offer. */
  async ordered(): Promise<OrderId> {
    const listener = this.mallory.listen();
    const { order } = await listener.order();
    return order;
  }

  async send(order: OrderId, blocks: ClientSnapshot['blocks']): Promise<readonly BlockId[]> {
    return (await Array.fromAsync(this.mallory.api.blocks(order, streamOf(blocks)))).flat();
  }

  async phase(snapshot: ClientSnapshot): Promise<string | undefined> {
    return (await findCopy(this.kit.ledger.db, snapshot.id, this.kit.face.id))?.phase;
  }
}

describe('P4: a hostile relay', () => {
  let center: Center;
  let kit: CollectKit;
  let mallory: TestClient;
  let ann: TestClient;
  let ben: TestClient;
  beforeEach(async () => {
    center = await Center.make();
    ({ kit, mallory, ann, ben } = center);
  });

  it('that strips blocks on the way up gets their names instead of a receipt', async () => {
    const snapshot = await ann.snapshot({ data: ['a', 'b', 'c'] });
    await center.offer(ann, snapshot);
    const order = await center.ordered();
    const [stripped, ...rest] = snapshot.blocks;
    await center.send(order, rest);
    const answer = await mallory.api.commit(order);
    assert.deepEqual(answer, { kind: 'missing', missing: [stripped!.id] });
    assert.equal(await center.phase(snapshot), 'in-transit');
    await center.send(order, [stripped!]);
    assert.equal((await mallory.api.commit(order)).kind, 'receipt');
  });

  it('that sends other bytes under a name, or blocks of another domain, is refused', async () => {
    const snapshot = await ann.snapshot();
    await center.offer(ann, snapshot);
    const order = await center.ordered();
    const [first] = snapshot.blocks;
    const bytes = Buffer.from(first!.bytes);
    bytes[bytes.length - 1]! ^= 1;
    await assert.rejects(center.send(order, [{ id: first!.id, bytes }]), refused('hash-mismatch'));
    await kit.pass(HOUR_MS);
    const again = await center.ordered();
    await assert.rejects(center.send(again, [ben.block('z')]), refused('forbidden'));
    assert.equal((await kit.depot.usage()).blocks, 0);
  });

  it('that brings a snapshot before the one it leans on waits until that has come', async () => {
    const first = await ann.snapshot({ data: ['a', 'b'] });
    const second = await ann.snapshot({ sequence: 2, base: first, data: ['a', 'b', 'c'] });
    await center.offer(ann, second);
    assert.equal(await center.phase(second), 'behind');
    await kit.pass(HOUR_MS);
    assert.equal(await center.phase(second), 'behind');
    await center.offer(ann, first);
    const order = await center.ordered();
    await center.send(order, first.blocks);
    assert.equal((await mallory.api.commit(order)).kind, 'receipt');
    assert.notEqual(await center.phase(second), 'behind');
  });

  it("that swaps keyrings or manifests, or makes manifests of its own in ann's name, is refused", async () => {
    const anns = await ann.snapshot();
    await assert.rejects(center.offer(ann, anns, {}, ben), refused('damaged-keyring'));
    const own = await ann.snapshot({ signingKey: mallory.signingKey });
    await assert.rejects(center.offer(ann, own), refused('wrong-signature'));
    const changed = Buffer.from(anns.signed.bytes);
    changed[changed.length >> 1]! ^= 1;
    const offering = mallory.api.offer(changed, ann.keyring.signed.bytes, ann.wishes(anns));
    await assert.rejects(offering, (error: unknown) =>
      isLowtideError(error, 'wrong-signature', 'damaged-manifest', 'forbidden'),
    );
    assert.equal(await center.phase(anns), undefined);
  });

  it('that offers what is of clients outside its subtree is refused', async () => {
    const bens = await ben.snapshot();
    await assert.rejects(center.offer(ben, bens), refused('forbidden'));
    const cid = kit.stranger('cid');
    await assert.rejects(center.offer(cid, await cid.snapshot()), refused('forbidden'));
    assert.equal(await findSnapshot(kit.ledger.db, bens.id), null);
  });

  it('that claims clients which never joined it, or forges their words, is refused', async () => {
    const cid = kit.stranger('cid');
    const lies: readonly Member[] = [
      wordOf(ben, kit.face.id),
      wordOf(cid, nodeOf('elsewhere')),
      wordOf(ben, nodeOf('mallory'), null, mallory),
    ];
    for (const lie of lies) {
      await assert.rejects(mallory.api.enroll([lie]), (error: unknown) =>
        isLowtideError(error, 'forbidden', 'wrong-signature'),
      );
    }
    assert.equal(await speaksFor(kit.ledger.db, mallory.id, ben.id), false);
    assert.equal((await listMembers(kit.ledger.db)).length, 1);
  });

  it('that has a machine call itself the center, or another relay, gets no subtree by that', async () => {
    const [puppet, twin] = [kit.stranger('puppet'), kit.stranger('twin')];
    const honest = kit.stranger('honest');
    const key = { instance_key: honest.signingKey.publicKey, pass: 'honest', enrolled_at: 1 };
    await putClient(kit.ledger.db, {
      id: honest.id,
      name: 'honest',
      role: 'relay',
      node: nodeOf('honest'),
      ...key,
    });
    for (const node of [kit.face.id, nodeOf('honest'), nodeOf('mallory')]) {
      const lie = [wordOf(puppet, nodeOf('mallory'), node), wordOf(ben, node)];
      await assert.rejects(mallory.api.enroll(lie), refused('forbidden'));
    }
    // Two in one list.
    const both = [
      wordOf(puppet, nodeOf('mallory'), nodeOf('x')),
      wordOf(twin, nodeOf('mallory'), nodeOf('x')),
    ];
    await assert.rejects(mallory.api.enroll(both), refused('forbidden'));
    assert.equal(await speaksFor(kit.ledger.db, mallory.id, ben.id), false);
  });

  it('that brings old words, or words of others, makes no way out of none and none out of one', async () => {
    const left = (who: TestClient, at: number, where: CenterId, signer = who): Uint8Array =>
      signLeaving(
        { client: who.id, instanceKey: who.signingKey.publicKey, left: where, at },
        signer.signingKey,
      );
    const live = async (): Promise<string[]> =>
      [...liveMembers(await listMembers(kit.ledger.db))].map(({ name }) => name);
    await assert.rejects(
      mallory.api.left([left(ann, 9, nodeOf('mallory'), mallory)]),
      refused('wrong-signature'),
    );
    await mallory.api.left([left(ann, 4, nodeOf('mallory'))]);
    await mallory.api.left([left(ben, 9, kit.face.id)]);
    assert.deepEqual(await live(), ['ann'], 'one is too old, the other of nobody below it');
    // ann says it elsewhere; mallory keeps to the old word, and sees the new one in the answer.
    const word = left(ann, 6, nodeOf('mallory'));
    await ann.api.left([word]);
    const answer = await mallory.api.enroll([wordOf(ann, nodeOf('mallory'))]);
    assert.deepEqual(
      answer.map((bytes) => Buffer.from(bytes)),
      [Buffer.from(word)],
    );
    assert.deepEqual(await live(), []);
    await center.offer(ann, await ann.snapshot());
  });

  it('that asks for what is of others is answered as if there were nothing', async () => {
    const bens = await ben.snapshot();
    await ben.bring(bens);
    const ids = bens.blocks.map(({ id }) => id);
    const nowhere = 'ab'.repeat(32) as typeof bens.id;
    for (const scope of [bens.id, nowhere]) {
      await assert.rejects(
        Array.fromAsync(mallory.api.fetch(scope, ids, NEVER)),
        refused('no-such-snapshot'),
      );
      const asked = { snapshots: [scope], manifests: true };
      assert.deepEqual(await mallory.api.copies(asked), { rows: [], next: null });
    }
    for (const client of [ben.id, kit.stranger('nobody').id]) {
      assert.deepEqual(await mallory.api.stored(client, ids), []);
      assert.deepEqual(await mallory.api.copies({ client }), { rows: [], next: null });
    }
    const anns = await ann.snapshot();
    await center.offer(ann, anns);
    const order = await center.ordered();
    assert.deepEqual(await mallory.api.missing(order, ids), ids);
    assert.deepEqual(await Array.fromAsync(mallory.api.fetch(anns.id, ids, NEVER)), []);
    await assert.rejects(ben.api.commit(order), refused('order-ended'));
  });

  it('withdraws nothing: neither what is of others, nor what its own machines did not close', async () => {
    const [bens, anns] = [await ben.snapshot(), await ann.snapshot()];
    await ben.offer(bens);
    await center.offer(ann, anns);
    const bensWord = ben.voidRecord(bens.id);
    await assert.rejects(mallory.api.withdraw(bens.id, bensWord, []), refused('no-such-snapshot'));
    const { id: client, instance } = ann;
    const record = { client, instance, snapshot: anns.id, reason: 'because', at: 1 };
    const forged = signVoid(record, mallory.signingKey);
    await assert.rejects(mallory.api.withdraw(anns.id, forged, []), refused('wrong-signature'));
    const other = ann.voidRecord((await ann.snapshot({ sequence: 2 })).id);
    await assert.rejects(mallory.api.withdraw(anns.id, other, []), refused('bad-request'));
    for (const snapshot of [bens, anns]) assert.notEqual(await center.phase(snapshot), 'void');
  });

  it('cannot close a snapshot here by the word of its owner that it is closed at another center', async () => {
    const anns = await ann.snapshot();
    await center.offer(ann, anns);
    const osaka = nodeOf('osaka');
    const word = ann.voidRecord(anns.id, [osaka]);
    for (const centers of [[], [osaka], [kit.face.id], [kit.face.id, osaka]])
      await assert.rejects(mallory.api.withdraw(anns.id, word, centers), refused('forbidden'));
    assert.notEqual(await center.phase(anns), 'void');
    const order = await center.ordered();
    await center.send(order, anns.blocks);
    assert.equal((await mallory.api.commit(order)).kind, 'receipt', 'it is collected all the same');
    const later = await ann.snapshot({ sequence: 2 });
    await center.offer(ann, later);
    const both = ann.voidRecord(later.id, [osaka, kit.face.id].sort());
    await mallory.api.withdraw(later.id, both, [osaka]);
    assert.notEqual(await center.phase(later), 'void', 'who brings it means another center');
    await mallory.api.withdraw(later.id, both, []);
    assert.equal(await center.phase(later), 'void');
  });

  it("cannot withdraw what was receipted, not even with its owner's word", async () => {
    const anns = await ann.snapshot();
    await center.offer(ann, anns);
    const order = await center.ordered();
    await center.send(order, anns.blocks);
    await mallory.api.commit(order);
    await mallory.api.withdraw(anns.id, ann.voidRecord(anns.id), []);
    assert.equal(await center.phase(anns), 'safe');
    assert.ok(await kit.depot.hasManifest(anns.id));
  });

  it('that says other wishes than the client changes nothing about what a receipt needs', async () => {
    const snapshot = await ann.snapshot({ data: ['a', 'b', 'c'] });
    const wishes = { freeAfter: 'custody', bytes: 0, blocks: 0, centers: [nodeOf('paradise')] } as const;
    await center.offer(ann, snapshot, wishes);
    const order = await center.ordered();
    const [stripped, ...rest] = snapshot.blocks;
    await center.send(order, rest);
    assert.deepEqual(await mallory.api.commit(order), { kind: 'missing', missing: [stripped!.id] });
  });
});

describe('a quota', () => {
  it('counts what a relay brings of its whole subtree, and refuses more before it is read', async () => {
    const center = await Center.make();
    const { kit, mallory, ann } = center;
    const first = await ann.snapshot({ data: ['a', 'b'] });
    await setQuota(kit.ledger.db, mallory.id, first.bytes + 2000);
    await center.offer(ann, first);
    const order = await center.ordered();
    await center.send(order, first.blocks);
    await mallory.api.commit(order);
    const second = await ann.snapshot({ sequence: 2, data: ['c', 'd', 'e'] });
    await assert.rejects(center.offer(ann, second), refused('quota-full'));
    assert.equal(await findSnapshot(kit.ledger.db, second.id), null);
    // What is there already is not refused.
    await center.offer(ann, first);
    await setQuota(kit.ledger.db, mallory.id, null);
    await center.offer(ann, second);
  });

  it('counts what comes, whatever was said that would come', async () => {
    const center = await Center.make();
    const { kit, mallory, ann } = center;
    const data = Array.from({ length: 40 }, (_, at) => `d${at}`);
    const snapshot = await ann.snapshot({ data });
    await setQuota(kit.ledger.db, mallory.id, 20_000);
    await center.offer(ann, snapshot, { bytes: 1 });
    const order = await center.ordered();
    await assert.rejects(center.send(order, snapshot.blocks), refused('quota-full'));
    const { bytes } = await kit.depot.usage();
    assert.ok(bytes < 20_000 + 3 * kit.world.limits.flush_bytes, `${bytes} bytes`);
    let read = 0;
    await kit.pass(HOUR_MS);
    const again = await center.ordered();
    const reading = mallory.api.blocks(
      again,
      (async function* () {
        read++;
        yield* snapshot.blocks;
      })(),
    );
    await assert.rejects(Array.fromAsync(reading), refused('quota-full'));
    assert.equal(read, 0);
  });

  it('has room for one of two that are offered at the same time', async () => {
    const center = await Center.make();
    const { kit, mallory, ann } = center;
    const one = await ann.snapshot({ data: ['a', 'b'] });
    const other = await ann.snapshot({ job: 'cd'.repeat(16), data: ['c', 'd'] });
    await setQuota(kit.ledger.db, mallory.id, one.bytes + other.bytes - 1);
    const [first, second] = await Promise.allSettled([center.offer(ann, one), center.offer(ann, other)]);
    assert.equal(first.status, 'fulfilled');
    assert.ok(second.status === 'rejected' && refused('quota-full')(second.reason));
    assert.equal(await findSnapshot(kit.ledger.db, other.id), null);
  });

  it('is not had back by withdrawing', async () => {
    const center = await Center.make();
    const { kit, mallory, ann } = center;
    const snapshot = await ann.snapshot({ data: ['a', 'b', 'c', 'd'] });
    await setQuota(kit.ledger.db, mallory.id, snapshot.bytes + 1000);
    await center.offer(ann, snapshot);
    const order = await center.ordered();
    await center.send(order, snapshot.blocks);
    await mallory.api.withdraw(snapshot.id, ann.voidRecord(snapshot.id), []);
    const next = await ann.snapshot({ sequence: 2, data: ['e', 'f'] });
    await assert.rejects(center.offer(ann, next), refused('quota-full'));
  });

  it('of one sender does not bind another', async () => {
    const center = await Center.make();
    const { kit, mallory, ben } = center;
    await setQuota(kit.ledger.db, mallory.id, 0);
    await ben.bring(await ben.snapshot());
  });
});
