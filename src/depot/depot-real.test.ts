import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { limits } from '../model/limits.ts';
import { silentMonitor } from '../../test/support/monitor.ts';
import { realWorld } from '../world/real-world.ts';
import {
  block,
  blocks,
  idsOf,
  put,
  readAll,
  readIds,
  snapshotOf,
  testKeyring,
} from '../../test/support/depot-kit.ts';
import { Depot, META_GROUP } from './depot.ts';

/** A real world with a folder of its own. */
async function place(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'lowtide-depot-'));
  const world = realWorld({ monitor: silentMonitor, limits: { ...limits, pack_bytes: 1 << 20 } });
  t.after(async () => {
    await world.close();
    await rm(folder, { recursive: true });
  });
  return { world, path: join(folder, 'depot') };
}

test('on a real disk: write, reopen, read, compact, drop, verify, make the index anew', async (t) => {
  const { world, path } = await place(t);
  await Depot.create(world, path);
  const depot = await Depot.open(world, path, 'write');
  const list = blocks(60, 'real', 60_000);
  const built = await snapshotOf(list);
  await put(depot, 'run-1', list);
  await put(depot, 'shared', [...built.pages, ...list.slice(0, 10)]);
  await depot.putManifest(built.signed);
  await depot.putKeyring(testKeyring());
  assert.deepEqual((await depot.closure(built.signed)).missing, []);
  await depot.close();
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  await rm(join(path, 'index.db'));
  const again = await Depot.open(world, path, 'write');
  assert.deepEqual(await Array.fromAsync(again.verify({ data: true })), []);
  const reader = await Depot.open(world, path, 'read');
  assert.equal(readIds(await readAll(reader, idsOf(list))).length, 60);
  await again.dropGroup('run-1', new Set([list[20]!.id]));
  const alive = new Set(idsOf([...built.pages, list[1]!]));
  await again.compactGroup('shared', (id) => alive.has(id), { threshold: 1 });
  assert.deepEqual(
    readIds(await readAll(reader, idsOf(list))),
    [list[1]!.id, list[20]!.id].sort(),
    'a reader beside the writer',
  );
  assert.deepEqual(await again.groups(), [META_GROUP, 'shared']);
  const files = await readdir(join(path, 'packs'));
  assert.equal(files.length, (await again.usage()).packs);
  const live = await again.usage();
  await again.rebuildIndex();
  assert.deepEqual(await again.usage(), live);
  await reader.close();
  await again.close();
});

test('on a real disk: a second process is told who has the depot, and gets it when that one is killed', async (t) => {
  const { world, path } = await place(t);
  await Depot.create(world, path);
  const program = `
    import { Depot } from ${JSON.stringify(join(import.meta.dirname, 'depot.ts'))};
    import { block } from ${JSON.stringify(join(import.meta.dirname, '../../test/support/depot-kit.ts'))};
    import { realWorld } from ${JSON.stringify(join(import.meta.dirname, '../world/real-world.ts'))};
    const monitor = { event() {}, problem() {}, progress() {} };
    const depot = await Depot.open(realWorld({ monitor }), ${JSON.stringify(path)}, 'write');
    const writer = depot.writer('run-1');
    await writer.add(block('flushed'));
    await writer.flush();
    await writer.add(block('pending'));
    console.log('ready');
    setInterval(() => {}, 1000);
  `;
  const child = execFile(process.execPath, ['--input-type=module', '-e', program]);
  const died = new Promise((resolve) => child.once('exit', resolve));
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  await assert.rejects(Depot.open(world, path, 'write'), (error: Error & { code: string }) => {
    assert.equal(error.code, 'locked');
    assert.match(error.message, new RegExp(`process ${child.pid} since 20`));
    return true;
  });
  const reader = await Depot.open(world, path, 'read');
  assert.equal((await reader.has(null, idsOf([block('flushed')]))).size, 1);
  await reader.close();
  child.kill('SIGKILL');
  await died;
  const late = await Depot.open(world, path, 'read');
  assert.equal((await late.has(null, idsOf([block('flushed')]))).size, 1, 'a reader after the kill');
  await late.close();
  const depot = await Depot.open(world, path, 'write');
  const ids = idsOf([block('flushed'), block('pending')]);
  assert.deepEqual(await depot.has(null, ids), new Set([ids[0]!]));
  assert.deepEqual(await Array.fromAsync(depot.verify({ data: true })), []);
  await depot.close();
});
