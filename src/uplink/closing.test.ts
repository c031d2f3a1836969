import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jobOf } from '../../test/support/fleet-kit.ts';
import { RelayKit } from '../../test/support/relay-kit.ts';
import { openVoid, parseVoid, signVoid, type VoidRecord } from '../format/void-record.ts';
import { findCopy } from '../ledger/copies.ts';
import { historyOf } from '../ledger/history.ts';
import type { SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../model/time.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../sim/machines.ts';
import { closeAt } from './closing.ts';

/** A branch that owes to two centers, which know of a snapshot and have not collected it. */
async function town(): Promise<{
  kit: RelayKit;
  tokyo: CenterMachine;
  sapporo: CenterMachine;
  osaka: RelayMachine;
  ann: AgentMachine;
  id: SnapshotId;
}> {
  const kit = new RelayKit();
  const never = { windows: 'never' };
  const [tokyo, sapporo] = [await kit.center('tokyo', never), await kit.center('sapporo', never)];
  const osaka = await kit.relay('osaka', [tokyo, sapporo]);
  const ann = await kit.agent('ann', [osaka]);
  ann.jobs = [jobOf()];
  const id = await kit.take(ann);
  await kit.pass(HOUR_MS);
  return { kit, tokyo, sapporo, osaka, ann, id };
}

async function phaseAt(kit: RelayKit, center: CenterMachine, id: SnapshotId): Promise<string | undefined> {
  return (await kit.finish(findCopy(center.running!.ledger.db, id, center.face.id)))?.phase;
}

describe("P4: an owner's word that a snapshot is closed (format F48)", () => {
  it('closes it over every hop where it says so, and at no other center', async () => {
    const { kit, tokyo, sapporo, osaka, ann, id } = await town();
    const { identity, depot } = ann.running!.parts;
    const { client, instance, signingKey } = identity;
    const word = (centers: readonly CenterMachine[]): Uint8Array => {
      const named = centers.map(({ face }) => face.id).sort();
      return signVoid({ client, instance, snapshot: id, reason: 'test', at: 1, centers: named }, signingKey);
    };
    assert.equal(await depot.voidRecord(id), null);
    const api = osaka.running!.apiFor(client, null);
    const both = [tokyo.face.id, sapporo.face.id];
    await kit.finish(api.withdraw(id, word([tokyo]), both));
    await kit.pass(MINUTE_MS);
    assert.deepEqual([await phaseAt(kit, tokyo, id), await phaseAt(kit, sapporo, id)], ['void', 'waiting']);
    await kit.finish(api.withdraw(id, word([tokyo, sapporo]), []));
    await kit.finish(api.withdraw(id, word([tokyo]), []));
    await kit.pass(MINUTE_MS);
    assert.deepEqual([await phaseAt(kit, tokyo, id), await phaseAt(kit, sapporo, id)], ['void', 'void']);
  });

  it('is told to each node above once', async () => {
    const { kit, tokyo, osaka, ann, id } = await town();
    const { client, instance, signingKey } = ann.running!.parts.identity;
    const closing = { client, instance, snapshot: id, reason: 'test', at: 1, centers: [tokyo.face.id] };
    await kit.finish(osaka.running!.apiFor(client, null).withdraw(id, signVoid(closing, signingKey), []));
    for (let again = 0; again < 3; again++) {
      await kit.pass(HOUR_MS);
      osaka.crash();
      await kit.boot(osaka);
    }
    await kit.pass(HOUR_MS);
    assert.equal(await phaseAt(kit, tokyo, id), 'void');
    const history = await kit.finish(historyOf(osaka.running!.ledger.db, id));
    assert.equal(history.filter(({ code }) => code.startsWith('told ')).length, 1);
  });

  it('names all centers where it was closed, whenever that was, and is one record as long as nothing is added', async () => {
    const { kit, tokyo, sapporo, ann, id } = await town();
    const { world, depot, identity } = ann.running!.parts;
    const { client, instance, signingKey } = identity;
    const close = (center: CenterMachine): Promise<Uint8Array> =>
      kit.finish(closeAt({ world, depot, client, instance, signingKey }, id, [center.face.id], 'test'));
    const open = (bytes: Uint8Array): VoidRecord => openVoid(bytes, signingKey.publicKey);
    const first = await close(tokyo);
    assert.deepEqual(open(first).centers, [tokyo.face.id]);
    await kit.pass(1000);
    assert.deepEqual([...(await close(tokyo))], [...first]);
    const second = await close(sapporo);
    assert.deepEqual(open(second).centers, [tokyo.face.id, sapporo.face.id].sort());
    assert.deepEqual([...(await kit.finish(depot.voidRecord(id)))!], [...second]);
    const old = { client, instance, snapshot: id, reason: 'of before', at: 1 };
    await kit.finish(depot.putVoid(id, signVoid(old, signingKey)));
    assert.equal(parseVoid(await close(tokyo)).voidRecord.reason, 'of before', 'it closes it everywhere');
  });
});
