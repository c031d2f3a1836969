import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLowtideError } from '../model/errors.ts';
import type { Disk, WritableFile } from '../world/ports.ts';
import type { CrashPolicy } from './disk-file.ts';
import { SimulatedNode } from './node.ts';
import { Simulation } from './simulation.ts';

const POLICIES: CrashPolicy[] = ['kill', 'keep', 'lose', 'draw'];
const newNode = (seed = 1, sectorBytes = 4096): SimulatedNode =>
  new SimulatedNode(new Simulation({ seed }), { name: 'node', sectorBytes });
const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const content = (node: SimulatedNode, path: string): string =>
  Buffer.from(node.disk.bytesOf(path)).toString('latin1');

async function written(disk: Disk, path: string, text: string): Promise<WritableFile> {
  const file = await disk.create(path);
  await file.write(bytes(text));
  return file;
}

async function durable(disk: Disk, path: string, text: string): Promise<void> {
  await (await written(disk, path, text)).sync();
  await disk.syncDirectory(path.slice(0, path.lastIndexOf('/')) || '/');
}

/** What `describe` says after the crash, over many seeds. */
async function outcomes(
  workload: (disk: Disk, node: SimulatedNode) => Promise<void>,
  describe: (node: SimulatedNode) => string,
  options: { policy?: CrashPolicy; seeds?: number; sectorBytes?: number } = {},
): Promise<Set<string>> {
  const { policy = 'draw', seeds = 60, sectorBytes = 4096 } = options;
  const found = new Set<string>();
  for (let seed = 0; seed < seeds; seed++) {
    const node = newNode(seed, sectorBytes);
    await workload(node.boot().disk, node);
    node.crash(policy);
    found.add(describe(node));
  }
  return found;
}
const paths = (node: SimulatedNode): string => node.disk.paths().join(' ');
const sorted = (set: Set<string>): string[] => [...set].sort();

test('after sync and syncDirectory a file survives every policy', async () => {
  for (const policy of POLICIES) {
    const found = await outcomes(
      (disk) => durable(disk, '/a', 'hello'),
      (node) => `${paths(node)} ${content(node, '/a')}`,
      { policy },
    );
    assert.deepEqual([...found], ['/a hello']);
  }
});

test('a file whose name was not synced may vanish, synced or not', async () => {
  const found = await outcomes(async (disk) => (await written(disk, '/a', 'hello')).sync(), paths);
  assert.deepEqual(sorted(found), ['', '/a']);
});

test('unsynced bytes may be lost, kept, be zeros, or be cut, and nothing else', async () => {
  const found = await outcomes(
    async (disk) => {
      await disk.create('/a');
      await disk.syncDirectory('/');
      await (await disk.openAppend('/a')).write(bytes('hello'));
    },
    (node) => content(node, '/a'),
    { seeds: 300 },
  );
  assert.ok(found.has(''), 'lost');
  assert.ok(found.has('hello'), 'kept');
  assert.ok(found.has('\0\0\0\0\0'), 'size without data');
  assert.ok(found.has('hel'), 'cut');
  for (const text of found) assert.match(text, /^(h?e?l?l?o?|\0{0,5})$/);
});

test('any subset of unsynced sectors survives, of the size that sectors have', async () => {
  for (const sectorBytes of [512, 4096]) {
    const found = await outcomes(
      async (disk) => {
        await durable(disk, '/a', '');
        const file = await disk.openAppend('/a');
        await file.write(bytes('x'.repeat(3 * sectorBytes)));
        await file.truncate(3 * sectorBytes);
      },
      (node) => {
        const text = content(node, '/a');
        if (text.length < 3 * sectorBytes) return 'cut';
        return Array.from({ length: 3 }, (_, at) => {
          const sector = text.slice(at * sectorBytes, (at + 1) * sectorBytes);
          assert.equal(new Set(sector).size, 1, 'a sector is kept or lost as a whole');
          return sector.startsWith('x') ? 'x' : '0';
        }).join('');
      },
      { seeds: 400, sectorBytes },
    );
    assert.deepEqual(sorted(found), ['000', '00x', '0x0', '0xx', 'cut', 'x00', 'x0x', 'xx0', 'xxx']);
  }
});

test('what was synced before an append survives it, byte for byte', async () => {
  const found = await outcomes(
    async (disk) => {
      await durable(disk, '/a', 'synced,');
      await (await disk.openAppend('/a')).write(bytes('and more'));
    },
    (node) => content(node, '/a').slice(0, 7),
    { seeds: 100 },
  );
  assert.deepEqual([...found], ['synced,']);
});

test('an unsynced cut may or may not have happened', async () => {
  const found = await outcomes(
    async (disk) => {
      await durable(disk, '/a', 'hello');
      await (await disk.openAppend('/a')).truncate(2);
    },
    (node) => content(node, '/a'),
    { seeds: 300 },
  );
  assert.ok(found.has('hello') && found.has('he'));
  for (const text of found) assert.match(text, /^he(l?l?o?|\0{0,3})$/);
});

test('a removed name may come back with its file, until its directory is synced', async () => {
  const remove = async (disk: Disk): Promise<void> => {
    await durable(disk, '/a', 'hello');
    await disk.remove('/a');
  };
  assert.deepEqual(sorted(await outcomes(remove, paths)), ['', '/a']);
  const synced = async (disk: Disk): Promise<void> => {
    await remove(disk);
    await disk.syncDirectory('/');
  };
  assert.deepEqual([...(await outcomes(synced, paths))], ['']);
});

test('two unsynced renames survive in any combination, the later one without the first too', async () => {
  const found = await outcomes(async (disk) => {
    await durable(disk, '/a', '1');
    await durable(disk, '/b', '2');
    await disk.rename('/a', '/A');
    await disk.rename('/b', '/B');
  }, paths);
  assert.deepEqual(sorted(found), ['/A /B', '/A /b', '/B /a', '/a /b']);
});

test('a rename that replaces leaves the old file or the new one, never neither', async () => {
  const found = await outcomes(
    async (disk) => {
      await durable(disk, '/a', 'old');
      await (await written(disk, '/t', 'new')).sync();
      await disk.rename('/t', '/a');
    },
    (node) => content(node, '/a'),
  );
  assert.deepEqual(sorted(found), ['new', 'old']);
});

test('a rename may survive without the bytes that were not synced before it', async () => {
  const found = await outcomes(
    async (disk) => {
      await durable(disk, '/a', 'old');
      await written(disk, '/t', 'new');
      await disk.rename('/t', '/a');
      await disk.syncDirectory('/');
    },
    (node) => content(node, '/a'),
    { policy: 'lose' },
  );
  assert.deepEqual([...found], ['']);
});

test('a rename between directories is durable on a side only when that side is synced', async () => {
  const workload =
    (...synced: string[]) =>
    async (disk: Disk): Promise<void> => {
      await disk.makeDirectory('/from');
      await disk.makeDirectory('/to');
      await durable(disk, '/from/a', 'x');
      await disk.rename('/from/a', '/to/a');
      for (const path of synced) await disk.syncDirectory(path);
    };
  const policy = 'lose';
  assert.deepEqual([...(await outcomes(workload(), paths, { policy }))], ['/from/a']);
  assert.deepEqual([...(await outcomes(workload('/to'), paths, { policy }))], ['/from/a /to/a']);
  assert.deepEqual([...(await outcomes(workload('/from'), paths, { policy }))], ['']);
  assert.deepEqual([...(await outcomes(workload('/to', '/from'), paths, { policy }))], ['/to/a']);
  assert.deepEqual(sorted(await outcomes(workload(), paths)), ['/from/a', '/to/a']);
});

test('a file that a torn rename has left under two names is one file', async () => {
  const node = newNode();
  const { disk } = node.boot();
  await disk.makeDirectory('/to');
  await durable(disk, '/a', 'x');
  await disk.rename('/a', '/to/a');
  await disk.syncDirectory('/to');
  node.crash('lose');
  await (await node.boot().disk.openAppend('/a')).write(bytes('y'));
  assert.equal(content(node, '/to/a'), 'xy');
});

test('makeDirectory is durable when it resolves, with its parents', async () => {
  for (const policy of POLICIES) {
    const node = newNode();
    await node.boot().disk.makeDirectory('/a/b/c');
    node.crash(policy);
    assert.equal((await node.boot().disk.stat('/a/b/c'))?.kind, 'directory');
  }
});

test('a failed sync has lost the data: readers may see it until a crash, no later sync saves it', async () => {
  const seenBefore = new Set<string>();
  const found = await outcomes(
    async (disk, node) => {
      await durable(disk, '/a', 'old,');
      const file = await disk.openAppend('/a');
      node.faults.inject({ kind: 'disk.sync' });
      await file.write(bytes('lost'));
      await assert.rejects(file.sync(), (error) => isLowtideError(error, 'disk-failed'));
      await assert.rejects(file.sync(), (error) => isLowtideError(error, 'disk-failed'));
      seenBefore.add(content(node, '/a'));
      // Another descriptor of the same file: the kernel calls the pages clean and the sync good.
      await (await disk.openAppend('/a')).sync();
    },
    (node) => content(node, '/a'),
    { policy: 'keep' },
  );
  assert.deepEqual(sorted(seenBefore), ['old,', 'old,lost']);
  assert.deepEqual(sorted(found), ['old,', 'old,\0\0\0\0']);
});

test('a failed write may have written a beginning, and its file takes no more', async () => {
  const found = await outcomes(
    async (disk, node) => {
      const file = await disk.create('/a');
      node.faults.inject({ kind: 'disk.write' });
      await assert.rejects(file.write(bytes('he'), bytes('llo')), (error) =>
        isLowtideError(error, 'disk-failed'),
      );
      await assert.rejects(file.write(bytes('more')), (error) => isLowtideError(error, 'disk-failed'));
    },
    (node) => content(node, '/a'),
    { policy: 'kill' },
  );
  assert.deepEqual(sorted(found), ['', 'h', 'he', 'hel', 'hell', 'hello']);
});

test('a full disk keeps what fits, says disk-full, and has room again when something goes', async () => {
  const node = newNode();
  const { disk } = node.boot();
  await durable(disk, '/a', 'x'.repeat(10_000));
  assert.equal(node.disk.used, 12_288);
  node.disk.leaveFree(8192);
  assert.deepEqual(await disk.space('/'), { free: 8192, total: 20_480 });
  const file = await disk.create('/b');
  await assert.rejects(file.write(bytes('y'.repeat(9000))), (error) => isLowtideError(error, 'disk-full'));
  assert.equal((await disk.stat('/b'))?.size, 8192);
  assert.equal((await disk.space('/')).free, 0);
  await disk.remove('/b');
  await disk.remove('/a');
  assert.equal((await disk.space('/')).free, 20_480);
  node.crash('lose');
  assert.equal(node.disk.used, 12_288, 'the removal was not synced');
});

test('an injected fault strikes the nth matching operation as often as told', async () => {
  const node = newNode();
  const { disk } = node.boot();
  await durable(disk, '/a', 'hello');
  await durable(disk, '/b', 'hello');
  const fault = node.faults.inject({ kind: 'disk.read', path: '/a', skip: 1, times: 2 });
  const read = async (path: string): Promise<string> => {
    const file = await disk.openRead(path);
    return await file.read(0, 5).then(
      () => 'good',
      (error: unknown) => (isLowtideError(error) ? error.code : 'other'),
    );
  };
  const answers: string[] = [];
  for (const path of ['/a', '/b', '/a', '/a', '/a']) answers.push(await read(path));
  assert.deepEqual(answers, ['good', 'good', 'disk-failed', 'disk-failed', 'good']);
  assert.equal(fault.hits, 2);
  const full = node.faults.inject({ kind: 'disk.create', error: 'ENOSPC', times: Infinity });
  await assert.rejects(disk.create('/c'), (error) => isLowtideError(error, 'disk-full'));
  full.lift();
  await disk.create('/c');
});

test('a stored file may become another one, and a directory may be wiped: both for good', async () => {
  const node = newNode();
  const { disk } = node.boot();
  await disk.makeDirectory('/d/e');
  await durable(disk, '/d/e/a', 'x'.repeat(5000));
  await durable(disk, '/b', 'hello');
  node.disk.replace('/b', bytes('he'));
  node.disk.wipe('/d');
  assert.equal(node.disk.used, 4096);
  node.crash('lose');
  assert.deepEqual([paths(node), content(node, '/b')], ['/b', 'he']);
  assert.equal(await node.boot().disk.stat('/d'), null);
});

test('bits flip without anybody being told', async () => {
  const node = newNode();
  const { disk } = node.boot();
  await durable(disk, '/a', 'hello');
  node.disk.corrupt('/a', 1, 0x20);
  const file = await disk.openRead('/a');
  assert.equal(Buffer.from(await file.read(0, 5)).toString(), 'hEllo');
  node.crash('keep');
  assert.equal(content(node, '/a'), 'hEllo');
});
