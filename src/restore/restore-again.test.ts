/** Restores over what is there, restores that stop, and those that go on from there (faults I1, I3, I5). */
import assert from 'node:assert/strict';
import { joinPath, type ByteName } from '../model/paths.ts';
import type { FaultRule } from '../sim/faults.ts';
import { UNFINISHED_MODE } from '../world/target/ports.ts';
import { buildSnapshot, type EntrySpec, pathKey } from '../../test/support/build-snapshot.ts';
import type { MemorySource } from '../../test/support/memory-source.ts';
import {
  everywhere,
  foundIn,
  hashOf,
  inPlace,
  ownerIn,
  realPlace,
  restoreIn,
  type RestorePlace,
  simulatedPlace,
  targetOf,
} from '../../test/support/restore-places.ts';

const text = (name: string, length: number): string =>
  name.repeat(Math.ceil(length / name.length)).slice(0, length);

function people(): EntrySpec[] {
  const specs: EntrySpec[] = [];
  for (const directory of ['a', 'b', 'c', 'd']) {
    specs.push({ path: directory, type: 'directory', mode: 0o751, mtime: 77n });
    for (let at = 0; at < 12; at++) {
      specs.push({
        path: `${directory}/${at}`,
        content: text(`${directory}${at} `, at * 3001),
        mtime: BigInt(at),
      });
    }
  }
  return specs;
}

/** What somebody else left in the target. */
async function plant(place: RestorePlace, files: Record<string, string>): Promise<void> {
  const target = await place.finish(place.world.files.openTarget(targetOf(place)));
  for (const [path, content] of Object.entries(files)) {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      await place.finish(target.makeDirectory(pathKey(parts.slice(0, depth).join('/'))));
    }
    if (content === 'directory') await place.finish(target.makeDirectory(pathKey(path)));
    else if (content.startsWith('->'))
      await place.finish(target.symlink(pathKey(path), content.slice(2), false));
    else {
      const file = await place.finish(target.createFile(pathKey(path)));
      await place.finish(file.write(Buffer.from(content), 0));
      await place.finish(file.finish(content.length, false, null));
    }
  }
  await place.finish(target.close());
}

const contentsIn = async (place: RestorePlace): Promise<Record<string, string | undefined>> =>
  Object.fromEntries(
    [...(await foundIn(place, targetOf(place)))].map(([path, { content, type, target }]) => [
      path,
      content ?? target ?? type,
    ]),
  );

const wanted = (specs: readonly EntrySpec[]): Record<string, string> => {
  return Object.fromEntries(
    specs.map(({ path, content, type, target }) => [
      path,
      content === undefined ? (target ?? type ?? '') : hashOf(Buffer.from(content as string, 'latin1')),
    ]),
  );
};

everywhere(
  'never: what is there stays, is counted, costs no block, and directories are merged',
  async (place) => {
    const theirs = { 'a/5': 'theirs', 'a/7': '->nowhere', 'b/6/x': 'theirs', 'c/own': 'theirs' };
    await plant(place, theirs);
    const specs = people();
    const snapshot = await buildSnapshot(specs);
    const source = snapshot.source();
    for (const path of ['a/5', 'a/7', 'b/6']) {
      const used = [...snapshot.blocksOf(path)];
      const others = specs
        .filter((spec) => spec.path !== path)
        .flatMap((spec) => [...snapshot.blocksOf(spec.path)]);
      for (const id of used) if (!others.includes(id)) source.blocks.delete(id);
    }
    const report = await restoreIn(place, snapshot, { sources: [source] });
    assert.deepEqual([report.problems, report.skipped, report.complete], [[], 3, true]);
    assert.deepEqual(await contentsIn(place), {
      ...wanted(specs),
      'a/5': hashOf(Buffer.from('theirs')),
      'a/7': 'nowhere',
      'b/6': 'directory',
      'b/6/x': hashOf(Buffer.from('theirs')),
      'c/own': hashOf(Buffer.from('theirs')),
    });
    assert.deepEqual(
      // Who is not root is told of the owners too.
      report.notes.filter(({ code }) => code === 'target-exists').map(({ path }) => path),
      ['/', '/a/5', '/a/7', '/b/6'],
    );
    assert.match(report.notes.find(({ path }) => path === '/')!.message, /^3 names were taken/);
    const merged = (await foundIn(place, targetOf(place))).get('a');
    assert.deepEqual([merged?.mode, merged?.mtime], [0o751, 77n]);
  },
);

everywhere('always: files and links are replaced, directories never, and the rest stays', async (place) => {
  const theirs = { 'a/5': 'theirs', 'a/7': '->5', 'b/6/x': 'theirs', 'c/own': 'theirs', d: 'a file' };
  await plant(place, theirs);
  const specs = people();
  const snapshot = await buildSnapshot(specs);
  const report = await restoreIn(place, snapshot, { overwrite: 'always' });
  assert.deepEqual(
    report.problems.map(({ path, code }) => `${path} ${code}`),
    ['/b/6 target-exists', '/d target-exists'],
  );
  assert.match(report.problems[1]!.message, /what is directly within it is not restored: 12 entries/);
  const expected = wanted(specs.filter(({ path }) => !path.startsWith('d')));
  assert.deepEqual(await contentsIn(place), {
    ...expected,
    'b/6': 'directory',
    'b/6/x': hashOf(Buffer.from('theirs')),
    'c/own': hashOf(Buffer.from('theirs')),
    d: hashOf(Buffer.from('a file')),
  });
  assert.equal(report.skipped, 0);
});

everywhere('always, twice: the second restore replaces all that the first one made', async (place) => {
  const link = { fileSystem: 0, inode: 1n };
  const specs: EntrySpec[] = [
    ...people(),
    { path: 'l1', content: text('linked', 5000), link },
    { path: 'l2', content: text('linked', 5000), link },
    { path: 's', type: 'symlink', target: 'x' },
    { path: 't', type: 'fifo' },
  ];
  const snapshot = await buildSnapshot(specs);
  const first = await restoreIn(place, snapshot);
  const before = await foundIn(place, targetOf(place));
  const second = await restoreIn(place, snapshot, { overwrite: 'always' });
  const after = await foundIn(place, targetOf(place));
  assert.deepEqual([first.files, first.others, first.bytes], [second.files, second.others, second.bytes]);
  assert.deepEqual([...after.keys()], [...before.keys()]);
  for (const [path, { type, inode }] of after) {
    assert.equal(inode === before.get(path)?.inode, type === 'directory', path);
  }
  assert.deepEqual([after.get('l1')?.links, after.get('l1')?.inode], [2, after.get('l2')?.inode]);
});

everywhere('a directory that its owner may not write in is restored into all the same', async (place) => {
  const specs: EntrySpec[] = [{ path: 'd', type: 'directory', mode: 0o555, mtime: 9n, ...ownerIn(place) }];
  await restoreIn(place, await buildSnapshot(specs));
  specs.push({ path: 'd/f', content: 'x', ...ownerIn(place) });
  const report = await restoreIn(place, await buildSnapshot(specs));
  assert.deepEqual([report.problems, report.notes], [[], []]);
  const { mode, mtime } = (await foundIn(place, targetOf(place))).get('d')!;
  assert.deepEqual([mode, mtime], [0o555, 9n]);
});

/** Aborts once so many blocks were given. */
function stopAfter(source: MemorySource, blocks: number): AbortSignal {
  const controller = new AbortController();
  const fetch = source.fetch.bind(source);
  source.fetch = async function* (scope, ids) {
    for await (const block of fetch(scope, ids)) {
      if (source.given === blocks) controller.abort();
      yield block;
    }
  };
  return controller.signal;
}

everywhere(
  'a restore that is stopped leaves whole files only, and the next one goes on from there',
  async (place) => {
    const specs = people();
    const snapshot = await buildSnapshot(specs);
    const expected = wanted(specs);
    let restored = 0;
    for (const blocks of [1, 60, 90]) {
      const source = snapshot.source();
      const stop = stopAfter(source, blocks);
      await assert.rejects(restoreIn(place, snapshot, { sources: [source], stop }), {
        code: 'interrupted',
        message: blocks === 1 ? /interrupted/ : /interrupted; the \d+ files restored so far are complete/,
      });
      if (blocks === 1) continue;
      const found = await contentsIn(place);
      for (const [path, content] of Object.entries(found)) assert.equal(content, expected[path], path);
      const files = Object.values(found).filter((content) => content !== 'directory').length;
      assert.ok(files > restored, `${files} files`);
      restored = files;
    }
    const report = await restoreIn(place, snapshot);
    assert.deepEqual([report.complete, report.skipped, report.files], [true, restored, 48 - restored]);
    assert.deepEqual(await contentsIn(place), expected);
    const { mode, mtime } = (await foundIn(place, targetOf(place))).get('a')!;
    assert.deepEqual([mode, mtime], [0o751, 77n]);
  },
);

const linked = (): EntrySpec[] => {
  const link = { fileSystem: 0, inode: 9n };
  return ['a', 'b', 'c'].map((path) => ({ path, content: text('linked ', 20_000), mtime: 5n, link }));
};

everywhere(
  'names of a file that an earlier restore made are linked to it, once it was compared',
  async (place) => {
    const owner = ownerIn(place);
    const snapshot = await buildSnapshot(linked().map((spec) => ({ ...spec, ...owner })));
    await restoreIn(place, snapshot, { paths: ['/a'] });
    const report = await restoreIn(place, snapshot);
    assert.deepEqual([report.problems, report.skipped, report.links, report.bytes], [[], 1, 2, 0]);
    const found = await foundIn(place, targetOf(place));
    assert.deepEqual(
      [...found.values()].map(({ links }) => links),
      [3, 3, 3],
    );
  },
);

everywhere('nothing is linked to a file that is not what the snapshot has', async (place) => {
  const specs = linked();
  const same = specs[0]!.content as string;
  const contents = ['short', same.replace('l', 'L'), `${same.slice(0, -1)}.`];
  for (const [at, content] of contents.entries()) {
    const target = joinPath(place.directory, `target ${at}` as ByteName);
    await place.finish(
      (async () => {
        const made = await place.world.files.openTarget(target);
        const file = await made.createFile(pathKey('a'));
        await file.write(Buffer.from(content), 0);
        await file.finish(content.length, false, null);
        const entry = { ...(await buildSnapshot(specs)).entries[0]!, uid: 0, gid: 0 };
        await made.applyMetadata(pathKey('a'), entry);
        await made.close();
      })(),
    );
    const report = await restoreIn(place, await buildSnapshot(specs), { target });
    assert.deepEqual([report.problems, report.skipped, report.links], [[], 1, 1]);
    const found = await foundIn(place, target);
    assert.equal(found.get('a')?.content, hashOf(Buffer.from(content)));
    assert.deepEqual([found.get('b')?.links, found.get('b')?.inode], [2, found.get('c')?.inode]);
    assert.equal(found.get('b')?.content, hashOf(Buffer.from(same)));
  }
});

function faulty(name: string, rule: FaultRule, run: (place: RestorePlace) => Promise<void>): void {
  inPlace(name, simulatedPlace, async (place) => {
    place.node!.faults.inject(rule);
    await run(place);
  });
}

for (const kind of ['files.write', 'files.finish', 'files.create', 'files.makeDirectory', 'files.symlink']) {
  const rule: FaultRule = { kind, path: '/target/c', error: 'ENOSPC', times: Number.POSITIVE_INFINITY };
  faulty(
    `a target that is full at ${kind} stops the restore, and what is finished is whole`,
    rule,
    async (place) => {
      const specs = [...people(), { path: 'c/link', type: 'symlink' as const, target: 'x' }];
      const snapshot = await buildSnapshot(specs);
      await assert.rejects(restoreIn(place, snapshot), {
        code: 'disk-full',
        message: /the disk is full.*the \d+ files restored so far are complete/,
      });
      const found = await contentsIn(place);
      const expected = wanted(specs);
      for (const [path, content] of Object.entries(found)) assert.equal(content, expected[path], path);
      assert.ok(Object.keys(found).includes('b'));
    },
  );
}

for (const kind of ['files.write', 'files.finish', 'files.create']) {
  const rule: FaultRule = { kind, path: '/target/b/7', error: 'EIO', times: 1 };
  faulty(`a file that fails at ${kind} is told, and the rest is restored`, rule, async (place) => {
    const specs = people();
    const snapshot = await buildSnapshot(specs);
    const report = await restoreIn(place, snapshot);
    assert.deepEqual(
      report.problems.map(({ path, code }) => [path, code]),
      [['/b/7', 'disk-failed']],
    );
    const expected = wanted(specs.filter(({ path }) => path !== 'b/7'));
    assert.deepEqual(await contentsIn(place), expected);
  });
}

faulty(
  'a directory that cannot be made costs what is in it',
  { kind: 'files.makeDirectory', path: '/b' },
  async (place) => {
    const report = await restoreIn(place, await buildSnapshot(people()));
    assert.deepEqual(
      report.problems.map(({ path, code }) => [path, code]),
      [['/b', 'disk-failed']],
    );
    assert.deepEqual([report.files, report.directories], [36, 3]);
  },
);

faulty(
  'a link that cannot be made becomes a file of its own',
  { kind: 'files.link', error: 'EPERM', times: 1 },
  async (place) => {
    const snapshot = await buildSnapshot(linked());
    const report = await restoreIn(place, snapshot);
    assert.deepEqual([report.problems, report.files, report.links, report.complete], [[], 3, 1, true]);
    const found = await foundIn(place, targetOf(place));
    assert.deepEqual(
      [...found.values()].map(({ links }) => links),
      [1, 2, 2],
    );
    assert.match(report.notes[0]!.message, /^1 hard links were restored as files of their own/);
  },
);

faulty('what cannot be made durable is a problem', { kind: 'files.sync' }, async (place) => {
  const report = await restoreIn(place, await buildSnapshot(people()));
  assert.deepEqual([report.complete, report.problems[0]?.code], [false, 'disk-failed']);
});

/** More than is made durable together. */
const manySmall = Array.from({ length: 400 }, (_, at): EntrySpec => ({
  path: `many/f${at}`,
  content: `${at}`,
}));

inPlace('what is finished is made durable while the rest is made', simulatedPlace, async (place) => {
  const order: string[] = [];
  place.node!.simulation.observe(({ kind }) => void order.push(kind));
  const report = await restoreIn(place, await buildSnapshot(manySmall));
  assert.deepEqual([report.complete, report.files], [true, manySmall.length]);
  const syncs = order.filter((kind) => kind === 'files.sync').length;
  assert.ok(syncs >= 2 && order.indexOf('files.sync') < order.lastIndexOf('files.finish'), `${syncs} syncs`);
  assert.equal(order.at(-1), 'files.sync');
});

for (const error of ['EIO', 'ENOSPC'] as const) {
  inPlace(
    `what could not be made durable while the rest was made is told: ${error}`,
    simulatedPlace,
    async (place) => {
      place.node!.faults.inject({ kind: 'files.sync', error, times: 1 });
      const restoring = restoreIn(place, await buildSnapshot(manySmall));
      if (error === 'ENOSPC') return assert.rejects(restoring, { code: 'disk-full' });
      const { complete, problems } = await restoring;
      assert.deepEqual([complete, problems.map(({ code }) => code)], [false, ['disk-failed']]);
    },
  );
}

inPlace(
  'a process that is killed leaves whole files, and another one goes on',
  simulatedPlace,
  async (place) => {
    const node = place.node!;
    const specs = people();
    const snapshot = await buildSnapshot(specs);
    const expected = wanted(specs);
    const source = snapshot.source();
    const fetch = source.fetch.bind(source);
    source.fetch = async function* (scope, ids) {
      for await (const block of fetch(scope, ids)) {
        if (source.given === 70) node.stop();
        yield block;
      }
    };
    const never = restoreIn(place, snapshot, { sources: [source] });
    await assert.rejects(never, /had not settled/);
    const again = { ...place, world: node.boot() };
    const isTemporary = (path: string): boolean => path.includes('.lowtide-');
    for (const [path, { content, type, mode }] of await foundIn(again, targetOf(again)))
      if (!isTemporary(path) && mode !== UNFINISHED_MODE) assert.equal(content ?? type, expected[path]);
    const report = await restoreIn(again, snapshot);
    assert.equal(report.complete, true);
    const whole = Object.entries(await contentsIn(again)).filter(([path]) => !isTemporary(path));
    assert.deepEqual(Object.fromEntries(whole), expected);
  },
);

inPlace('a target where a file is is refused', realPlace, async (place) => {
  await plant(place, { file: 'x' });
  const target = `${targetOf(place)}\0file` as ReturnType<typeof targetOf>;
  await assert.rejects(restoreIn(place, await buildSnapshot(people()), { target }), {
    code: 'target-exists',
  });
});
