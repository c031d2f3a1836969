import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit } from '../../test/support/collect-kit.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';

const refusedWith = (code: ErrorCode) => (error: unknown) => isLowtideError(error, code);
const unseen = (number: number): SnapshotId => number.toString(16).padStart(64, '0') as SnapshotId;

describe("an owner's word that a snapshot is closed which never came here (protocol R24)", () => {
  it('is kept, over a restart, for whoever asks and may know of it', async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const id = unseen(1);
    const record = ann.voidRecord(id, [kit.face.id]);
    await ann.api.withdraw(id, record, []);
    await kit.restart();
    const { rows } = await ann.api.copies({ snapshots: [id] });
    assert.deepEqual(
      rows.map(({ snapshot, center, phase, closing }) => ({
        snapshot,
        center,
        phase,
        closing: [...closing!],
      })),
      [{ snapshot: id, center: kit.face.id, phase: 'void', closing: [...record] }],
    );
    assert.deepEqual((await ben.api.copies({ snapshots: [id] })).rows, []);
    assert.deepEqual((await ann.api.copies({})).rows, []);
  });

  it('says nothing of what came here after all', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const snapshot = await ann.snapshot();
    await ann.api.withdraw(snapshot.id, ann.voidRecord(snapshot.id), []);
    await ann.bring(snapshot);
    const { rows } = await ann.api.copies({ snapshots: [snapshot.id] });
    assert.deepEqual(
      rows.map(({ phase }) => phase),
      ['safe'],
    );
  });

  it('closes what comes here after all if its base is not here, and cannot come', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const base = await ann.snapshot();
    const late = await ann.snapshot({ sequence: 2, base });
    const record = ann.voidRecord(late.id);
    await ann.api.withdraw(late.id, record, []);
    const [state] = await ann.offer(late);
    assert.deepEqual([state!.phase, state!.code], ['void', 'voided']);
    const { rows } = await ann.api.copies({ snapshots: [late.id] });
    assert.deepEqual(
      rows.map(({ phase, closing }) => ({ phase, closing: [...closing!] })),
      [{ phase: 'void', closing: [...record] }],
    );
  });

  it('closes what came here after all when its base is closed, too', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const base = await ann.snapshot();
    const late = await ann.snapshot({ sequence: 2, base });
    await ann.api.withdraw(late.id, ann.voidRecord(late.id), []);
    await ann.offer(base);
    const [state] = await ann.offer(late);
    assert.equal(state!.phase, 'waiting');
    await ann.api.withdraw(base.id, ann.voidRecord(base.id), []);
    const { rows } = await ann.api.copies({ snapshots: [base.id, late.id] });
    assert.deepEqual(
      rows.map(({ phase }) => phase),
      ['void', 'void'],
    );
  });

  it("counts only if it is the owner's own, and a thousand times", async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    const close = (signer: typeof ann, number: number): Promise<void> =>
      ann.api.withdraw(unseen(number), signer.voidRecord(unseen(number)), []);
    await assert.rejects(close(ben, 1), refusedWith('no-such-snapshot'));
    const others = ann.api.withdraw(unseen(1), ann.voidRecord(unseen(2)), []);
    await assert.rejects(others, refusedWith('bad-request'));
    for (let number = 1; number <= 1000; number++) await close(ann, number);
    await assert.rejects(close(ann, 1001), refusedWith('no-such-snapshot'));
    assert.equal((await ann.api.copies({ snapshots: [unseen(1000)] })).rows.length, 1);
    await ben.api.withdraw(unseen(1001), ben.voidRecord(unseen(1001)), []);
  });
});
