import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RelayKit } from '../../test/support/relay-kit.ts';
import { findClientByName } from '../ledger/clients.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';

const FIVE_MINUTES_MS = 5 * MINUTE_MS;

it('a client that stays connected was seen minutes ago, one that went when it went, one that is away stays away', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const [ann, ben] = [await kit.agent('ann', [tokyo]), await kit.agent('ben', [tokyo])];
  const seenAgo = async (machine: typeof ann | typeof osaka): Promise<number> => {
    const row = await kit.finish(findClientByName(tokyo.running!.ledger.db, machine.name));
    return kit.simulation.now - row!.seen_at!;
  };
  await kit.pass(DAY_MS);
  for (const each of [ann, ben, osaka]) assert.ok((await seenAgo(each)) <= FIVE_MINUTES_MS);
  await ben.shutDown();
  await kit.pass(HOUR_MS);
  assert.ok(Math.abs((await seenAgo(ben)) - HOUR_MS) < MINUTE_MS, String(await seenAgo(ben)));
  assert.ok((await seenAgo(ann)) <= FIVE_MINUTES_MS);
  kit.fleet.network.part('ann', 'tokyo');
  await kit.restart(tokyo);
  await kit.pass(HOUR_MS);
  assert.ok((await seenAgo(ann)) >= HOUR_MS, 'a center that starts again has not seen it since');
  assert.ok((await seenAgo(osaka)) <= FIVE_MINUTES_MS);
});
