import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noise } from '../../test/support/depot-kit.ts';
import { jobOf, NEVER } from '../../test/support/fleet-kit.ts';
import { OPEN, RelayKit } from '../../test/support/relay-kit.ts';
import { copiesOf } from '../ledger/copies.ts';
import { HOUR_MS } from '../model/time.ts';
import type { AgentMachine, CenterMachine } from '../sim/machines.ts';

const MACHINES = 6;
const COMMON = 100_000;
const OWN = 5_000;
/** For each machine: tree and refs pages, and what messages cost. */
const OVERHEAD = 8_000;

/** A shop full of machines that have most of what they store in common, and take their backups at the same moment. */
async function shop(
  domainKey: Uint8Array | null,
): Promise<{ kit: RelayKit; oslo: CenterMachine; agents: AgentMachine[] }> {
  const kit = new RelayKit();
  // By day all of it gathers in the shop; in the evening it is sent on, one snapshot after another (S46).
  const oslo = await kit.center('oslo', { streams: 4, windows: '20:00-23:00' });
  const relay = await kit.relay('shop', [oslo], { conditions: { ...OPEN, streams: 4 } });
  const agents: AgentMachine[] = [];
  for (let at = 0; at < MACHINES; at++) {
    const shared = domainKey === null ? {} : { domainKey };
    const options = { centers: [relay], spoolBytes: 4 << 20, ...shared };
    const agent = await kit.fleet.addAgent(`till-${at}`, 'UTC', options);
    agent.node.files.makeDirectory('/home');
    agent.node.files.write('/home/catalogue', { seed: 'catalogue', size: COMMON });
    agent.node.files.write('/home/sales', { seed: agent.name, size: OWN });
    agent.jobs = [jobOf()];
    agents.push(agent);
  }
  const taken = await kit.finish(
    Promise.all(agents.map(async (agent) => ({ agent, taken: await agent.running!.take('home', NEVER) }))),
  );
  await kit.pass(10 * HOUR_MS);
  for (const {
    agent,
    taken: { signed },
  } of taken) {
    const [copy] = await kit.finish(copiesOf(agent.running!.parts.ledger.db, signed.id));
    assert.equal(copy?.phase, 'safe', agent.name);
  }
  return { kit, oslo, agents };
}

describe('many machines of one key domain below one relay', () => {
  it('what they have in common crosses the backbone once, and is stored once; P7', async () => {
    const { kit, oslo } = await shop(noise('the key of the shop', 32));
    const most = COMMON + MACHINES * (OWN + OVERHEAD);
    const crossed = kit.fleet.blockBytesFrom('shop');
    assert.ok(crossed >= COMMON && crossed < most, `${crossed} bytes crossed, at most ${most} needed`);
    const { bytes } = await kit.finish(oslo.running!.depot.usage());
    assert.ok(bytes < most, `${bytes} bytes stored`);
  });

  it('each with a domain of its own, everything crosses for each', async () => {
    const { kit } = await shop(null);
    assert.ok(kit.fleet.blockBytesFrom('shop') > MACHINES * COMMON);
  });
});
