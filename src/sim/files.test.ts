import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isLowtideError } from '../model/errors.ts';
import { pathKeyOf, ROOT_PATH } from '../model/paths.ts';
import { FileContent } from './file-content.ts';
import { SimulatedNode } from './node.ts';
import { crashAt } from './operations.ts';
import { Simulation } from './simulation.ts';

const START = Date.UTC(2026, 6, 1, 22);
const newNode = (): SimulatedNode =>
  new SimulatedNode(new Simulation({ seed: 1, start: START }), { name: 'ann' });
const nanos = (ms: number): bigint => BigInt(ms) * 1_000_000n;

test('content is like an array that grows with zeros, whatever is written, cut and read', () => {
  const change = fc.oneof(
    fc.record({ at: fc.nat(20_000), bytes: fc.uint8Array({ maxLength: 9000 }) }),
    fc.record({ cut: fc.nat(20_000) }),
  );
  fc.assert(
    fc.property(fc.nat(12_000), fc.array(change, { maxLength: 12 }), (generated, changes) => {
      const content = new FileContent({ seed: 1, size: generated });
      let expected: Uint8Array = new Uint8Array(generated);
      content.read(expected, 0);
      for (const step of changes) {
        const end = 'cut' in step ? step.cut : step.at + step.bytes.length;
        const size =
          'cut' in step ? end : step.bytes.length === 0 ? expected.length : Math.max(end, expected.length);
        const next = new Uint8Array(size);
        next.set(expected.subarray(0, size));
        if ('cut' in step) content.truncate(step.cut);
        else {
          if (step.bytes.length > 0) next.set(step.bytes, step.at);
          content.write(step.bytes, step.at);
        }
        expected = next;
      }
      assert.equal(content.size, expected.length);
      const read = new Uint8Array(expected.length);
      assert.equal(content.read(read, 0), read.length);
      assert.deepEqual(Buffer.compare(read, expected), 0);
      for (let at = 0, run = content.nextData(0); at < content.size; run = content.nextData(at)) {
        const hole = expected.subarray(at, run?.start ?? expected.length);
        assert.ok(hole.every((byte) => byte === 0));
        at = run?.end ?? expected.length;
      }
    }),
    { numRuns: 60 },
  );
});

test('generated content costs nothing, differs by seed and does not repeat', () => {
  const content = new FileContent({ seed: 1, size: 2 ** 42 });
  const read = (from: FileContent, position: number): string => {
    const bytes = Buffer.alloc(32);
    from.read(bytes, position);
    return bytes.toString('hex');
  };
  const places = [0, 1, 4096, 2 ** 32, 2 ** 34, 2 ** 41 + 7];
  assert.equal(new Set(places.map((at) => read(content, at))).size, places.length);
  assert.notEqual(read(new FileContent({ seed: 2, size: 32 }), 0), read(content, 0));
  assert.equal(read(content, 4096).slice(2), read(content, 4097).slice(0, 62));
  assert.deepEqual(content.nextData(5), { start: 5, end: 2 ** 42 });
});

test('the user’s changes take the machine’s time: mtime where content changes, ctime always', () => {
  const node = newNode();
  node.setClock(5000);
  node.files.write('/home/a', 'a');
  node.files.symlink('/home/l', 'a');
  assert.equal(node.files.stat('/home/a').mtime, nanos(START + 5000));
  node.setClock(6000);
  node.files.chmod('/home/a', 0o600);
  const { mode, mtime, ctime } = node.files.stat('/home/a');
  assert.deepEqual([mode, mtime, ctime], [0o600, nanos(START + 5000), nanos(START + 6000)]);
  node.files.touch('/home/a', 7n);
  assert.equal(node.files.stat('/home/a').mtime, 7n);
  node.setClock(7000);
  node.files.append('/home/a', 'b');
  assert.equal(Buffer.from(node.files.read('/home/a')).toString(), 'ab');
  const after = node.files.stat('/home/a');
  assert.deepEqual([after.mtime, after.ctime], [nanos(START + 7000), nanos(START + 7000)]);
  const before = node.files.stat('/home').mtime;
  node.setClock(8000);
  node.files.rename('/home/a', '/home/b');
  assert.ok(node.files.stat('/home').mtime > before);
  assert.deepEqual([node.files.stat('/home/b').inode, node.files.exists('/home/a')], [after.inode, false]);
});

test('a tree is listed with all that a restore must bring back', () => {
  const { files } = newNode();
  files.write('/home/ann/ä', 'hello');
  files.link('/home/ann/same', '/home/ann/ä');
  files.symlink('/home/ann/link', 'ä');
  files.special('/home/ann/fifo', 'fifo');
  files.special('/home/ann/null', 'character-device', { major: 1, minor: 3 });
  const hash = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
  const listed = files
    .tree('/home/ann')
    .map(({ path, type, content, target, device, sameAs }) =>
      [path, type, content, target, device, sameAs].filter((field) => field !== undefined).join(' '),
    );
  assert.deepEqual(listed, [
    '/ directory',
    '/fifo fifo',
    '/link symlink Ã¤',
    '/null character-device 1:3',
    `/same file 5 ${hash}`,
    `/ä file 5 ${hash} /same`,
  ]);
  const before = files.tree();
  assert.deepEqual(files.tree(), before);
  files.chmod('/home/ann/fifo', 0o600);
  assert.notDeepEqual(files.tree(), before);
});

test('a file may change, fail and be unreadable while it is backed up', async () => {
  const node = newNode();
  const { files } = node.boot();
  node.files.write('/home/a', 'x'.repeat(10));
  node.files.write('/home/secret', 'x');
  node.files.beforeRead('/home/a', (position) => {
    if (position === 5) node.files.write('/home/a', 'y'.repeat(10));
  });
  const source = await files.openSource(pathKeyOf('/home/a'));
  const before = await source.stat();
  const into = Buffer.alloc(10);
  await source.read(into.subarray(0, 5), 0);
  node.setClock(1);
  await source.read(into.subarray(5), 5);
  assert.equal(into.toString(), 'xxxxxyyyyy');
  assert.notEqual((await source.stat()).mtime, before.mtime);
  node.faults.inject({ kind: 'files.read', path: '/home/a' });
  await assert.rejects(source.read(into, 0), (error) => isLowtideError(error, 'source-unreadable'));
  node.faults.inject({ kind: 'files.', path: 'secret', error: 'EACCES', times: Infinity });
  const { entries, problems } = await files.scan(pathKeyOf('/home'));
  assert.deepEqual(
    [entries.map(({ name }) => name), problems.map(({ name, code }) => `${name} ${code}`)],
    [['a'], ['secret source-unreadable']],
  );
  await assert.rejects(files.openSource(pathKeyOf('/home/secret')), (error) =>
    isLowtideError(error, 'source-unreadable'),
  );
});

test('another file system has another device number, and what is made in it too', async () => {
  const node = newNode();
  node.files.mount('/mnt/usb');
  node.files.write('/mnt/usb/d/a', 'a');
  const { files } = node.boot();
  const device = async (path: string): Promise<bigint | undefined> =>
    (await files.lstat(pathKeyOf(path)))?.device;
  assert.equal(await device('/mnt'), (await files.lstat(ROOT_PATH))?.device);
  assert.notEqual(await device('/mnt/usb'), await device('/mnt'));
  assert.equal(await device('/mnt/usb/d/a'), await device('/mnt/usb'));
});

test('the user’s files belong to the state of a machine', () => {
  const node = newNode();
  node.files.write('/a', 'old');
  node.files.link('/b', '/a');
  const state = node.snapshotState();
  const before = node.files.tree();
  node.files.writeAt('/a', 1, 'new');
  node.files.write('/c', 'c');
  node.restoreState(state, { files: false });
  assert.equal(node.files.exists('/c'), true);
  node.restoreState(state);
  assert.deepEqual(node.files.tree(), before);
  assert.equal(node.files.stat('/a').links, 2);
});

test('a crash amid a restore leaves the file under its temporary name, or whole with its metadata, and the next sweeps', async () => {
  const left = new Set<string>();
  for (let index = 0; index < 6; index++) {
    const node = newNode();
    node.simulation.observe(crashAt(index, 'before'));
    const { files } = node.boot();
    const restore = async (): Promise<void> => {
      const target = await files.openTarget(pathKeyOf('/to'));
      const file = await target.createFile(pathKeyOf('/a'));
      await file.write(Buffer.from('he'), 0);
      await file.write(Buffer.from('llo'), 2);
      await file.finish(5, false, { type: 'file', mode: 0o751, mtime: 7n, uid: null, gid: null });
    };
    void restore();
    await node.simulation.settle();
    const found = node.files.tree('/').filter(({ type }) => type === 'file');
    const texts = found.map(({ path, content }) => `${path} ${content?.split(' ')[0]}`);
    left.add(texts.map((text, at) => `${text} ${found[at]!.mode.toString(8)}`).join());
    if (node.running) continue;
    await node.simulation.finish(node.boot().files.openTarget(pathKeyOf('/to')));
    assert.deepEqual(
      node.files
        .tree('/to')
        .map(({ path }) => path)
        .filter((path) => path.includes('.tmp')),
      [],
    );
  }
  const temporary = '/to/.lowtide-1-4.tmp';
  assert.deepEqual(
    [...left],
    ['', `${temporary} 0 600`, `${temporary} 2 600`, `${temporary} 5 600`, '/to/a 5 751'],
  );
});
