import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertIsTree, noise, type SimulatedRig, simulatedRig } from '../../test/backup/rig.ts';
import { checkManifest, openManifestDetails } from '../format/manifest.ts';
import { refusedAs } from '../format/test-support.ts';
import { pathKeyOf } from '../model/paths.ts';

/** A key, not a path: its last name is not UTF-8. */
const NOT_UTF8 = 'home\0bytes\0\xff\xfe';

/** Long enough for everything to be settled. */
const MINUTE = { for: 60_000 };

/** One of each kind, with names, sizes and times that make trouble. */
function everything({ node }: Pick<SimulatedRig, 'node'>): void {
  const { files } = node;
  const sizes = [0, 1, 16, 17, 1023, 1024, 1025, 4096, 5000, 16_384, 16_385, 100_000];
  for (const size of sizes) files.write(`/home/sizes/${size}`, noise(size, size));
  files.write('/home/same/one', noise('same', 3000));
  files.write('/home/same/two', noise('same', 3000));
  files.write('/home/same/zeros', new Uint8Array(70_000));
  files.write(NOT_UTF8, 'not UTF-8');
  files.write('/home/bytes/new\nline', 'x');
  files.makeDirectory('/home/empty');
  files.symlink('/home/links/to', '../same/one');
  files.symlink('/home/links/dangling', '/no/such');
  files.special('/home/special/fifo', 'fifo');
  files.special('/home/special/socket', 'socket');
  files.special('/home/special/null', 'character-device', { major: 1, minor: 3 });
  files.special('/home/special/disk', 'block-device', { major: 259, minor: 70_000 });
  files.chmod('/home/same/two', 0o4751);
  files.chown('/home/same/two', 4_000_000_000, 12);
  files.touch('/home/same/two', -1_500_000_001n);
  files.touch('/home/same/one', 253_402_300_800_123_456_789n);
  files.writeAt('/home/sparse', 300_000, 'end');
  files.writeAt('/home/sparse', 100_000, 'middle');
  files.truncate('/home/sparse', 400_000);
  files.write(`/home/deep${'/d'.repeat(100)}/x`, 'deep');
  for (let i = 0; i < 150; i++) files.write(`/home/wide/${i}`, noise(i, 100));
}

test('everything of a tree is in the snapshot, exactly', async () => {
  const setup = await simulatedRig();
  everything(setup);
  await setup.simulation.run(MINUTE);
  const { signed, counts, complete } = await setup.rig.take();
  await assertIsTree(setup, signed);
  await setup.rig.assertBaseRule();
  assert.equal(complete, true);
  assert.equal(counts.problems, 0);
  const entries = [...(await setup.rig.entries(signed)).values()];
  const files = entries.filter(({ type }) => type === 'file');
  assert.equal(counts.files, files.length);
  assert.equal(counts.directories, entries.filter(({ type }) => type === 'directory').length);
  assert.equal(counts.others, 6);
  assert.equal(
    counts.bytes,
    files.reduce((sum, { size }) => sum + size, 0),
  );
  assert.deepEqual(
    [signed.manifest.tree.entries, signed.manifest.tree.bytes],
    [entries.length, counts.bytes],
  );
});

test('nothing but regular files is opened, each once', async () => {
  const setup = await simulatedRig();
  everything(setup);
  await setup.simulation.run(MINUTE);
  const { counts } = await setup.rig.take();
  const { opened } = setup.rig;
  assert.equal(new Set(opened).size, opened.length);
  // The empty one is not opened.
  assert.equal(opened.length, counts.files - 1);
  for (const path of opened)
    assert.equal(
      setup.node.files.stat(path.includes('\\xff') ? NOT_UTF8 : path.replace('\\x0a', '\n')).type,
      'file',
    );
});

test('a run in which nothing changed opens no file, looks nothing up and stores no block', async () => {
  const setup = await simulatedRig();
  everything(setup);
  await setup.simulation.run(MINUTE);
  const first = await setup.rig.take();
  await setup.simulation.run(MINUTE);
  setup.rig.opened.length = 0;
  const operations: string[] = [];
  setup.simulation.observe(({ kind }) => void operations.push(kind));
  const second = await setup.rig.take();
  assert.deepEqual(setup.rig.opened, []);
  assert.deepEqual(setup.rig.storedTypes(setup.rig.taken[1]!), []);
  assert.deepEqual(
    operations.filter((kind) => kind === 'database.open'),
    [],
  );
  assert.equal(second.unchanged, first.counts.files);
  assert.deepEqual([second.storedBlocks, second.storedBytes], [0, 0]);
  assert.deepEqual(second.signed.manifest.tree, first.signed.manifest.tree);
  assert.deepEqual(second.signed.manifest.refs, first.signed.manifest.refs);
  assert.equal(second.signed.manifest.base, first.signed.id);
});

test('one changed file among many stores its own block and a handful of pages', async () => {
  const setup = await simulatedRig();
  for (let i = 0; i < 800; i++) setup.node.files.write(`/home/d${i % 20}/${i}`, noise(i, 60));
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  await setup.simulation.run(MINUTE);
  setup.node.files.write('/home/d17/57', noise('other', 700));
  await setup.simulation.run(MINUTE);
  setup.rig.opened.length = 0;
  const { signed } = await setup.rig.take();
  assert.deepEqual(setup.rig.opened, ['/home/d17/57']);
  const types = setup.rig.storedTypes(setup.rig.taken[1]!);
  assert.equal(types.filter((type) => type === 'data').length, 1);
  assert.ok(types.length < 30, types.join(' '));
  await assertIsTree(setup, signed);
  await setup.rig.assertBaseRule();
});

test('a change of mode, owner or time alone stores no content', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/home/a', noise('a', 700));
  setup.node.files.write('/home/b', noise('b', 700));
  await setup.simulation.run(MINUTE);
  await setup.rig.take();
  setup.node.files.chmod('/home/a', 0o600);
  setup.node.files.chown('/home/b', 7, 8);
  await setup.simulation.run(MINUTE);
  const { signed } = await setup.rig.take();
  assert.ok(!setup.rig.storedTypes(setup.rig.taken[1]!).includes('data'));
  await assertIsTree(setup, signed);
});

test('several roots, and another set of roots the next time', async () => {
  const setup = await simulatedRig({ roots: ['/etc', '/home/ann', '/var/log/one'] });
  const { files } = setup.node;
  for (const path of ['/etc/hosts', '/home/ann/a', '/home/bob/b', '/var/log/one', '/var/log/two']) {
    files.write(path, noise(path, 500));
  }
  await setup.simulation.run(MINUTE);
  await assertIsTree(setup, (await setup.rig.take()).signed);
  const { signed, unchanged } = await setup.rig.take({ roots: ['/home', '/etc'].map(pathKeyOf) });
  const paths = [...(await setup.rig.entries(signed)).keys()];
  assert.deepEqual(paths, [
    '/etc',
    '/etc/hosts',
    '/home',
    '/home/ann',
    '/home/ann/a',
    '/home/bob',
    '/home/bob/b',
  ]);
  assert.equal(unchanged, 2);
  await setup.rig.assertBaseRule();
});

test('the manifest says what was taken, and is signed', async () => {
  const setup = await simulatedRig();
  setup.node.files.write('/home/a', 'x');
  setup.node.files.write('/home/secret', noise('s', 500));
  setup.node.faults.inject({ kind: 'files.open', path: 'secret', error: 'EACCES' });
  const startedAt = setup.node.now;
  const labels = { client: 'Ann', roots: ['/home'] };
  const { signed } = await setup.rig.take({ labels, excludes: ['*.o'] });
  checkManifest(signed, setup.rig.signingKey.publicKey);
  assert.deepEqual(signed.manifest.labels, labels);
  assert.deepEqual([signed.manifest.takenAt, signed.manifest.counts.problems], [startedAt, 1]);
  const details = openManifestDetails(setup.rig.keyStore, signed.manifest);
  assert.deepEqual(details.roots, ['home']);
  assert.deepEqual(details.excludes, ['*.o']);
  assert.equal(details.partialUntil, null);
  assert.deepEqual(
    details.problems.map(({ path, code }) => [path, code]),
    [['home\0secret', 'source-unreadable']],
  );
  const kept = await setup.rig.depot.manifest(signed.id);
  assert.deepEqual(Buffer.from(kept.bytes), Buffer.from(signed.bytes));
});

test('many problems are all counted, and as many told as fit', async () => {
  const setup = await simulatedRig();
  for (let i = 0; i < 1200; i++) setup.node.files.write(`/home/${'long name '.repeat(20)}${i}`, noise(i, 40));
  setup.node.files.write('/home/ok', 'x');
  setup.node.faults.inject({ kind: 'files.open', path: 'long name', error: 'EACCES', times: Infinity });
  const { signed, counts, problems } = await setup.rig.take();
  assert.equal(counts.problems, 1200);
  assert.equal(problems.length, 1000);
  assert.equal(setup.simulation.recorder.problems().length, 1200);
  const details = openManifestDetails(setup.rig.keyStore, signed.manifest);
  assert.ok(details.problems.length > 50 && details.problems.length < 1000, String(details.problems.length));
  assert.deepEqual([...(await setup.rig.entries(signed)).keys()], ['/home', '/home/ok']);
});

test('a root that is missing, or suddenly empty, fails the job and commits nothing', async () => {
  const setup = await simulatedRig({ roots: ['/home', '/mnt/disk'] });
  setup.node.files.write('/home/a', noise('a', 500));
  await assert.rejects(setup.rig.take(), refusedAs('source-missing'));
  setup.node.files.write('/mnt/disk/b', noise('b', 500));
  await setup.rig.take();
  setup.node.files.remove('/mnt/disk/b');
  await assert.rejects(setup.rig.take(), refusedAs('source-empty'));
  setup.node.files.remove('/mnt/disk');
  await assert.rejects(setup.rig.take(), refusedAs('source-missing'));
  const manifests = await Array.fromAsync(setup.rig.depot.manifests());
  assert.equal(manifests.length, 1);
  setup.node.files.makeDirectory('/mnt/disk/only/directories');
  assert.equal((await setup.rig.take()).complete, true);
});

test('stopped in the middle: the error says so, nothing is committed, and the next run is none the worse', async () => {
  const setup = await simulatedRig();
  for (let i = 0; i < 600; i++) setup.node.files.write(`/home/${i}`, noise(i, 300));
  setup.node.files.write('/home/x-large', noise('large', 300_000));
  await setup.simulation.run(MINUTE);
  for (const path of ['/home/399', '/home/x-large']) {
    const stop = new AbortController();
    setup.node.files.beforeRead(path, () => stop.abort());
    await assert.rejects(setup.rig.take({}, stop.signal), refusedAs('interrupted'));
    setup.node.files.beforeRead(path, null);
    assert.deepEqual(await Array.fromAsync(setup.rig.depot.manifests()), []);
    await setup.rig.depot.dropGroup(setup.rig.plan().dataGroup);
    await setup.rig.depot.dropGroup(setup.rig.plan().metaGroup);
  }
  await assertIsTree(setup, (await setup.rig.take()).signed);
});

test('a full disk fails the job, commits nothing, and the next run is none the worse', async () => {
  const setup = await simulatedRig();
  everything(setup);
  await setup.simulation.run(MINUTE);
  const full = setup.node.faults.inject({
    kind: 'disk.write',
    path: '/spool/packs',
    skip: 3,
    times: Infinity,
    error: 'ENOSPC',
  });
  await assert.rejects(setup.rig.take(), refusedAs('disk-full'));
  assert.ok(full.hits > 0);
  full.lift();
  assert.deepEqual(await Array.fromAsync(setup.rig.depot.manifests()), []);
  await setup.rig.depot.dropGroup(setup.rig.plan().dataGroup);
  await assertIsTree(setup, (await setup.rig.take()).signed);
});
