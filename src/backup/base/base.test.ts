import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertIsTree, noise, type SimulatedRig, simulatedRig } from '../../../test/backup/rig.ts';
import { parseBlockHeader } from '../../format/block.ts';
import { refusedAs } from '../../format/test-support.ts';
import { LowtideError } from '../../model/errors.ts';
import type { BlockId } from '../../model/ids.ts';

const MINUTE = { for: 60_000 };

/** A snapshot whose pages can be made unreadable. */
async function withBase(): Promise<SimulatedRig & { readonly lost: Set<BlockId> }> {
  const setup = await simulatedRig();
  for (let i = 100; i < 120; i++) setup.node.files.write(`/home/${i}`, noise(i, 300));
  setup.node.files.write('/home/m-large', noise('large', 200_000));
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  const lost = new Set<BlockId>();
  const { depot } = setup.rig;
  const read = depot.read.bind(depot);
  const damaged = new LowtideError('damaged-block', 'a block is damaged');
  depot.read = async function* (ids, stop) {
    for (const id of ids) if (lost.has(id)) yield { id, error: damaged };
    yield* read(
      ids.filter((id) => !lost.has(id)),
      stop,
    );
  };
  depot.readOne = async (id) => {
    for await (const found of depot.read([id])) {
      if ('bytes' in found) return found.bytes;
      throw found.error;
    }
    throw damaged;
  };
  return { ...setup, lost };
}

async function blocksOfType(setup: SimulatedRig, type: string): Promise<BlockId[]> {
  const max = setup.node.limits.block_bytes_max;
  return setup.rig.added
    .filter(({ bytes }) => parseBlockHeader(bytes, max).type === type)
    .map(({ id }) => id);
}

test('a page of the base that cannot be read costs reading its files again, nothing else', async () => {
  const pages = await blocksOfType(await withBase(), 'tree');
  assert.ok(pages.length > 8);
  for (const at of pages.keys()) {
    const setup = await withBase();
    setup.lost.add(pages[at]!);
    await setup.simulation.run(MINUTE);
    setup.rig.opened.length = 0;
    const { signed, counts } = await setup.rig.take();
    setup.lost.clear();
    await assertIsTree(setup, signed);
    assert.equal(counts.problems, 0);
    const notes = setup.simulation.recorder.problems();
    assert.deepEqual(
      notes.map(({ code, severity }) => [code, severity]),
      [['damaged-page', 'note']],
    );
    const stored = setup.rig.addedBy(setup.rig.taken[1]!.plan).map(({ id }) => id);
    const needed = await setup.rig.refs(signed);
    assert.equal(stored.includes(pages[at]!), needed.includes(pages[at]!), 'the page is stored again');
  }
});

test('a base whose refs cannot be read is refused: without a base the job goes on', async () => {
  const setup = await withBase();
  for (const id of await blocksOfType(setup, 'refs')) setup.lost.add(id);
  await assert.rejects(setup.rig.take(), refusedAs('damaged-block'));
  assert.equal((await setup.rig.take({ base: null })).complete, true);
  setup.lost.clear();
  await setup.rig.assertBaseRule();
});

test('small changes far apart do not wait for each other: a run of chunks ends after so many records', async () => {
  const setup = await simulatedRig();
  for (let i = 1000; i < 1600; i++) setup.node.files.write(`/home/${i}`, noise(i, 20));
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  for (const name of ['0-first', '1299-middle', '9-last'])
    setup.node.files.write(`/home/${name}`, noise(name, 90));
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  const types = setup.rig.storedTypes(setup.rig.taken[1]!);
  assert.equal(types.filter((type) => type === 'data').length, 3);
  await setup.rig.assertBaseRule();
});

test('an unchanged base is read a batch of pages at a time, each page once, and opened by threads', async () => {
  const setup = await simulatedRig();
  for (let i = 1000; i < 1600; i++) setup.node.files.write(`/home/${i}`, noise(i, 20));
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  const pages = await blocksOfType(setup, 'tree');
  const batches: (readonly BlockId[])[] = [];
  const { depot } = setup.rig;
  const read = depot.read.bind(depot);
  depot.read = (ids, stop) => {
    batches.push(ids);
    return read(ids, stop);
  };
  await setup.simulation.run(MINUTE);
  const { unchanged } = await setup.rig.take();
  assert.equal(unchanged, 600);
  const asked = batches.flat();
  assert.deepEqual(asked.filter((id) => pages.includes(id)).sort(), pages.toSorted());
  // A page here has some four children: production's has hundreds.
  assert.ok(batches.length < pages.length / 2, `${batches.length} batches for ${pages.length} pages`);
});
