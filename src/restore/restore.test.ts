import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { deriveDomainKeys, KeyStore } from '../format/domain-keys.ts';
import type { EntryType } from '../model/entries.ts';
import { tinyLimits } from '../model/limits.ts';
import { joinPath, type ByteName } from '../model/paths.ts';
import { buildSnapshot, type EntrySpec, pathKey } from '../../test/support/build-snapshot.ts';
import {
  everywhere,
  foundIn,
  hashOf,
  inPlace,
  ownerIn,
  realPlace,
  restoreIn,
  simulatedPlace,
  targetOf,
} from '../../test/support/restore-places.ts';

const bytes = (length: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, at) => (at * 31 + (at >> 8) * seed + seed) & 255));

const DIFFICULT = [
  '\u0001',
  '\n',
  ' ',
  '-rf',
  '...',
  'A',
  '\\x41',
  '\u00ff\u00fe',
  'x'.repeat(255),
  'a\u001b[m',
];
const TIMES = [
  -1n,
  -999_999_999_999_999_999n,
  0n,
  1n,
  1_700_000_000_987_654_321n,
  4_000_000_000_000_000_001n,
];

/** Every type and every kind of content, below two roots. */
function everything(owner: { uid: number; gid: number }): EntrySpec[] {
  const contents = [
    '',
    'short',
    bytes(100, 1),
    bytes(5000, 2),
    bytes(70_000, 3),
    [bytes(4096, 4), { hole: 1_000_000 }, bytes(10, 5), { hole: 500_000 }],
    [{ hole: 1_000_000 }],
  ];
  const specs: EntrySpec[] = [
    { path: 'home/ann', type: 'directory', mode: 0o750, mtime: 5n },
    { path: 'home/ann/link', type: 'symlink', target: '../\u00ff/nowhere', mode: 0o777, mtime: -7n },
    { path: 'home/ann/fifo', type: 'fifo', mode: 0o620 },
    { path: 'home/ann/empty', type: 'directory', mode: 0o500 },
    { path: 'home/ann/sticky', type: 'directory', mode: 0o1777 },
    { path: 'home/ann/set-id', content: 'run me', mode: 0o6755 },
    { path: 'srv', type: 'directory' },
    { path: 'srv/deep', type: 'directory', mode: 0o555 },
    { path: 'srv/deep/deeper', type: 'directory', mode: 0o555 },
    { path: 'srv/deep/deeper/file', content: bytes(3000, 9) },
    { path: 'srv/names', type: 'directory' },
    ...DIFFICULT.map((name): EntrySpec => ({
      path: `srv/names/${name}`,
      content: `called ${name}`.repeat(9),
    })),
    ...TIMES.map((mtime): EntrySpec => ({ path: `srv/at ${mtime}`, content: 'x', mtime })),
    ...contents.map((content, at): EntrySpec => ({ path: `srv/content ${at}`, content, mode: 0o600 + at })),
  ];
  return specs.map((spec) => ({ ...owner, ...spec }));
}

function contentOf({ content = '' }: EntrySpec): Uint8Array {
  if (typeof content === 'string') return Buffer.from(content, 'latin1');
  if (content instanceof Uint8Array) return content;
  return Buffer.concat(content.map((part) => (part instanceof Uint8Array ? part : Buffer.alloc(part.hole))));
}

everywhere('every type, name, time, mode and content is restored as it was (P2)', async (place) => {
  const specs = everything(ownerIn(place));
  const snapshot = await buildSnapshot(specs);
  const report = await restoreIn(place, snapshot);
  assert.deepEqual([report.problems, report.notes, report.complete], [[], [], true]);
  const found = await foundIn(place, targetOf(place));
  assert.equal(found.size, specs.length + 1);
  for (const spec of specs) {
    const made = found.get(spec.path)!;
    const type: EntryType = spec.type ?? 'file';
    assert.ok(made, spec.path);
    assert.equal(made.type, type, spec.path);
    assert.equal(made.mtime, spec.mtime ?? 1_600_000_000_123_456_789n, spec.path);
    assert.equal(made.target, spec.target);
    if (type !== 'symlink') assert.equal(made.mode, spec.mode ?? (type === 'directory' ? 0o755 : 0o644));
    if (type === 'file') assert.equal(made.content, hashOf(contentOf(spec)), spec.path);
  }
  const files = specs.filter(({ type }) => type === undefined);
  assert.equal(report.files, files.length);
  assert.equal(
    report.bytes,
    files.reduce((sum, spec) => sum + contentOf(spec).length, 0),
  );
  assert.deepEqual([report.directories, report.others, report.skipped], [7, 2, 0]);
});

everywhere('a parent that the snapshot lacks is made, and keeps the default mode', async (place) => {
  const snapshot = await buildSnapshot([{ path: 'a/b/c', content: 'x', ...ownerIn(place) }]);
  assert.equal((await restoreIn(place, snapshot)).complete, true);
  const found = await foundIn(place, targetOf(place));
  assert.deepEqual(
    [...found].map(([path, { mode }]) => [path, mode]),
    [
      ['a', 0o700],
      ['a/b', 0o700],
      ['a/b/c', 0o644],
    ],
  );
});

everywhere('paths restore themselves and what is within them, and nothing else', async (place) => {
  const snapshot = await buildSnapshot(everything(ownerIn(place)));
  const report = await restoreIn(place, snapshot, {
    paths: ['/srv/deep/deeper', '/home/ann/link', '/srv/content 3', '/srv/deep'],
  });
  assert.deepEqual([report.problems, report.complete], [[], true]);
  const found = await foundIn(place, targetOf(place));
  assert.deepEqual([...found.keys()].sort(), [
    'home',
    'home/ann',
    'home/ann/link',
    'srv',
    'srv/content 3',
    'srv/deep',
    'srv/deep/deeper',
    'srv/deep/deeper/file',
  ]);
  // Its own directories were made for it, so they get what the snapshot says of them.
  assert.deepEqual([found.get('home/ann')?.mode, found.get('home/ann')?.mtime], [0o750, 5n]);
  assert.equal(found.get('srv/deep')?.mode, 0o555);
});

everywhere('a parent that was not asked for and is there already keeps its metadata', async (place) => {
  const owner = ownerIn(place);
  const snapshot = await buildSnapshot(everything(owner));
  const target = await place.finish(place.world.files.openTarget(targetOf(place)));
  await place.finish(target.makeDirectory(pathKey('srv')));
  await restoreIn(place, snapshot, { paths: ['/srv/content 3'] });
  const found = await foundIn(place, targetOf(place));
  assert.equal(found.get('srv')?.mode, 0o700);
  await restoreIn(place, snapshot, { paths: ['/srv'] });
  assert.equal((await foundIn(place, targetOf(place))).get('srv')?.mode, 0o755);
});

everywhere('a path that the snapshot lacks is refused before anything is written', async (place) => {
  const snapshot = await buildSnapshot(everything(ownerIn(place)));
  for (const paths of [['/srv/no'], ['/srv', '/hom'], ['/srv/content 3/below']]) {
    await assert.rejects(restoreIn(place, snapshot, { paths }), {
      code: 'no-such-path',
      message: /\/(no|hom|below)$/,
    });
  }
  assert.deepEqual(await foundIn(place, place.directory), new Map());
});

everywhere('another client’s key is told before anything is written', async (place) => {
  const snapshot = await buildSnapshot([{ path: 'a', content: 'x' }]);
  const keys = new KeyStore([deriveDomainKeys(new Uint8Array(32))]);
  await assert.rejects(restoreIn(place, snapshot, { keys }), { code: 'no-key' });
  assert.deepEqual(await foundIn(place, place.directory), new Map());
});

everywhere('members of a link group are one inode again, in and across windows', async (place) => {
  const owner = ownerIn(place);
  const specs: EntrySpec[] = [];
  for (let group = 0; group < 30; group++) {
    const link = { fileSystem: group % 2, inode: BigInt(group >> 1) };
    for (const directory of ['a', 'b', 'c']) {
      specs.push({
        path: `${directory}/${group}`,
        content: bytes(600 + group, group),
        inode: link.inode,
        link,
      });
    }
  }
  const big = { inode: 99n, link: { fileSystem: 0, inode: 99n }, content: bytes(400_000, 3) };
  specs.push({ path: 'a/big', ...big }, { path: 'd/big', ...big });
  const snapshot = await buildSnapshot(specs.map((spec) => ({ ...owner, ...spec })));
  const source = snapshot.source();
  const report = await restoreIn(place, snapshot, { sources: [source] });
  assert.deepEqual([report.problems, report.files, report.links], [[], 92, 61]);
  const found = await foundIn(place, targetOf(place));
  for (const [path, entry] of found) {
    if (entry.type === 'directory') continue;
    const name = path.slice(2);
    assert.equal(entry.links, name === 'big' ? 2 : 3);
    assert.equal(entry.inode, found.get(`a/${name}`)!.inode);
  }
  const written = specs.filter(({ path }) => path.startsWith('a/'));
  assert.equal(
    report.bytes,
    written.reduce((sum, spec) => sum + contentOf(spec).length, 0),
  );
});

everywhere('links of symlinks and fifos are links again', async (place) => {
  const link = { fileSystem: 0, inode: 7n };
  const snapshot = await buildSnapshot([
    { path: 'a', type: 'symlink', target: 'x', inode: 7n, link, ...ownerIn(place) },
    { path: 'b', type: 'symlink', target: 'x', inode: 7n, link, ...ownerIn(place) },
    // The same group of another type is no group at all.
    { path: 'c', type: 'fifo', inode: 7n, link, ...ownerIn(place) },
  ]);
  const report = await restoreIn(place, snapshot);
  assert.deepEqual([report.problems, report.others], [[], 3]);
  const found = await foundIn(place, targetOf(place));
  assert.equal(found.get('a')?.inode, found.get('b')?.inode);
  assert.equal(found.get('c')?.type, 'fifo');
});

everywhere('devices need root, sockets are left to their programs', async (place) => {
  const snapshot = await buildSnapshot([
    { path: 'null', type: 'character-device', rdev: { major: 1, minor: 3 }, mode: 0o666, ...ownerIn(place) },
    { path: 'disk', type: 'block-device', rdev: { major: 8, minor: 300 }, ...ownerIn(place) },
    { path: 'socket', type: 'socket', ...ownerIn(place) },
    { path: 'socket 2', type: 'socket', ...ownerIn(place) },
  ]);
  const report = await restoreIn(place, snapshot);
  assert.deepEqual([report.problems, report.complete], [[], true]);
  const found = await foundIn(place, targetOf(place));
  const notes = report.notes.map(({ path, code }) => `${path} ${code}`).sort();
  if (!place.superuser) {
    assert.deepEqual([...found.keys()], []);
    assert.deepEqual(notes, ['/disk forbidden', '/null forbidden', '/socket wrong-state']);
    return;
  }
  assert.deepEqual([...found.keys()], ['disk', 'null']);
  assert.deepEqual(found.get('disk')?.rdev, { major: 8, minor: 300 });
  assert.equal(found.get('null')?.mode, 0o666);
  assert.deepEqual(notes, ['/socket wrong-state']);
  assert.match(report.notes[0]!.message, /^2 sockets/);
});

everywhere('an owner that cannot be set is told once, and the restore is complete', async (place) => {
  const specs = Array.from({ length: 30 }, (_, at): EntrySpec => ({
    path: `${at}`,
    content: `${at}`,
    uid: 54_321,
    gid: 54_322,
    mode: at % 2 === 0 ? 0o4755 : 0o755,
  }));
  const report = await restoreIn(place, await buildSnapshot(specs));
  assert.equal(report.complete, true);
  const found = await foundIn(place, targetOf(place));
  if (place.superuser) {
    assert.deepEqual(report.notes, []);
    assert.deepEqual(
      [found.get('4')?.uid, found.get('4')?.gid, found.get('4')?.mode],
      [54_321, 54_322, 0o4755],
    );
  } else {
    assert.equal(report.noteCount, 2);
    assert.match(report.notes[0]!.message, /the owner of 30 restored names/);
    assert.match(report.notes[1]!.message, /the set-id bits of 15 restored names/);
    assert.equal(found.get('4')?.mode, 0o755);
  }
});

everywhere('without owners everything is whose it was made by, and no set-id bit is set', async (place) => {
  const snapshot = await buildSnapshot([
    { path: 'd', type: 'directory', uid: 54_321, gid: 1, mode: 0o2755 },
    { path: 'd/f', content: 'x', uid: 54_321, gid: 1, mode: 0o6711, mtime: 3n },
  ]);
  const report = await restoreIn(place, snapshot, { owners: 'none' });
  assert.deepEqual([report.problems, report.notes], [[], []]);
  const found = await foundIn(place, targetOf(place));
  const { uid } = (await place.world.files.lstat(targetOf(place)))!;
  assert.deepEqual([found.get('d')?.uid, found.get('d')?.mode], [uid, 0o755]);
  assert.deepEqual(
    [found.get('d/f')?.uid, found.get('d/f')?.mode, found.get('d/f')?.mtime],
    [uid, 0o711, 3n],
  );
});

everywhere(
  'the snapshot’s root gives its metadata to a target that nobody used, and to no other',
  async (place) => {
    const owner = ownerIn(place);
    const snapshot = await buildSnapshot([
      { path: '', type: 'directory', mode: 0o711, mtime: 11n, ...owner },
      { path: 'a', content: 'x', ...owner },
    ]);
    await restoreIn(place, snapshot);
    const root = (await place.world.files.lstat(targetOf(place)))!;
    assert.deepEqual([root.mode, root.mtime], [0o711, 11n]);
    const used = joinPath(place.directory, 'used' as ByteName);
    const target = await place.world.files.openTarget(used);
    await place.finish(target.makeDirectory(pathKey('already')));
    await restoreIn(place, snapshot, { target: used });
    assert.equal((await place.world.files.lstat(used))?.mode, 0o700);
  },
);

inPlace('holes stay holes', realPlace, async (place) => {
  const hole = 64 * 1024 * 1024;
  const content = [{ hole }, bytes(4096, 1), { hole }];
  const report = await restoreIn(place, await buildSnapshot([{ path: 'sparse', content }]));
  assert.equal(report.complete, true);
  const { size, allocated } = (await foundIn(place, targetOf(place))).get('sparse')!;
  assert.equal(size, 2 * hole + 4096);
  assert.ok(allocated <= 65_536, `${allocated}`);
});

inPlace(
  'progress has totals for a whole restore and ends with all that there was',
  simulatedPlace,
  async (place) => {
    const snapshot = await buildSnapshot(everything({ uid: 0, gid: 0 }));
    await restoreIn(place, snapshot);
    const { files, bytes } = snapshot.signed.manifest.counts;
    const progress = { doing: 'restore', files, bytes };
    assert.deepEqual(place.node!.progress.get('restore'), {
      ...progress,
      filesTotal: files,
      bytesTotal: bytes,
    });
  },
);

inPlace(
  'a partial snapshot says so, and the file that it cuts off is not restored',
  simulatedPlace,
  async (place) => {
    const specs: EntrySpec[] = [
      { path: 'a', content: bytes(20_000, 1) },
      { path: 'b', content: bytes(20_000, 2), size: 50_000, partial: true },
    ];
    const snapshot = await buildSnapshot(specs, { manifest: { complete: false } });
    const report = await restoreIn(place, snapshot);
    assert.deepEqual([...(await foundIn(place, targetOf(place))).keys()], ['a']);
    assert.deepEqual(
      report.problems.map(({ path, code }) => [path, code]),
      [['/b', 'restore-incomplete']],
    );
    assert.match(report.notes[0]!.message, /partial/);
    assert.equal(report.complete, false);
  },
);

inPlace(
  'attributes that only a newer program knows are told, not dropped in silence',
  simulatedPlace,
  async (place) => {
    const extra = Buffer.from('a1186301', 'hex');
    const report = await restoreIn(place, await buildSnapshot([{ path: 'a', content: 'x', extra }]));
    assert.equal(report.complete, true);
    assert.match(report.notes[0]!.message, /the further attributes of one restored name could not be set/);
  },
);

inPlace('files that wait for several blocks are few at a time', simulatedPlace, async (place) => {
  // The block that all begin with comes first and fills a batch, so each file of a window waits for its own.
  const key = Buffer.alloc(16);
  const common = createCipheriv('aes-128-ctr', key, key).update(Buffer.alloc(tinyLimits.chunk_bytes_max));
  const specs = Array.from({ length: 300 }, (_, at): EntrySpec => {
    const own = Buffer.alloc(tinyLimits.chunk_bytes_average, `${at} `);
    return { path: `${at}`, content: Buffer.concat([common, own]) };
  });
  let [open, most] = [0, 0];
  const { files } = place.world;
  const openTarget: typeof files.openTarget = async (root) => {
    const target = await files.openTarget(root);
    const createFile = target.createFile.bind(target);
    target.createFile = async (path) => {
      const file = await createFile(path);
      const finish = file.finish.bind(file);
      most = Math.max(most, ++open);
      file.finish = async (...how) => {
        const refused = await finish(...how);
        open--;
        return refused;
      };
      return file;
    };
    return target;
  };
  const counted = { ...place, world: { ...place.world, files: { ...files, openTarget } } };
  assert.equal((await restoreIn(counted, await buildSnapshot(specs))).files, 300);
  assert.deepEqual([open, most > 1 && most <= tinyLimits.ids_per_message], [0, true]);
});
