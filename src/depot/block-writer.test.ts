import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SealedBlock } from '../format/block.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { SimulatedNode } from '../sim/node.ts';
import type { World } from '../world/ports.ts';
import {
  block,
  blocks,
  DEPOT,
  errorsOf,
  idsOf,
  newDepot,
  newNode,
  readAll,
  snapshotOf,
} from '../../test/support/depot-kit.ts';
import type { BlockWriter } from './block-writer.ts';
import { Depot } from './depot.ts';

async function addAll(writer: BlockWriter, list: readonly SealedBlock[]): Promise<void> {
  for (const one of list) await writer.add(one);
}

const packsOf = (node: SimulatedNode): string[] => node.disk.paths().filter((path) => path.endsWith('.pack'));

async function assertHeld(depot: Depot, list: readonly SealedBlock[]): Promise<void> {
  assert.deepEqual(await depot.has(null, idsOf(list)), new Set(idsOf(list)));
  assert.deepEqual(errorsOf(await readAll(depot, idsOf(list))), new Map());
}

/** Loses power in the unluckiest way and opens the depot again. */
async function afterCrash(node: SimulatedNode): Promise<Depot> {
  node.crash('lose');
  return await Depot.open(node.boot(), DEPOT, 'write');
}

for (const kind of ['disk.sync', 'disk.write', 'disk.create', 'database.commit']) {
  test(`after a failed ${kind} the blocks go into a new pack`, async () => {
    const node = newNode();
    const depot = await newDepot(node.boot());
    const writer = depot.writer('shared');
    const [first, second] = [blocks(3, 'first'), blocks(3, 'second')];
    if (kind !== 'disk.create') await addAll(writer, first);
    await writer.flush();
    const path = kind === 'database.commit' ? 'index.db' : '.pack';
    const fault = node.faults.inject({ kind, path });
    await addAll(writer, second);
    assert.deepEqual(await writer.flush(), idsOf(second));
    assert.equal(fault.hits, 1);
    await assertHeld(depot, second);
    const again = await afterCrash(node);
    await assertHeld(again, kind === 'disk.create' ? second : [...first, ...second]);
    assert.deepEqual(await Array.fromAsync(again.verify({ data: true })), []);
  });
}

/** Durable, in a pack that is open still. */
async function threeBlocksIn(depot: Depot) {
  const writer = depot.writer('shared');
  const list = blocks(3);
  await addAll(writer, list);
  await writer.flush();
  return { writer, list };
}

test('a block found damaged in the pack that is being written is stored again, in another one', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const { writer, list } = await threeBlocksIn(depot);
  const [open] = packsOf(node);
  node.disk.corrupt(open!, node.disk.bytesOf(open!).length - 40, 0x40);
  const [damaged, ...others] = [...errorsOf(await readAll(depot, idsOf(list))).keys()];
  assert.deepEqual(others, []);
  const size = node.disk.bytesOf(open!).length;

  await addAll(writer, list);
  assert.deepEqual(await writer.flush(), idsOf(list));
  await assertHeld(depot, list);
  const [first, second, ...more] = packsOf(node);
  assert.deepEqual([first, more], [open, []]);
  const length = list.find(({ id }) => id === damaged)!.bytes.length;
  assert.ok(node.disk.bytesOf(second!).length < length * 2, 'only what was damaged is written again');
  assert.ok(node.disk.bytesOf(open!).length >= size);
  await assertHeld(await afterCrash(node), list);
});

test('a pack whose sync failed is never synced again', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const writer = depot.writer('shared');
  const synced: string[] = [];
  node.simulation.observe(({ kind, detail }) => {
    if (kind === 'disk.sync' && detail.includes('.pack')) synced.push(detail);
    return undefined;
  });
  node.faults.inject({ kind: 'disk.sync', path: '.pack' });
  await addAll(writer, blocks(3));
  await writer.flush();
  assert.equal(synced.length, 2);
  assert.notEqual(synced[0], synced[1]);
  await assertHeld(await afterCrash(node), blocks(3));
  assert.equal(synced.length, 2);
});

test('a commit that came through although it failed leaves an index that is true', async () => {
  const node = newNode();
  const world = node.boot();
  let armed = false;
  const open: World['databases']['open'] = async (path) => {
    const connection = await world.databases.open(path);
    return {
      async execute(text, parameters) {
        const result = await connection.execute(text, parameters);
        if (!armed || text !== 'COMMIT') return result;
        armed = false;
        throw new LowtideError('disk-failed', 'the journal could not be synced');
      },
      close: () => connection.close(),
    };
  };
  const depot = await newDepot({ ...world, databases: { ...world.databases, open } });
  const writer = depot.writer('shared');
  await addAll(writer, blocks(2, 'first'));
  await writer.flush();
  await addAll(writer, blocks(2, 'second'));
  armed = true;
  assert.deepEqual(await writer.flush(), idsOf(blocks(2, 'second')));
  assert.ok(!armed);
  assert.deepEqual(await Array.fromAsync(depot.verify({ data: true })), []);
  const again = await afterCrash(node);
  await assertHeld(again, [...blocks(2, 'first'), ...blocks(2, 'second')]);
  assert.deepEqual(await Array.fromAsync(again.verify({ data: true })), []);
});

test('a second failure is told, nothing is half indexed, and the next flush tries again', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const writer = depot.writer('shared');
  const list = blocks(3);
  const fault = node.faults.inject({ kind: 'disk.sync', path: '.pack', times: 2 });
  await addAll(writer, list);
  await assert.rejects(writer.flush(), { code: 'disk-failed' });
  assert.equal(fault.hits, 2);
  assert.equal((await depot.has(null, idsOf(list))).size, 0);
  assert.deepEqual(packsOf(node), [], 'packs without anything durable are removed');
  assert.deepEqual(await writer.flush(), idsOf(list));
  await assertHeld(await afterCrash(node), list);
});

test('a full disk is told, what was durable stays, and with new space the rest follows', async () => {
  const node = newNode({ sectorBytes: 512 });
  const depot = await newDepot(node.boot());
  const writer = depot.writer('shared');
  const [early, late] = [blocks(3, 'early'), blocks(40, 'late')];
  await addAll(writer, early);
  await writer.flush();
  node.disk.leaveFree(4096);
  await assert.rejects(
    async () => {
      await addAll(writer, late);
      await writer.flush();
    },
    { code: 'disk-full' },
  );
  await assertHeld(depot, early);
  assert.equal((await depot.has(null, idsOf(late))).size, 0);
  node.disk.leaveFree(0);
  await assert.rejects(depot.putManifest((await snapshotOf(early)).signed), { code: 'disk-full' });
  assert.deepEqual(await Array.fromAsync(depot.manifests()), []);
  node.disk.capacity = 2 ** 40;
  await addAll(writer, late);
  await writer.finish();
  await assertHeld(await afterCrash(node), [...early, ...late]);
});

test('a disk that fills up at any write or commit leaves a depot that opens and tells the truth', async () => {
  const list = blocks(30);
  let full = 0;
  for (const kind of ['disk.write', 'database.commit', 'disk.create']) {
    for (let skip = 0; skip < 8; skip++) {
      const node = newNode({}, `${kind}${skip}`);
      const depot = await newDepot(node.boot());
      const fault = node.faults.inject({ kind, skip, times: Infinity, error: 'ENOSPC' });
      const writer = depot.writer('shared');
      const durable: string[] = [];
      const work = async (): Promise<void> => {
        for (const one of list) {
          await writer.add(one);
          if (writer.bytes % 3 === 0) durable.push(...(await writer.flush()));
        }
        durable.push(...(await writer.flush()));
      };
      const failed = await work().catch((error: unknown) => error);
      assert.equal(isLowtideError(failed, 'disk-full'), fault.hits > 0);
      full += fault.hits > 0 ? 1 : 0;
      const fresh = newNode({}, 'fresh');
      fresh.restoreState(node.stateAfterCrash('lose'));
      const again = await Depot.open(fresh.boot(), DEPOT, 'write');
      const had = await again.has(null, idsOf(list));
      assert.deepEqual(
        durable.filter((id) => !had.has(id as never)),
        [],
      );
      assert.deepEqual(await Array.fromAsync(again.verify({ data: true })), []);
    }
  }
  assert.ok(full > 10, `${full} runs met a full disk`);
});

test('abandon keeps what was durable and gives the rest back', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const writer = depot.writer('run-1');
  const [kept, lost] = [blocks(3, 'kept'), blocks(3, 'lost')];
  await addAll(writer, kept);
  await writer.flush();
  await addAll(writer, lost);
  await writer.abandon();
  await writer.abandon();
  await assert.rejects(writer.add(block('late')), TypeError);
  await assertHeld(depot, kept);
  assert.equal((await depot.has(null, idsOf(lost))).size, 0);
  assert.equal(node.disk.bytesOf(packsOf(node)[0]!).length, (await depot.usage()).bytes);
  const never = depot.writer('run-2');
  await never.add(block('never'));
  await never.abandon();
  assert.deepEqual(await depot.groups(), ['run-1']);
});

test('closing the depot abandons its writers', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const writer = depot.writer('run-1');
  await writer.add(block('one'));
  await writer.flush();
  await writer.add(block('two'));
  await depot.close();
  const again = await Depot.open(node.boot(), DEPOT, 'write');
  await assertHeld(again, [block('one')]);
  assert.equal((await again.has(null, [block('two').id])).size, 0);
});

test('one sync a group, whatever the number of blocks', async () => {
  const node = newNode();
  const world = node.boot();
  const depot = await newDepot(world);
  const writer = depot.writer('shared');
  let syncs = 0;
  node.simulation.observe(({ kind, detail }) => {
    if (kind === 'disk.sync' && detail.includes('.pack')) syncs++;
    return undefined;
  });
  await addAll(writer, blocks(400, 'small', 200));
  await writer.finish();
  assert.ok(syncs <= Math.ceil(writer.bytes / world.limits.flush_bytes) + 1, `${syncs} syncs`);
  assert.ok(syncs >= 2);
});

test('add makes whole groups durable, and flush names everything since the last one', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const writer = depot.writer('shared');
  const list = blocks(40);
  await addAll(writer, list);
  assert.deepEqual(await writer.flush(), idsOf(list));
  assert.deepEqual(await writer.flush(), []);
  await assertHeld(await afterCrash(node), list);
});

test('what add made durable is told at once, each block once, in order', async () => {
  const node = newNode();
  const world = node.boot();
  const depot = await newDepot(world);
  const writer = depot.writer('shared');
  const list = blocks(60);
  const told: string[] = [];
  for (const one of list) {
    await writer.add(one);
    const durable = writer.takeDurable();
    assert.deepEqual(await depot.has(null, durable), new Set(durable));
    told.push(...durable);
  }
  assert.ok(told.length > 0, 'groups became durable meanwhile');
  assert.deepEqual([...told, ...(await writer.flush())], idsOf(list));
  assert.deepEqual(writer.takeDurable(), []);
});

test('a group that failed is not told of before it has become durable after all', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const writer = depot.writer('shared');
  const list = blocks(60);
  node.faults.inject({ kind: 'disk.sync', path: '.pack', times: 2 });
  const failures: unknown[] = [];
  const told: string[] = [];
  for (const one of list) {
    await writer.add(one).catch((error: unknown) => failures.push(error));
    const durable = writer.takeDurable();
    assert.deepEqual(await depot.has(null, durable), new Set(durable));
    told.push(...durable);
  }
  assert.equal(failures.length, 1);
  told.push(...(await writer.flush()));
  assert.deepEqual(told, idsOf(list));
});

test('a block added twice is stored once in a pack and named twice', async () => {
  const depot = await newDepot(newNode().boot());
  const writer = depot.writer('shared');
  const one = block('one');
  await addAll(writer, [one, one]);
  assert.deepEqual(await writer.flush(), [one.id, one.id]);
  await writer.add(one);
  assert.deepEqual(await writer.flush(), [one.id]);
  await writer.finish();
  assert.equal((await depot.usage()).blocks, 1);
});

test('bytes that are no whole block are refused, and the writer goes on', async () => {
  const depot = await newDepot(newNode().boot());
  const writer = depot.writer('shared');
  const good = block('good');
  for (const bytes of [good.bytes.subarray(1), good.bytes.subarray(0, -1), Buffer.alloc(0)]) {
    await assert.rejects(writer.add({ id: good.id, bytes }), { code: 'damaged-block' });
  }
  await writer.add(good);
  assert.deepEqual(await writer.flush(), [good.id]);
});

test('a trailer that cannot be written costs nothing', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const { writer, list } = await threeBlocksIn(depot);
  node.faults.inject({ kind: 'disk.write', path: '.pack' });
  await writer.finish();
  await assertHeld(depot, list);
  await depot.close();
  const world = node.boot();
  await world.disk.remove(`${DEPOT}/index.db`);
  await assertHeld(await Depot.open(world, DEPOT, 'write'), list);
});

test('many writers at once, each with its own packs', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const groups = ['run-1', 'run-2', 'shared', 'shared'];
  await Promise.all(
    groups.map(async (group, number) => {
      const writer = depot.writer(group);
      const list = blocks(20, `w${number}-`);
      await addAll(writer, list);
      assert.deepEqual(await writer.flush(), idsOf(list));
      await writer.finish();
    }),
  );
  const again = await afterCrash(node);
  for (const number of groups.keys()) await assertHeld(again, blocks(20, `w${number}-`));
  assert.deepEqual(await again.groups(), ['run-1', 'run-2', 'shared']);
  assert.throws(() => again.writer('Not a group'), TypeError);
});

test('bytes are given back when they are durable and not before, and are written again after a failed sync', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const writer = depot.writer('shared');
  const list = blocks(4, 'lent');
  let released = 0;
  for (const { id, bytes } of list) {
    const lent = Uint8Array.from(bytes);
    await writer.add({ id, bytes: lent }, () => {
      released++;
      lent.fill(0);
    });
  }
  await writer.add(list[0]!, () => released++);
  assert.equal(released, 1, 'only the block that was there already');
  const fault = node.faults.inject({ kind: 'disk.sync', path: '.pack' });
  await writer.flush();
  assert.equal(fault.hits, 1);
  assert.equal(released, 5);
  await assertHeld(depot, list);
});
