import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertIsTree, noise, type SimulatedRig, simulatedRig } from '../../test/backup/rig.ts';

const MINUTE = { for: 60_000 };
const SIZES = { small: 700, large: 60_000 };

async function withFile(size: number): Promise<SimulatedRig> {
  const setup = await simulatedRig();
  setup.node.files.write('/home/before', noise('before', 500));
  setup.node.files.write('/home/file', noise('file', size));
  setup.node.files.write('/home/later', noise('later', 500));
  await setup.simulation.run(MINUTE);
  return setup;
}

for (const [kind, size] of Object.entries(SIZES)) {
  test(`a ${kind} file that changes once while it is read is read again, and stored as it became`, async () => {
    const setup = await withFile(size);
    let changes = 0;
    setup.node.files.beforeRead('/home/file', () => {
      if (changes++ === 0) setup.node.files.writeAt('/home/file', 10, 'changed');
    });
    const { signed, problems, counts } = await setup.rig.take();
    await assertIsTree(setup, signed);
    assert.deepEqual([problems.length, counts.problems], [0, 0]);
    assert.equal(
      (await setup.rig.entries(signed)).get('/home/file')!.unsettled,
      true,
      'it has only just changed',
    );
  });

  test(`a ${kind} file that never stops changing is stored, told, and read again next time`, async () => {
    const setup = await withFile(size);
    let changes = 0;
    setup.node.files.beforeRead('/home/file', () => {
      setup.node.files.writeAt('/home/file', 10, `changed ${changes++}`);
      setup.node.files.touch('/home/file', BigInt(changes));
    });
    const { signed, problems, counts } = await setup.rig.take();
    assert.deepEqual(
      problems.map(({ code, path, severity }) => [code, path, severity]),
      [['changed-while-read', '/home/file', 'note']],
    );
    assert.equal(counts.problems, 0);
    const entry = (await setup.rig.entries(signed)).get('/home/file')!;
    assert.equal(entry.unsettled, true);
    assert.equal((await setup.rig.content(entry)).length, size);
    const attempts = setup.rig.opened.filter((path) => path === '/home/file').length;
    assert.equal(attempts, setup.node.limits.torn_read_attempts);
    setup.node.files.beforeRead('/home/file', null);
    await setup.simulation.run(MINUTE);
    const second = await setup.rig.take();
    await assertIsTree(setup, second.signed);
    assert.equal((await setup.rig.entries(second.signed)).get('/home/file')!.unsettled, false);
    await setup.rig.assertBaseRule();
  });

  test(`a ${kind} file that grows for ever is read to the size that it had at first`, async () => {
    const setup = await withFile(size);
    setup.node.files.beforeRead('/home/file', () =>
      setup.node.files.append('/home/file', noise('more', 1000)),
    );
    const { signed } = await setup.rig.take();
    const entry = (await setup.rig.entries(signed)).get('/home/file')!;
    assert.ok(entry.size >= size && entry.size < size + 100_000);
    const content = await setup.rig.content(entry);
    assert.equal(content.length, entry.size);
    assert.ok(Buffer.from(setup.node.files.read('/home/file').subarray(0, entry.size)).equals(content));
  });

  test(`a ${kind} file that becomes shorter while it is read is covered to its size all the same`, async () => {
    const setup = await withFile(size);
    setup.node.files.beforeRead('/home/file', () => {
      const now = setup.node.files.stat('/home/file').size;
      setup.node.files.truncate('/home/file', Math.max(100, now - 50));
    });
    const { signed, problems } = await setup.rig.take();
    const entry = (await setup.rig.entries(signed)).get('/home/file')!;
    assert.equal((await setup.rig.content(entry)).length, entry.size);
    assert.equal(entry.unsettled, true);
    assert.equal(problems[0]!.code, 'changed-while-read');
  });

  test(`a ${kind} file that vanishes before it is opened is a note, and no entry`, async () => {
    const setup = await withFile(size);
    setup.node.files.beforeRead('/home/before', () => setup.node.files.remove('/home/file'));
    setup.node.faults.inject({ kind: 'files.open', path: '/home/file', error: 'ENOENT' });
    const { signed, problems, counts } = await setup.rig.take();
    assert.deepEqual(
      problems.map(({ code, severity }) => [code, severity]),
      [['vanished', 'note']],
    );
    assert.equal(counts.problems, 0);
    assert.ok(!(await setup.rig.entries(signed)).has('/home/file'));
  });

  test(`a ${kind} file that cannot be opened or read is an error, is counted, and the rest goes on`, async () => {
    for (const fault of ['files.open', 'files.read']) {
      const setup = await withFile(size);
      await setup.rig.take();
      setup.node.files.touch('/home/file');
      await setup.simulation.run(MINUTE);
      setup.node.faults.inject({ kind: fault, path: '/home/file', times: Infinity, error: 'EIO' });
      const { signed, problems, counts, complete } = await setup.rig.take();
      assert.deepEqual(
        problems.map(({ code, path, severity }) => [code, path, severity]),
        [['source-unreadable', '/home/file', 'error']],
      );
      assert.deepEqual([counts.problems, counts.files, complete], [1, 2, true]);
      assert.deepEqual(
        [...(await setup.rig.entries(signed)).keys()],
        ['/home', '/home/before', '/home/later'],
      );
      await setup.rig.assertBaseRule();
    }
  });

  test(`a ${kind} file that becomes something else before it is opened is never followed`, async () => {
    const setup = await withFile(size);
    setup.node.files.write('/etc/shadow', 'secret');
    // The listing of /home has been made when the first file is read.
    setup.node.files.beforeRead('/home/before', () => {
      if (setup.node.files.stat('/home/file').type !== 'file') return;
      setup.node.files.remove('/home/file');
      setup.node.files.symlink('/home/file', '/etc/shadow');
    });
    setup.node.files.write('/home/0', noise('first', size));
    const { signed } = await setup.rig.take();
    const entry = (await setup.rig.entries(signed)).get('/home/file');
    if (entry !== undefined) assert.equal(entry.type === 'symlink' || entry.size === size, true);
    assert.ok(!setup.rig.opened.includes('/etc/shadow'));
  });
}

test('a file is unsettled if it was read within seconds of its own time, and then read again', async () => {
  const setup = await simulatedRig();
  const { files } = setup.node;
  files.write('/home/old', noise('old', 500));
  files.write('/home/old-empty', '');
  await setup.simulation.run(MINUTE);
  files.write('/home/new', noise('new', 500));
  files.write('/home/new-large', noise('large', 30_000));
  files.write('/home/new-empty', '');
  await setup.simulation.run({ for: 1000 });
  files.write('/home/touched', noise('touched', 500));
  const nanos = BigInt(setup.node.now) * 1_000_000n;
  files.touch('/home/touched', nanos - 3_600_000_000_000n);
  const first = await setup.rig.take();
  const unsettled = [...(await setup.rig.entries(first.signed))].filter(([, entry]) => entry.unsettled);
  assert.deepEqual(
    unsettled.map(([path]) => path),
    ['/home/new', '/home/new-empty', '/home/new-large', '/home/touched'],
  );
  await setup.simulation.run(MINUTE);
  setup.rig.opened.length = 0;
  const second = await setup.rig.take();
  assert.deepEqual(setup.rig.opened.toSorted(), ['/home/new', '/home/new-large', '/home/touched']);
  assert.ok([...(await setup.rig.entries(second.signed)).values()].every((entry) => !entry.unsettled));
  setup.rig.opened.length = 0;
  await setup.rig.take();
  assert.deepEqual(setup.rig.opened, []);
});

test('a time far in the future does not make a file be read every night', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/home/a', noise('a', 500));
  setup.node.files.touch('/home/a', 9_000_000_000_000_000_000n);
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  setup.rig.opened.length = 0;
  assert.equal((await setup.rig.take()).unchanged, 1);
});

test('a file with an older time than the base saw is read: times are compared for equality', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/home/a', noise('new', 500));
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  await setup.simulation.run(MINUTE);
  const { mtime } = setup.node.files.stat('/home/a');
  setup.node.files.write('/home/a', noise('old', 500));
  setup.node.files.touch('/home/a', mtime - 1_000_000_000_000n);
  await setup.simulation.run(MINUTE);
  await assertIsTree(setup, (await setup.rig.take()).signed);
});

test('a file whose modification time was set back after a change is read: its change time tells', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/home/a', noise('old', 500));
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  await setup.simulation.run(MINUTE);
  const { mtime } = setup.node.files.stat('/home/a');
  setup.node.files.write('/home/a', noise('new', 500));
  setup.node.files.touch('/home/a', mtime);
  await setup.simulation.run(MINUTE);
  await assertIsTree(setup, (await setup.rig.take()).signed);
});

test('many files that fail amid their reading leave nothing open and nothing behind', async () => {
  const setup = await simulatedRig({ lanes: 2 });
  for (let i = 10; i < 30; i++) {
    setup.node.files.write(`/home/bad${i}`, noise(i, 70_000));
    const skip = i % 4;
    setup.node.faults.inject({ kind: 'files.read', path: `bad${i}`, skip, times: Infinity });
  }
  setup.node.files.write('/home/good', noise('good', 70_000));
  await setup.simulation.run(MINUTE);
  const { signed, counts } = await setup.rig.take();
  assert.equal(counts.problems, 20);
  const entries = await setup.rig.entries(signed);
  assert.deepEqual([...entries.keys()], ['/home', '/home/good']);
  assert.ok(Buffer.from(noise('good', 70_000)).equals(await setup.rig.content(entries.get('/home/good')!)));
});

test('not too many files are open at once', async () => {
  const setup = await simulatedRig();
  for (let i = 0; i < 300; i++) setup.node.files.write(`/home/${i}`, noise(i, 20));
  await setup.rig.take();
  assert.ok(setup.rig.mostOpen > 4 && setup.rig.mostOpen <= 17, String(setup.rig.mostOpen));
});
