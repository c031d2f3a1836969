import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLowtideError } from '../model/errors.ts';
import type { BlockId, SnapshotId } from '../model/ids.ts';
import type { CrashPolicy } from '../sim/disk-file.ts';
import type { NodeState, SimulatedNode } from '../sim/node.ts';
import type { World } from '../world/ports.ts';
import {
  type BuiltSnapshot,
  blocks,
  DEPOT,
  errorsOf,
  fakeSnapshotId,
  idsOf,
  newNode,
  readAll,
  snapshotOf,
  testKeyring,
} from '../../test/support/depot-kit.ts';
import { Depot, META_GROUP } from './depot.ts';

/** What the depot has acknowledged, and what it was asked to forget. */
interface Promised {
  /** A flush has answered with these. */
  blocks: BlockId[];
  manifests: SnapshotId[];
  /** Somebody has begun to delete these: they may be there or not. */
  givenUp: BlockId[];
  pinned: SnapshotId[];
}

const mine = blocks(26, 'mine');
const base = blocks(4, 'base');
const dead = blocks(6, 'dead');
const everything = [...mine, ...base, ...dead];

/** Every kind of change that a depot knows, in the order in which a node makes them. */
async function script(world: World, built: BuiltSnapshot, promised: Promised): Promise<void> {
  await Depot.create(world, DEPOT);
  const depot = await Depot.open(world, DEPOT, 'write');
  await depot.putKeyring(testKeyring());
  const run = depot.writer('run-1');
  const shared = depot.writer('shared');
  for (const [count, block] of mine.entries()) {
    await run.add(block);
    if (count === 12) promised.blocks.push(...(await run.flush()));
  }
  for (const block of [...dead, ...base]) await shared.add(block);
  promised.blocks.push(...(await shared.flush()), ...(await run.flush()));
  for (const page of built.pages) await run.add(page);
  await run.finish();
  await shared.finish();
  promised.blocks.push(...idsOf(built.pages));
  await depot.pin(built.signed.id, built.signed.manifest.refs);
  promised.pinned.push(built.signed.id);
  assert.deepEqual((await depot.closure(built.signed)).missing, []);
  await depot.putManifest(built.signed);
  promised.manifests.push(built.signed.id);
  await depot.unpin(built.signed.id);
  promised.givenUp.push(...idsOf(dead));
  const alive = new Set(idsOf(base));
  assert.ok((await depot.compactGroup('shared', (id) => alive.has(id), { threshold: 3 / 4 })) > 0);
  promised.givenUp.push(...idsOf(mine));
  await depot.dropGroup('run-1', new Set(idsOf(built.pages)));
  await depot.close();
}

interface Moment {
  readonly what: string;
  readonly promised: Promised;
  readonly states: { readonly policy: CrashPolicy; readonly state: NodeState }[];
}

const policies: readonly CrashPolicy[] = ['lose', 'keep', 'kill', 'draw', 'draw'];

/** Runs `work` once and keeps what a crash before each of its changes could leave. */
async function momentsOf(
  node: SimulatedNode,
  promised: Promised,
  work: () => Promise<void>,
  chosen = policies,
): Promise<Moment[]> {
  const moments: Moment[] = [];
  const record = (what: string): void => {
    const states = chosen.map((policy, variant) => ({
      policy,
      state: node.stateAfterCrash(policy, variant),
    }));
    moments.push({ what, promised: structuredClone(promised), states });
  };
  const end = node.simulation.observe(({ kind, detail, changes }) => {
    if (changes) record(`before ${kind} ${detail}`);
    return undefined;
  });
  await work();
  end();
  record('at the end');
  return moments;
}

function revived(state: NodeState, seed: string): SimulatedNode {
  const node = newNode({}, seed);
  node.restoreState(state);
  return node;
}

/** Everything acknowledged is there, and the index says nothing that is not true. */
async function checkPromises(depot: Depot, { blocks, manifests, givenUp }: Promised): Promise<void> {
  const gone = new Set(givenUp);
  const owed = blocks.filter((id) => !gone.has(id));
  const had = await depot.has(null, blocks);
  assert.deepEqual(
    owed.filter((id) => !had.has(id)),
    [],
    'acknowledged blocks are there',
  );
  const all = [...new Set([...blocks, ...idsOf(everything)])];
  const present = await depot.has(null, all);
  const reads = await readAll(depot, [...present]);
  assert.deepEqual(errorsOf(reads), new Map(), 'what the index names can be read');
  for (const id of manifests) assert.equal((await depot.manifest(id)).id, id);
  for await (const finding of depot.verify({ data: true, expect: () => 'manifest' })) {
    assert.fail(`${finding.path}: ${finding.what}`);
  }
}

test('whatever was acknowledged survives a crash at every operation, and recovery may crash too', async () => {
  const built = await snapshotOf(mine);
  const promised: Promised = { blocks: [], manifests: [], givenUp: [], pinned: [] };
  const node = newNode();
  const moments = await momentsOf(node, promised, () => script(node.boot(), built, promised));
  let recovered = 0;
  for (const [number, moment] of moments.entries()) {
    for (const { policy, state } of moment.states) {
      const where = `${policy} ${number} ${moment.what}`;
      const again = revived(state, where);
      try {
        const deeper = policy === 'lose' && number % 6 === 0;
        const opened = deeper
          ? await crashInRecovery(again, moment.promised)
          : await openOrNothing(again.boot());
        if (opened === null) assert.deepEqual(moment.promised.blocks, []);
        else await checkPromises(opened, moment.promised);
        if (opened !== null) recovered++;
        assert.deepEqual(again.simulation.recorder.records, [], 'a crash is no cause for alarm');
      } catch (error) {
        throw new Error(`crash ${where}`, { cause: error });
      }
    }
  }
  assert.ok(recovered > 300, `${recovered} recoveries`);
});

test('a crash that also costs the index loses nothing that was acknowledged', async () => {
  const built = await snapshotOf(mine);
  const promised: Promised = { blocks: [], manifests: [], givenUp: [], pinned: [] };
  const node = newNode();
  const work = (): Promise<void> => script(node.boot(), built, promised);
  let recovered = 0;
  for (const [number, moment] of (await momentsOf(node, promised, work, ['lose', 'draw'])).entries()) {
    for (const { policy, state } of moment.states) {
      const again = revived(state, `${number} ${policy}`);
      await again.boot().disk.remove(`${DEPOT}/index.db`);
      const opened = await openOrNothing(again.boot());
      if (opened === null) continue;
      await checkPromises(opened, moment.promised);
      recovered++;
    }
  }
  assert.ok(recovered > 100, `${recovered} recoveries`);
});

/** Opens the depot, crashing at each change that this makes; answers the depot that is open in the end. */
async function crashInRecovery(node: SimulatedNode, promised: Promised): Promise<Depot | null> {
  let depot: Depot | null = null;
  const work = async (): Promise<void> => void (depot = await openOrNothing(node.boot()));
  for (const moment of await momentsOf(node, promised, work, ['lose', 'kill'])) {
    for (const { policy, state } of moment.states) {
      const again = await openOrNothing(revived(state, `again ${policy} ${moment.what}`).boot());
      if (again !== null) await checkPromises(again, promised);
    }
  }
  return depot;
}

/** Null if the crash came before `create` was through. */
async function openOrNothing(world: World): Promise<Depot | null> {
  try {
    return await Depot.open(world, DEPOT, 'write');
  } catch (error) {
    if (!isLowtideError(error, 'not-a-depot')) throw error;
    await Depot.create(world, DEPOT);
    return null;
  }
}

test('the whole script leaves what is alive and nothing else', async () => {
  const built = await snapshotOf(mine);
  const node = newNode();
  await script(node.boot(), built, { blocks: [], manifests: [], givenUp: [], pinned: [] });
  const depot = await Depot.open(node.boot(), DEPOT, 'write');
  const here = await depot.has(null, [...idsOf(everything), ...idsOf(built.pages)]);
  assert.deepEqual([...here].sort(), [...idsOf(base), ...idsOf(built.pages)].sort());
  assert.deepEqual(await depot.groups(), [META_GROUP, 'shared']);
  const packs = node.disk.paths().filter((path) => path.endsWith('.pack'));
  assert.equal(packs.length, (await depot.usage()).packs);
  const sizes = packs.reduce((sum, path) => sum + node.disk.bytesOf(path).length, 0);
  assert.equal((await depot.usage()).bytes, sizes);
});

test('a pack that only memory has is durable before it is taken in', async () => {
  const node = newNode();
  const depot = await Depot.create(node.boot(), DEPOT).then(() => Depot.open(node.boot(), DEPOT, 'write'));
  const writer = depot.writer('shared');
  for (const block of mine) await writer.add(block);
  node.crashPolicy = 'kill';
  node.simulation.observe(({ kind, detail }) =>
    kind === 'disk.sync' && detail.includes('.pack') && node.incarnation?.number === 2
      ? 'crash-before'
      : undefined,
  );
  void writer.flush();
  await node.simulation.settle();
  assert.ok(!node.running);
  await node.boot().disk.remove(`${DEPOT}/index.db`);
  const taken = await Depot.open(node.boot(), DEPOT, 'write');
  const had = await taken.has(null, idsOf(mine));
  assert.ok(had.size > 0);
  node.crash('lose');
  const again = await Depot.open(node.boot(), DEPOT, 'write');
  assert.deepEqual(errorsOf(await readAll(again, [...had])), new Map());
});

test('a pin survives a crash until it is taken back', async () => {
  const node = newNode();
  await Depot.create(node.boot(), DEPOT);
  const { signed } = await snapshotOf(blocks(3));
  const depot = await Depot.open(node.boot(), DEPOT, 'write');
  await depot.pin(signed.id, signed.manifest.refs);
  await depot.pin(fakeSnapshotId('other'), signed.manifest.refs);
  node.crash('lose');
  const again = await Depot.open(node.boot(), DEPOT, 'write');
  assert.deepEqual(await again.pins(), [signed.id, fakeSnapshotId('other')].sort());
  await again.unpin(signed.id);
  assert.deepEqual(await again.pins(), [fakeSnapshotId('other')]);
});
