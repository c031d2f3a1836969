import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { tinyLimits } from '../model/limits.ts';
import { displayPath, isWithin, parentPath, pathComponents, type PathKey } from '../model/paths.ts';
import {
  buildSnapshot,
  type BuiltSnapshot,
  type EntrySpec,
  pathKey,
} from '../../test/support/build-snapshot.ts';
import type { MemorySource } from '../../test/support/memory-source.ts';
import { shownPath, simulatedPlace } from '../../test/support/restore-places.ts';
import { diffSnapshots } from './snapshot-diff.ts';
import { SnapshotReader } from './snapshot-reader.ts';

const never = new AbortController().signal;

function readerOf(snapshot: BuiltSnapshot, source: MemorySource = snapshot.source()): SnapshotReader {
  const { world } = simulatedPlace();
  return new SnapshotReader(world, snapshot.signed, snapshot.keys, [{ name: 'memory', source }], never);
}

/** Directories four deep with a name that sorts before the separator's place, and files that have continuations. */
function forest(): EntrySpec[] {
  const specs: EntrySpec[] = [];
  for (const a of ['a', 'a!', 'b']) {
    specs.push({ path: `home/${a}`, type: 'directory' });
    for (let b = 0; b < 6; b++) {
      specs.push({ path: `home/${a}/${b}`, type: 'directory' });
      for (let c = 0; c < 8; c++) specs.push({ path: `home/${a}/${b}/${c}`, content: `${a}${b}${c}` });
    }
    specs.push({ path: `home/${a}/big`, content: Buffer.alloc(200_000, a) });
  }
  return specs;
}

const names = async (entries: AsyncIterable<{ readonly path: PathKey }>): Promise<string[]> =>
  (await Array.fromAsync(entries)).map(shownPath);

test('entries are those of the path and within it, in order', async () => {
  const snapshot = await buildSnapshot(forest());
  for (const path of ['', 'home', 'home/a', 'home/a/3', 'home/a/3/4', 'home/a!', 'home/b/big']) {
    const expected = snapshot.entries.filter((entry) => isWithin(entry.path, pathKey(path))).map(shownPath);
    assert.deepEqual(await names(readerOf(snapshot).entries(pathKey(path))), expected);
  }
  await assert.rejects(names(readerOf(snapshot).entries(pathKey('home/c'))), { code: 'no-such-path' });
});

test('a list has one level, also of directories above the roots', async () => {
  const snapshot = await buildSnapshot(forest());
  const reader = readerOf(snapshot);
  const listed = async (path: string): Promise<string[]> =>
    (await Array.fromAsync(reader.list(pathKey(path)))).map(
      ({ name, entry }) => `${name} ${entry?.type ?? 'not in the snapshot'}`,
    );
  assert.deepEqual(await listed(''), ['home not in the snapshot']);
  assert.deepEqual(await listed('home'), ['a directory', 'a! directory', 'b directory']);
  const directories = ['0', '1', '2', '3', '4', '5'].map((name) => `${name} directory`);
  assert.deepEqual(await listed('home/a'), [...directories, 'big file']);
  assert.deepEqual(await listed('home/a/big'), ['big file']);
  await assert.rejects(listed('home/c'), { code: 'no-such-path' });
});

test('a list of any directory is what its entries say', async () => {
  const paths = fc.array(
    fc.array(fc.constantFrom('a', 'a!', 'b', '\u0001'), { minLength: 1, maxLength: 4 }),
    {
      maxLength: 40,
    },
  );
  await fc.assert(
    fc.asyncProperty(paths, async (chosen) => {
      const unique = [...new Set(chosen.map((parts) => parts.join('/')))];
      // A file has nothing within it.
      const leaves = unique.filter((path) => !unique.some((other) => other.startsWith(`${path}/`)));
      const snapshot = await buildSnapshot(leaves.map((path) => ({ path, content: path })));
      const reader = readerOf(snapshot);
      const directories = new Set<PathKey>(leaves.flatMap((path) => ancestorsOf(pathKey(path))));
      for (const directory of directories) {
        const depth = pathComponents(directory).length;
        const within = snapshot.entries.filter(({ path }) => isWithin(path, directory));
        const expected = new Set(within.map(({ path }) => pathComponents(path)[depth]!));
        const listed = (await Array.fromAsync(reader.list(directory))).map(({ name }) => name);
        assert.deepEqual(listed, [...expected]);
      }
    }),
    { numRuns: 30 },
  );
});

function ancestorsOf(path: PathKey): PathKey[] {
  return path === '' ? [] : [parentPath(path), ...ancestorsOf(parentPath(path))];
}

test('a list of a directory does not read what is deep within its children', async () => {
  const specs: EntrySpec[] = [];
  for (const child of ['a', 'b', 'c']) {
    for (let at = 0; at < 400; at++) specs.push({ path: `${child}/${at}`, content: '' });
  }
  const snapshot = await buildSnapshot(specs);
  const source = snapshot.source();
  const listed = await Array.fromAsync(readerOf(snapshot, source).list());
  assert.deepEqual(
    listed.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  assert.ok(snapshot.treePages.length > 200);
  assert.ok(source.given < 60, `${source.given} of ${snapshot.treePages.length} pages`);
});

test('a walk over a far source asks for many pages at once, a look-up for one a level', async () => {
  const specs = Array.from({ length: 4000 }, (_, at): EntrySpec => ({ path: `d/${at}`, content: '' }));
  const limits = { ...tinyLimits, tree_page_entries_average: 25, tree_page_entries_max: 200 };
  const snapshot = await buildSnapshot(specs, { limits });
  const [walking, looking] = [snapshot.source(), snapshot.source()];
  assert.equal((await names(readerOf(snapshot, walking).entries())).length, 4000);
  assert.equal(walking.given, snapshot.treePages.length);
  assert.ok(walking.given > 100 && walking.calls.length < walking.given / 3, `${walking.calls.length} calls`);
  assert.equal((await readerOf(snapshot, looking).entry(pathKey('d/777')))?.path, pathKey('d/777'));
  assert.ok(looking.given < 6, `${looking.given} pages`);
});

test('find takes text anywhere in the path, or a pattern', async () => {
  const snapshot = await buildSnapshot(forest());
  const reader = readerOf(snapshot);
  assert.deepEqual(await names(reader.find('a!/3/4')), ['home/a!/3/4']);
  assert.deepEqual(await names(reader.find('b?g')), ['home/a/big', 'home/a!/big', 'home/b/big']);
  assert.deepEqual(await names(reader.find('/home/*/[2-3]/[!1-7]')), [
    'home/a/2/0',
    'home/a/3/0',
    'home/a!/2/0',
    'home/a!/3/0',
    'home/b/2/0',
    'home/b/3/0',
  ]);
  assert.deepEqual(await names(reader.find('**/5/7', pathKey('home/b'))), ['home/b/5/7']);
});

test('a lost page is told, and what is left is read', async () => {
  const snapshot = await buildSnapshot(forest());
  const source = snapshot.source();
  source.blocks.delete(snapshot.treePages[3]!);
  const reader = readerOf(snapshot, source);
  const found = await names(reader.entries());
  assert.ok(found.length > 0 && found.length < snapshot.entries.length);
  assert.equal(reader.problems.length, 1);
  assert.deepEqual(reader.usage(), [
    { name: 'memory', blocks: source.given, bytes: reader.usage()[0]!.bytes },
  ]);
});

type Change = (spec: EntrySpec) => EntrySpec | null;
const changes: Record<string, Change> = {
  removed: () => null,
  content: (spec) =>
    spec.type === 'directory' ? { ...spec, type: 'fifo' } : { ...spec, content: Buffer.alloc(60_000, 'n') },
  metadata: (spec) => ({ ...spec, mode: 0o700 }),
};

test('a difference is every path that was added, removed or changed, and what it is', async () => {
  const before = forest();
  const snapshot = await buildSnapshot(before);
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(
        fc.constantFrom(...before.map(({ path }) => path)),
        fc.constantFrom(...Object.keys(changes)),
        {
          maxKeys: 6,
        },
      ),
      fc.uniqueArray(fc.constantFrom('home/a/3/new', 'home/zzz', 'aaa', 'home/b/big-2'), { maxLength: 3 }),
      async (chosen, added) => {
        const after = before.flatMap((spec) => {
          const change = chosen[spec.path];
          const changed = change === undefined ? spec : changes[change]!(spec);
          return changed === null ? [] : [changed];
        });
        after.push(...added.map((path) => ({ path, content: Buffer.alloc(80_000, path) })));
        const next = await buildSnapshot(after);
        const [left, right] = [readerOf(snapshot), readerOf(next)];
        const found = await Array.fromAsync(diffSnapshots(left.tree, right.tree));
        const expected = { ...chosen, ...Object.fromEntries(added.map((path) => [path, 'added'])) };
        assert.deepEqual(Object.fromEntries(found.map((each) => [shownPath(each), each.kind])), {
          ...expected,
        });
        assert.deepEqual(
          found.map(({ path }) => path),
          found.map(({ path }) => path).sort(),
        );
        assert.equal(found.length, Object.keys(expected).length);
      },
    ),
    { numRuns: 30 },
  );
});

test('a difference reads the pages that differ, and no other', async () => {
  const specs = Array.from({ length: 2000 }, (_, at): EntrySpec => ({ path: `d/${at}`, content: '' }));
  const snapshot = await buildSnapshot(specs);
  specs[777] = { path: 'd/777', content: 'changed' };
  specs.push({ path: 'd/1234.5', content: '' });
  const next = await buildSnapshot(specs);
  const [left, right] = [snapshot.source(), next.source()];
  const differences = diffSnapshots(readerOf(snapshot, left).tree, readerOf(next, right).tree);
  assert.deepEqual(
    (await Array.fromAsync(differences)).map(({ path, kind }) => `${displayPath(path)} ${kind}`),
    ['/d/1234.5 added', '/d/777 content'],
  );
  assert.ok(snapshot.treePages.length > 500);
  assert.ok(left.given < 100 && right.given < 100, `${left.given} and ${right.given} pages`);
});

test('a snapshot does not differ from itself, and no page is read to see it', async () => {
  const snapshot = await buildSnapshot(forest());
  const source = snapshot.source();
  const [left, right] = [readerOf(snapshot, source), readerOf(snapshot, source)];
  assert.deepEqual(await Array.fromAsync(diffSnapshots(left.tree, right.tree)), []);
  assert.equal(source.given, 0);
});
