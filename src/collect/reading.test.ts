import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit, NEVER } from '../../test/support/collect-kit.ts';
import { signMembership } from '../format/membership.ts';
import { setRevoked } from '../ledger/clients.ts';
import { putMember } from '../ledger/members.ts';
import { letRead } from '../ledger/readers.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { OrderId } from '../model/ids.ts';

const refusedWith = (code: ErrorCode) => (error: unknown) => isLowtideError(error, code);

describe('a peer', () => {
  it("reads everybody's records and blocks, and who they are", async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const anns = await ann.snapshot();
    await ann.bring(anns);
    await setRevoked(kit.ledger.db, ben.id, 5);
    const { id: client, signingKey } = ann;
    const { publicKey: instanceKey } = signingKey;
    const joined = kit.face.id;
    const word = { client, instanceKey, joined, node: null, at: 1 };
    const membership = signMembership(word, signingKey);
    const row = { client, joined, node: null, via: client, name: 'ann', membership };
    await putMember(kit.ledger.db, row, word.at);
    const osaka = await kit.peer('osaka');
    const { rows, next } = await osaka.api.clients(null);
    assert.equal(next, null);
    const standing = rows.map(({ name, revoked }) => `${name} ${revoked ? 'shut out' : 'let in'}`);
    assert.deepEqual(new Set(standing), new Set(['ann let in', 'ben shut out']));
    const told = rows.find(({ name }) => name === 'ann')!;
    assert.deepEqual(Buffer.from(told.instanceKey), Buffer.from(instanceKey));
    assert.deepEqual(
      told.memberships.map(({ via, membership: bytes }) => [via, Buffer.from(bytes)]),
      [[client, Buffer.from(membership)]],
    );
    const keyrings = await osaka.api.keyrings(ann.id, null);
    assert.deepEqual(
      keyrings.rows.map((bytes) => Buffer.from(bytes)),
      [Buffer.from(ann.keyring.signed.bytes)],
    );
    const ids = anns.blocks.map(({ id }) => id);
    const blocks = await Array.fromAsync(osaka.api.fetch(anns.id, ids, NEVER));
    assert.deepEqual(new Set(blocks.map(({ id }) => id)), new Set(ids));
  });

  it('brings nothing, closes nothing, and is nothing any more once it is shut out', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const anns = await ann.snapshot();
    await ann.offer(anns);
    const osaka = await kit.peer('osaka');
    await assert.rejects(osaka.offer(await osaka.snapshot()), refusedWith('forbidden'));
    const wishes = ann.wishes(anns);
    const offered = osaka.api.offer(anns.signed.bytes, ann.keyring.signed.bytes, wishes);
    await assert.rejects(offered, refusedWith('forbidden'));
    await assert.rejects(osaka.api.enroll([]), refusedWith('forbidden'));
    const ids = anns.blocks.map(({ id }) => id);
    await assert.rejects(osaka.api.missing('ab'.repeat(16) as OrderId, ids), refusedWith('order-ended'));
    assert.deepEqual(await osaka.api.stored(ann.id, ids), []);
    const closing = osaka.api.withdraw(anns.id, ann.voidRecord(anns.id), []);
    await assert.rejects(closing, refusedWith('no-such-snapshot'));
    assert.equal((await ann.api.copies({})).rows[0]?.phase, 'waiting');
  });

  it('is what nobody else is: an agent lists itself, and reads its own keyrings only', async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    await kit.peer('osaka');
    await ann.offer(await ann.snapshot());
    await ben.offer(await ben.snapshot());
    assert.deepEqual(
      (await ann.api.clients(null)).rows.map(({ client }) => client),
      [ann.id],
    );
    assert.equal((await ann.api.keyrings(ann.id, null)).rows.length, 1);
    await assert.rejects(ann.api.keyrings(ben.id, null), refusedWith('not-found'));
  });
});

describe('a client that may read what another has brought', () => {
  it('does so where it names it, and takes nothing of it for its own', async () => {
    const kit = await CollectKit.make();
    const [ann, ben, eve] = [await kit.client('ann'), await kit.client('ben'), await kit.client('eve')];
    const anns = await ann.snapshot();
    await ann.bring(anns);
    await letRead(kit.ledger.db, ben.id, ann.id, 5);
    await setRevoked(kit.ledger.db, ann.id, 6);
    const known = (await ben.api.clients(null)).rows.map(({ name }) => name);
    assert.deepEqual(new Set(known), new Set(['ann', 'ben']));
    assert.equal((await ben.api.keyrings(ann.id, null)).rows.length, 1);
    const told = await ben.api.copies({ client: ann.id, manifests: true });
    assert.deepEqual(
      told.rows.map(({ snapshot, phase, manifest }) => [snapshot, phase, manifest !== null]),
      [[anns.id, 'safe', true]],
    );
    const ids = anns.blocks.map(({ id }) => id);
    const blocks = await Array.fromAsync(ben.api.fetch(anns.id, ids, NEVER));
    assert.deepEqual(new Set(blocks.map(({ id }) => id)), new Set(ids));
    assert.deepEqual((await ben.api.copies({})).rows, []);
    assert.deepEqual((await ben.api.copies({ snapshots: [anns.id] })).rows, []);
    assert.deepEqual((await eve.api.copies({ client: ann.id })).rows, []);
    await assert.rejects(
      Array.fromAsync(eve.api.fetch(anns.id, ids, NEVER)),
      refusedWith('no-such-snapshot'),
    );
  });

  it('brings nothing of it, and closes nothing', async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const anns = await ann.snapshot();
    await ann.offer(anns);
    await letRead(kit.ledger.db, ben.id, ann.id, 5);
    const offered = ben.api.offer(anns.signed.bytes, ann.keyring.signed.bytes, ann.wishes(anns));
    await assert.rejects(offered, refusedWith('forbidden'));
    assert.deepEqual(
      await ben.api.stored(
        ann.id,
        anns.blocks.map(({ id }) => id),
      ),
      [],
    );
    const closing = ben.api.withdraw(anns.id, ann.voidRecord(anns.id), []);
    await assert.rejects(closing, refusedWith('no-such-snapshot'));
    assert.equal((await ann.api.copies({})).rows[0]?.phase, 'waiting');
  });
});
