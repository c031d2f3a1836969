import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertIsTree, noise, simulatedRig } from '../../../test/backup/rig.ts';
import { PerInode } from './hard-links.ts';

const MINUTE = { for: 60_000 };

test('the content of an inode is read once, and every name of it carries its extents', async () => {
  const setup = await simulatedRig();
  const { files } = setup.node;
  for (const size of [5, 700, 60_000]) {
    files.write(`/home/${size}/b`, noise(size, size));
    files.link(`/home/${size}/a`, `/home/${size}/b`);
    files.link(`/home/z/${size}`, `/home/${size}/b`);
  }
  await setup.simulation.run(MINUTE);
  const { signed } = await setup.rig.take();
  await assertIsTree(setup, signed);
  assert.deepEqual(setup.rig.opened.toSorted(), ['/home/5/a', '/home/60000/a', '/home/700/a']);
  const entries = await setup.rig.entries(signed);
  for (const size of [5, 700, 60_000]) {
    assert.deepEqual(entries.get(`/home/z/${size}`)!.extents, entries.get(`/home/${size}/a`)!.extents);
    assert.deepEqual(entries.get(`/home/z/${size}`)!.link, entries.get(`/home/${size}/a`)!.link);
  }
  await setup.simulation.run(MINUTE);
  setup.rig.opened.length = 0;
  assert.equal((await setup.rig.take()).unchanged, 9);
  assert.deepEqual(setup.rig.opened, []);
});

test('names outside the walk do no harm', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/other/a', noise('a', 2000));
  setup.node.files.link('/home/a', '/other/a');
  setup.node.files.link('/home/b', '/other/a');
  await setup.simulation.run(MINUTE);
  const { signed } = await setup.rig.take();
  await assertIsTree(setup, signed);
  assert.deepEqual(setup.rig.opened, ['/home/a']);
});

test('if the first name cannot be read, another one is', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/home/a', noise('a', 700));
  setup.node.files.link('/home/b', '/home/a');
  setup.node.files.link('/home/c', '/home/a');
  await setup.simulation.run(MINUTE);
  setup.node.faults.inject({ kind: 'files.open', path: '/home/a', error: 'EIO' });
  const { signed, counts } = await setup.rig.take();
  const entries = await setup.rig.entries(signed);
  assert.deepEqual([...entries.keys()], ['/home', '/home/b', '/home/c']);
  for (const name of ['b', 'c']) {
    const content = await setup.rig.content(entries.get(`/home/${name}`)!);
    assert.ok(Buffer.from(noise('a', 700)).equals(content));
  }
  assert.equal(counts.problems, 1);
});

test('an inode that changes between two of its names is read again', async () => {
  const setup = await simulatedRig();
  const { files } = setup.node;
  files.write('/home/a/1', noise('a', 700));
  files.link('/home/z/1', '/home/a/1');
  // So many names that the first one has been dealt with long before /home/z is listed.
  for (let i = 0; i < 2500; i++) files.write(`/home/m/${i % 100}/${i}`, '');
  for (let i = 0; i < 2500; i++) files.write(`/home/n${i % 100}/${i}`, '');
  await setup.simulation.run(MINUTE);
  setup.rig.before = (what, path) => {
    if (what === 'scan' && path === '/home/z') files.write('/home/z/1', noise('new', 900));
  };
  const { signed } = await setup.rig.take();
  const entries = await setup.rig.entries(signed);
  for (const [path, name, size] of [
    ['/home/a/1', 'a', 700],
    ['/home/z/1', 'new', 900],
  ] as const) {
    const entry = entries.get(path)!;
    assert.equal(entry.size, size);
    assert.ok(Buffer.from(noise(name, size)).equals(await setup.rig.content(entry)), path);
  }
});

test('file systems are numbered in walk order, so a new st_dev changes nothing', async () => {
  const setup = await simulatedRig();
  const { files } = setup.node;
  for (const place of ['one', 'two']) {
    files.write(`/home/${place}/a`, noise(place, 300));
    files.link(`/home/${place}/b`, `/home/${place}/a`);
  }
  files.mount('/home/two');
  await setup.simulation.run(MINUTE);
  const first = await setup.rig.take();
  const groups = async (): Promise<(number | undefined)[]> => {
    const entries = await setup.rig.entries(setup.rig.last!);
    return ['/home/one/a', '/home/two/a', '/home/two/b'].map((path) => entries.get(path)!.link?.fileSystem);
  };
  assert.deepEqual(await groups(), [0, 1, 1]);
  files.mount('/home/two');
  const second = await setup.rig.take();
  assert.deepEqual(second.signed.manifest.tree, first.signed.manifest.tree);
  files.mount('/home/two');
  await setup.rig.take({ oneFileSystem: true });
});

test('what is kept of an inode is forgotten with its last name, and bounded in number', () => {
  const kept = new PerInode<string>();
  assert.equal(kept.keep('1', 3, 'x'), true);
  assert.equal(kept.take('1'), 'x');
  assert.equal(kept.has('1'), true);
  assert.equal(kept.take('1'), 'x');
  assert.equal(kept.has('1'), false);
  assert.equal(kept.take('1'), undefined);
  let most = 0;
  while (kept.keep(`inode ${most}`, 2, 'x')) most++;
  assert.equal(most, 65_536);
});
