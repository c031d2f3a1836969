import assert from 'node:assert/strict';
import { it } from 'node:test';
import { openLeaving } from '../format/membership.ts';
import { createAuthority } from '../identity/authority.ts';
import {
  addCenter,
  createClientIdentity,
  loadClientIdentity,
  removeCenter,
} from '../identity/client-identity.ts';
import { listLeavings } from '../ledger/leavings.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { ErrorCode } from '../model/errors.ts';
import type { CenterId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { SimulatedNode } from '../sim/node.ts';
import { Simulation } from '../sim/simulation.ts';
import type { World } from '../world/ports.ts';
import { lastLeft, partFrom } from './word-of-leaving.ts';

const LEDGER = '/ledger.db';
const IDENTITY = '/identity';
/** When the machine joined, by a clock that was ahead of what it shows now. */
const JOINED = 4_000_000_000_000;

/** On a machine that has joined one relay: what `leave` does, and whether it has. */
class Leaving {
  readonly world: World;
  readonly node: CenterId;
  readonly told: Uint8Array[] = [];
  /** Looked at when the relay is told. */
  onTold: () => void = () => {};

  constructor(world: World, node: CenterId) {
    this.world = world;
    this.node = node;
  }

  async isJoined(): Promise<boolean> {
    return (await loadClientIdentity(this.world, IDENTITY)).centers.length > 0;
  }

  async words(): Promise<number[]> {
    const ledger = await Ledger.open(this.world, LEDGER);
    const words = await listLeavings(ledger.db);
    await ledger.close();
    for (const { node } of words) assert.equal(node, this.node);
    return words.map(({ at }) => at);
  }

  async leave(): Promise<ErrorCode | ''> {
    const { world, node } = this;
    const ledger = await Ledger.open(world, LEDGER);
    const identity = await loadClientIdentity(world, IDENTITY);
    const { client, instance: key } = identity;
    const api: Pick<CenterApi, 'left'> = {
      left: async (words) => {
        this.told.push(...words);
        this.onTold();
      },
    };
    const untold = await partFrom(
      { world, ledger, client, key },
      {
        node,
        joinedAt: JOINED,
        connect: async () => api as CenterApi,
        forget: async () => void (await removeCenter(world, IDENTITY, identity, node)),
      },
    );
    await ledger.close();
    return untold;
  }
}

async function joined(): Promise<{ machine: SimulatedNode; leaving: Leaving }> {
  const machine = new SimulatedNode(new Simulation({ seed: 1, interleave: 0 }), { name: 'ann' });
  const world = machine.boot();
  await world.disk.makeDirectory(IDENTITY);
  const { face, caHash, root } = await createAuthority(world, '/osaka', { name: 'osaka', kind: 'relay' });
  const identity = await createClientIdentity(world, IDENTITY);
  await addCenter(world, IDENTITY, identity, {
    face,
    centers: [],
    addresses: [{ host: 'osaka.lan', port: 7700 }],
    caHash,
    ca: root.certificate,
    chain: 'a pass',
    name: 'ann',
    role: 'agent',
    joinedAt: JOINED,
  });
  await (await Ledger.open(world, LEDGER)).close();
  return { machine, leaving: new Leaving(world, face.id) };
}

it('a crash at any point of leaving leaves a machine that has joined, or one that has left and can say so', async () => {
  const { machine, leaving } = await joined();
  const states: ReturnType<SimulatedNode['stateAfterCrash']>[] = [];
  let whenTold = Infinity;
  const keep = (): void => {
    for (const policy of ['lose', 'keep', 'kill', 'draw'] as const)
      states.push(machine.stateAfterCrash(policy, states.length));
  };
  const end = machine.simulation.observe(({ changes }) => {
    if (changes) keep();
    return undefined;
  });
  leaving.onTold = () => {
    whenTold = states.length;
    keep();
  };
  assert.equal(await leaving.leave(), '');
  end();
  let stayed = 0;
  for (const [at, state] of states.entries()) {
    const again = new SimulatedNode(new Simulation({ seed: at, interleave: 0 }), { name: 'ann' });
    again.restoreState(state);
    const after = new Leaving(again.boot(), leaving.node);
    if (await after.isJoined()) {
      stayed++;
      assert.ok(at < whenTold, 'nobody is told before it has happened');
      assert.equal(await after.leave(), '');
    }
    assert.equal(await after.isJoined(), false);
    assert.deepEqual(await after.words(), [JOINED]);
  }
  assert.ok(stayed > 0 && stayed < states.length);
});

it('F62: the word is never older than what it ends, and what is joined again never older than the word', async () => {
  const { leaving } = await joined();
  const { world, node } = leaving;
  assert.ok(world.clock.now() < JOINED, 'the clock was set back');
  const { client } = await loadClientIdentity(world, IDENTITY);
  assert.equal(await lastLeft(world, '/nowhere.db', client, node), null);
  assert.equal(await lastLeft(world, LEDGER, client, node), null);
  await leaving.leave();
  assert.equal(openLeaving(leaving.told[0]!).at, JOINED);
  assert.equal(await lastLeft(world, LEDGER, client, node), JOINED);
});
