import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noise } from '../../test/support/depot-kit.ts';
import { jobOf, NEVER } from '../../test/support/fleet-kit.ts';
import { OPEN, RelayKit } from '../../test/support/relay-kit.ts';
import type { SealedBlock } from '../format/block.ts';
import { copiesOf } from '../ledger/copies.ts';
import type { BlockId } from '../model/ids.ts';
import { HOUR_MS } from '../model/time.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { AgentMachine, CenterMachine } from '../sim/machines.ts';

const COMMON = 100_000;
const OWN = 5_000;
/** For each machine: tree and refs pages, and what messages cost. */
const OVERHEAD = 8_000;

interface Shop {
  readonly kit: RelayKit;
  readonly oslo: CenterMachine;
  /** How often each block went over the backbone, from the shop to oslo. */
  readonly crossings: ReadonlyMap<BlockId, number>;
}

async function* counted(
  blocks: AsyncIterable<SealedBlock>,
  crossings: Map<BlockId, number>,
): AsyncGenerator<SealedBlock> {
  for await (const block of blocks) {
    crossings.set(block.id, (crossings.get(block.id) ?? 0) + 1);
    yield block;
  }
}

/** A shop full of machines that have most of what they store in common, and take their backups at the same moment. */
async function shop(machines: number, domainKey: Uint8Array | null): Promise<Shop> {
  const kit = new RelayKit();
  const crossings = new Map<BlockId, number>();
  const meddle = (api: CenterApi): CenterApi => ({
    ...api,
    blocks: (order, sent) => api.blocks(order, counted(sent, crossings)),
  });
  // At first all of it gathers in the shop; an hour later it is sent on, one snapshot after another (S46).
  const oslo = await kit.center('oslo', { streams: 4, windows: '13:00-16:00' });
  const relay = await kit.relay('shop', [oslo], { conditions: { ...OPEN, streams: 4 }, meddle });
  const agents: AgentMachine[] = [];
  for (let at = 0; at < machines; at++) {
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
  await kit.pass(2 * HOUR_MS);
  for (const {
    agent,
    taken: { signed },
  } of taken) {
    const [copy] = await kit.finish(copiesOf(agent.running!.parts.ledger.db, signed.id));
    assert.equal(copy?.phase, 'safe', agent.name);
  }
  return { kit, oslo, crossings };
}

describe('many machines of one key domain below one relay', () => {
  it('what fifty of them have in common crosses the backbone once, and is stored once; P7', async () => {
    const machines = 50;
    const { kit, oslo, crossings } = await shop(machines, noise('the key of the shop', 32));
    const most = COMMON + machines * (OWN + OVERHEAD);
    const crossed = kit.fleet.blockBytesFrom('shop');
    assert.ok(crossed >= COMMON && crossed < most, `${crossed} bytes crossed, at most ${most} needed`);
    assert.ok(crossings.size > machines, 'each has something of its own');
    assert.deepEqual(new Set(crossings.values()), new Set([1]), 'no block went twice');
    const { bytes } = await kit.finish(oslo.running!.depot.usage());
    assert.ok(bytes < most, `${bytes} bytes stored`);
  });

  it('each with a domain of its own, everything crosses for each', async () => {
    const { kit } = await shop(6, null);
    assert.ok(kit.fleet.blockBytesFrom('shop') > 6 * COMMON);
  });
});
