import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { setMembersMax } from '../../ledger/quotas.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { AgentMachine } from '../../sim/machines.ts';

it('a relay that may tell of no more machines says so once, keeps what they bring, and passes it on when it may', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const relay = osaka.identity.client;
  await kit.finish(setMembersMax(tokyo.running!.ledger.db, relay, 2));
  const agents: AgentMachine[] = [];
  for (const name of ['ann', 'ben', 'cho', 'dan']) agents.push(await kit.agent(name, [osaka]));
  for (const agent of agents) await kit.take(agent);
  await kit.pass(3 * HOUR_MS);
  const safe = async (): Promise<number> => {
    let count = 0;
    for (const agent of agents) if ((await kit.states(agent))[0] === 'home#1 tokyo: safe') count++;
    return count;
  };
  assert.equal(await safe(), 2, 'those that it could tell of are not held up');
  assert.equal(kit.alarmCodes('osaka').filter((code) => code === 'members-full').length, 1);
  for (const agent of agents) {
    const [state] = await kit.states(agent);
    if (state !== 'home#1 tokyo: safe') assert.ok((await kit.spooled(agent)) > 60_000, 'nothing is freed');
  }
  await kit.finish(setMembersMax(tokyo.running!.ledger.db, relay, null));
  await kit.pass(2 * HOUR_MS);
  await kit.pass(MINUTE_MS);
  assert.equal(await safe(), 4);
});
