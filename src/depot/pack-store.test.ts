import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Disk } from '../world/ports.ts';
import { newNode } from '../../test/support/depot-kit.ts';
import { DirectoryPackStore } from './pack-store.ts';

interface Watched {
  readonly disk: Disk;
  /** Files that are open for reading now, and the most there ever were. */
  readonly open: { now: number; most: number; ever: number };
}

/** A simulated disk with `count` files of one byte in `/packs`. @param closing what each close waits for */
async function watched(count: number, closing: Promise<void> | null = null): Promise<Watched> {
  const real = newNode().boot().disk;
  await real.makeDirectory('/packs');
  for (let number = 0; number < count; number++) {
    const file = await real.create(`/packs/${number}`);
    await file.write(Uint8Array.of(number));
    await file.close();
  }
  const open = { now: 0, most: 0, ever: 0 };
  const disk = new Proxy(real, {
    get(target, name: keyof Disk) {
      if (name !== 'openRead') return target[name].bind(target);
      return async (path: string) => {
        const file = await target.openRead(path);
        open.ever++;
        open.most = Math.max(open.most, ++open.now);
        return {
          size: () => file.size(),
          read: (position: number, length: number) => file.read(position, length),
          close: async () => {
            await closing;
            open.now--;
            await file.close();
          },
        };
      };
    },
  });
  return { disk, open };
}

test('a file is opened once for many reads, and all are closed in the end', async () => {
  const { disk, open } = await watched(3);
  const store = new DirectoryPackStore(disk, '/packs');
  const reads = Array.from({ length: 30 }, (_, at) => store.read(String(at % 3), 0, 1));
  assert.deepEqual((await Promise.all(reads)).map(([byte]) => byte).slice(0, 4), [0, 1, 2, 0]);
  assert.deepEqual(open, { now: 3, most: 3, ever: 3 });
  await store.close();
  assert.equal(open.now, 0);
});

test('however many packs there are, few stay open', async () => {
  const { disk, open } = await watched(100);
  const store = new DirectoryPackStore(disk, '/packs');
  for (let round = 0; round < 2; round++) {
    for (let number = 0; number < 100; number++) {
      assert.deepEqual([...(await store.read(String(number), 0, 1))], [number]);
    }
  }
  assert.ok(open.most <= 33, `${open.most} were open`);
  await Promise.all(Array.from({ length: 100 }, (_, number) => store.read(String(number), 0, 1)));
  assert.ok(open.now <= 32, `${open.now} are open`);
  await store.close();
  assert.equal(open.now, 0);
});

test('a pack that is removed under its readers is closed by the last of them', async () => {
  const { disk, open } = await watched(1);
  const store = new DirectoryPackStore(disk, '/packs');
  const reads = [store.read('0', 0, 1), store.read('0', 0, 1)];
  await store.remove(['0', 'never-was']);
  await Promise.allSettled(reads);
  assert.equal(open.now, 0);
  await assert.rejects(store.read('0', 0, 1), { code: 'not-found' });
  assert.equal(await store.size('0'), null);
  assert.deepEqual(await store.list(), []);
});

test('nobody who removes packs waits until the system has closed them, and the store does', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { disk, open } = await watched(2, promise);
  const store = new DirectoryPackStore(disk, '/packs');
  await Promise.all([store.read('0', 0, 1), store.read('1', 0, 1)]);
  await store.remove(['0', '1']);
  assert.deepEqual([await store.list(), open.now], [[], 2]);
  const closed = store.close().then(() => open.now);
  resolve();
  assert.equal(await closed, 0);
});
