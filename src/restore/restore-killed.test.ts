/** Restores that are killed at any point, and what the same restore makes of what they left (faults I1, I3). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSnapshot, type EntrySpec } from '../../test/support/build-snapshot.ts';
import {
  foundIn,
  hashOf,
  restoreIn,
  type RestorePlace,
  simulatedPlace,
  targetOf,
} from '../../test/support/restore-places.ts';
import { encodeAttributes } from '../format/attributes.ts';
import { IMMUTABLE_FLAG } from '../model/entries.ts';
import { UNFINISHED_MODE } from '../world/target/ports.ts';

const contentsIn = async (place: RestorePlace): Promise<Record<string, string | undefined>> =>
  Object.fromEntries(
    [...(await foundIn(place, targetOf(place)))].map(([path, { content, type }]) => [path, content ?? type]),
  );

test('killed before any one of its operations, a restore goes on to the same end, flags included', async () => {
  const attributes = encodeAttributes({ xattrs: [], flags: IMMUTABLE_FLAG });
  const content = 'content '.repeat(1200);
  const specs: EntrySpec[] = [
    { path: 'd', type: 'directory', mode: 0o751, mtime: 77n },
    { path: 'd/a', content: 'a', extra: attributes },
    { path: 'd/b', content, mode: 0o640 },
    { path: 'd/c', content: '' },
    { path: 'd/l', content: 'linked', link: { fileSystem: 0, inode: 1n }, inode: 1n },
    { path: 'd/m', content: 'linked', link: { fileSystem: 0, inode: 1n }, inode: 1n },
  ];
  const snapshot = await buildSnapshot(specs);
  const expected: Record<string, string> = Object.fromEntries(
    specs.map(({ path, content: own }) => [
      path,
      own === undefined ? 'directory' : hashOf(Buffer.from(own as string)),
    ]),
  );
  let unfinished = 0;
  for (let kill = 1, over = false; !over; kill++) {
    const place = simulatedPlace();
    const node = place.node!;
    let [operations, killed, watching] = [0, false, true];
    node.simulation.observe(({ kind }) => {
      if (!watching || !kind.startsWith('files.') || ++operations !== kill) return;
      killed = true;
      node.stop();
    });
    const never = restoreIn(place, snapshot);
    await never.catch(() => undefined);
    watching = false;
    over = !killed;
    const again = killed ? { ...place, world: node.boot() } : place;
    for (const [path, { type, mode, content: found }] of await foundIn(again, targetOf(again))) {
      if (type !== 'file' || path.includes('.lowtide-')) continue;
      if (mode === UNFINISHED_MODE) unfinished++;
      else assert.equal(found, expected[path], `${path}, killed before operation ${kill}`);
    }
    assert.equal((await restoreIn(again, snapshot)).complete, true);
    assert.deepEqual(await contentsIn(again), expected, `killed before operation ${kill}`);
    const flags = node.files.tree('/place/target').find(({ path }) => path === '/d/a')?.flags;
    assert.equal(flags, IMMUTABLE_FLAG, `killed before operation ${kill}`);
    await place.dispose();
  }
  assert.ok(unfinished > 0);
});
