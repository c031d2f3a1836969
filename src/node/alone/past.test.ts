import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { realWorld, type TestWorld } from '../../../test/support/real-world.ts';
import type { BackupResult } from '../../backup/plan.ts';
import { tinyLimits } from '../../model/limits.ts';
import { pathKeyOf } from '../../model/paths.ts';
import type { World } from '../../world/ports.ts';
import { takeAlone } from './backup.ts';
import { initAlone, openAlone } from './alone.ts';

const NEVER = new AbortController().signal;

describe('P7: a backup into a depot with many snapshots', () => {
  let world: TestWorld;
  let depot: string;
  let note: string;
  let taken: BackupResult[];
  let manifestsRead: number;

  beforeEach(async () => {
    world = await realWorld({ ...tinyLimits });
    [depot, note] = [join(world.directory, 'depot'), join(world.directory, 'depot', 'newest.json')];
    await initAlone(world, depot, 'kueste');
    taken = [];
    for (const path of ['a', 'a', 'b', 'a', 'b', 'a']) taken.push(await take(path));
    manifestsRead = 0;
  });
  afterEach(() => world.dispose());

  async function take(path: string, name: string | null = null): Promise<BackupResult> {
    const folder = join(world.directory, path);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'file'), `${taken.length}`);
    const openRead: World['disk']['openRead'] = (file, again) => {
      if (file.includes('/manifests/')) manifestsRead++;
      return world.disk.openRead(file, again);
    };
    const counting = { ...world, disk: { ...world.disk, openRead } };
    const secret = { kind: 'passphrase', passphrase: 'kueste' } as const;
    const alone = await openAlone(counting, depot, secret, 'write');
    try {
      const request = { paths: [pathKeyOf(folder)], name, excludes: [], excludeCaches: false };
      const how = { oneFileSystem: false, level: 0, host: 'here', software: 'test' };
      return await takeAlone(counting, alone, { ...request, ...how }, NEVER);
    } finally {
      await alone.depot.close();
    }
  }

  const linkOf = ({ signed: { manifest } }: BackupResult): readonly unknown[] => [
    manifest.job,
    manifest.sequence,
    manifest.previous,
  ];
  const idOf = (number: number): string => taken[number]!.signed.id;
  const manifest = (number: number): string => join(depot, 'manifests', idOf(number));

  it('reads no more manifests than there are jobs', async () => {
    const next = await take('a');
    assert.deepEqual(linkOf(next), ['a', 5, idOf(5)]);
    assert.ok(manifestsRead <= 4, `${manifestsRead} of ${taken.length} were read`);
    assert.deepEqual(linkOf(await take('b')), ['b', 3, idOf(4)]);
  });

  it('goes on from what is there when a manifest is gone', async () => {
    rmSync(manifest(5));
    assert.deepEqual(linkOf(await take('a')), ['a', 4, idOf(3)]);
  });

  it('believes no note that does not fit', async () => {
    const told = JSON.parse(readFileSync(note, 'utf8')) as object;
    const newest = [idOf(0), '../../config', 5];
    const notes = ['', '{', 'null', '7', '{"snapshots":1}', JSON.stringify({ ...told, newest: 'all' })];
    for (const text of [...notes, JSON.stringify({ snapshots: 'x'.repeat(64), newest })]) {
      writeFileSync(note, text);
      const before = taken.length;
      taken.push(await take('a'));
      assert.deepEqual(linkOf(taken[before]!), ['a', before - 1, idOf(before - 1)], text);
    }
  });

  it('says each time that a manifest is damaged, and never goes on from it', async () => {
    writeFileSync(manifest(5), 'damaged');
    for (const previous of [3, 6]) {
      const { length } = world.monitor.problems;
      taken.push(await take('a'));
      assert.equal(linkOf(taken.at(-1)!)[2], idOf(previous));
      assert.equal(world.monitor.problems[length]?.code, 'damaged-manifest');
    }
  });

  it('finds the job of paths that it had before its newest snapshot', async () => {
    await take('b', 'a');
    assert.deepEqual(linkOf(await take('a'))[0], 'a');
    assert.equal(readdirSync(join(depot, 'manifests')).length, taken.length + 2);
  });
});
