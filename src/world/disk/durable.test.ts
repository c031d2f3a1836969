import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import { realDisk } from './disk.ts';
import { isTemporary, readWhole, sweepTemporary, writeDurably } from './durable.ts';
import { SimulatedNode } from '../../sim/node.ts';
import { Simulation } from '../../sim/simulation.ts';
import type { Disk } from '../ports.ts';

let directory = '';
before(async () => (directory = await mkdtemp(join(tmpdir(), 'lowtide-durable-'))));
after(() => rm(directory, { recursive: true }));

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Notes what is called, and fails where it is told to. */
function watchedDisk(fails: (call: string) => boolean = () => false): { disk: Disk; calls: string[] } {
  const calls: string[] = [];
  const note = async (call: string): Promise<void> => {
    calls.push(call);
    if (fails(call)) throw new LowtideError('disk-failed', call);
  };
  const disk = realDisk();
  return {
    calls,
    disk: {
      ...disk,
      create: async (path) => {
        await note('create');
        const file = await disk.create(path);
        return {
          write: (...pieces) => note('write').then(() => file.write(...pieces)),
          position: () => file.position(),
          truncate: (length) => file.truncate(length),
          sync: () => note('sync').then(() => file.sync()),
          close: () => file.close().then(() => note('close')),
        };
      },
      rename: (from, to) => note('rename').then(() => disk.rename(from, to)),
      syncDirectory: (path) => note('syncDirectory').then(() => disk.syncDirectory(path)),
    },
  };
}

test('bytes are synced before they get their name, and the name is synced last', async () => {
  const { disk, calls } = watchedDisk();
  await writeDurably(disk, `${directory}/order`, bytes('x'));
  assert.deepEqual(calls, ['create', 'write', 'sync', 'close', 'rename', 'syncDirectory']);
});

test('whatever fails before the rename, the old content stays and no temporary file', async () => {
  await writeDurably(realDisk(), `${directory}/kept`, bytes('old'));
  for (const failing of ['create', 'write', 'sync', 'close', 'rename']) {
    const { disk } = watchedDisk((call) => call === failing);
    await assert.rejects(writeDurably(disk, `${directory}/kept`, bytes('new')), { message: failing });
    assert.equal(Buffer.from(await readWhole(disk, `${directory}/kept`, 10)).toString(), 'old');
    assert.deepEqual((await readdir(directory)).filter(isTemporary), [], failing);
  }
});

test('a failed sync of the directory is an error', async () => {
  const { disk } = watchedDisk((call) => call === 'syncDirectory');
  await assert.rejects(writeDurably(disk, `${directory}/unsure`, bytes('x')), { message: 'syncDirectory' });
});

test('writers of one path at once leave one whole content', async () => {
  const path = `${directory}/contested`;
  const contents = Array.from({ length: 20 }, (_, at) => `${at}`.repeat(1000));
  await Promise.all(contents.map((content) => writeDurably(realDisk(), path, bytes(content))));
  assert.ok(contents.includes(Buffer.from(await readWhole(realDisk(), path, 10_000)).toString()));
  assert.deepEqual((await readdir(directory)).filter(isTemporary), []);
});

test('writers of one path at once do not fail, whatever their order', async () => {
  for (let seed = 0; seed < 50; seed++) {
    const node = new SimulatedNode(new Simulation({ seed }), { name: 'node' });
    const { disk } = node.boot();
    await disk.makeDirectory('/store');
    const writers = ['one', 'two', 'three'].map((text) =>
      writeDurably(disk, '/store/contested', bytes(text)),
    );
    await node.simulation.finish(Promise.all(writers));
    assert.deepEqual(
      (await node.simulation.finish(disk.list('/store'))).map(({ name }) => name),
      ['contested'],
    );
  }
});

test('what a crash left does not hinder, and a sweep takes that and nothing else', async () => {
  const inner = `${directory}/swept`;
  const disk = realDisk();
  await disk.makeDirectory(inner);
  await writeFile(`${inner}/.state.0.tmp`, 'half');
  await writeFile(`${inner}/.state.1.tmp`, 'half');
  for (const name of ['state.0.tmp', '.state.tmp', '.state.0', 'x.tmp'])
    await writeFile(`${inner}/${name}`, '');
  await disk.makeDirectory(`${inner}/.directory.0.tmp`);
  await writeDurably(disk, `${inner}/state`, bytes('whole'));
  assert.equal(await sweepTemporary(disk, inner), 2);
  assert.deepEqual((await readdir(inner)).sort(), [
    '.directory.0.tmp',
    '.state.0',
    '.state.tmp',
    'state',
    'state.0.tmp',
    'x.tmp',
  ]);
  assert.equal(await sweepTemporary(disk, `${directory}/no`), 0);
});

test('a file larger than expected is not read', async () => {
  await writeFile(`${directory}/large`, 'x'.repeat(11));
  await assert.rejects(readWhole(realDisk(), `${directory}/large`, 10), (error) =>
    isLowtideError(error, 'too-large'),
  );
  assert.equal((await readWhole(realDisk(), `${directory}/large`, 11)).length, 11);
  await assert.rejects(readWhole(realDisk(), `${directory}/no`, 10), (error) =>
    isLowtideError(error, 'not-found'),
  );
});

test('a path that names no file is the caller’s mistake', async () => {
  await assert.rejects(writeDurably(realDisk(), 'relative', bytes('')), TypeError);
  await assert.rejects(writeDurably(realDisk(), `${directory}/`, bytes('')), TypeError);
});
