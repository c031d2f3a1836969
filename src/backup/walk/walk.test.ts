import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusedAs } from '../../format/test-support.ts';
import {
  type ByteName,
  displayPath,
  joinPath,
  pathComponents,
  type PathKey,
  pathKeyOf,
} from '../../model/paths.ts';
import { SimulatedNode } from '../../sim/node.ts';
import { Simulation } from '../../sim/simulation.ts';
import type { Files, ScannedEntry } from '../../world/ports.ts';
import { Excludes } from './excludes.ts';
import { lookAtRoots, mergeRoots } from './roots.ts';
import { walk, type WalkOptions } from './walk.ts';

const SIGNATURE = 'Signature: 8a477f597d28d172789f06886806bc55';

interface Setup extends Partial<Omit<WalkOptions, 'excludes'>> {
  readonly roots?: readonly string[];
  readonly excludes?: readonly string[];
}

const machine = (): SimulatedNode => new SimulatedNode(new Simulation({ seed: 3 }), { name: 'ann' });

/** Paths as people read them; problems in brackets. */
async function walked(node: SimulatedNode, setup: Setup = {}): Promise<string[]> {
  const { files } = node.boot();
  const options: WalkOptions = {
    excludeCaches: false,
    oneFileSystem: false,
    leftOut: pathKeyOf('/none'),
    expectsFiles: async () => false,
    ...setup,
    excludes: new Excludes(setup.excludes ?? []),
  };
  const roots = await lookAtRoots(files, (setup.roots ?? ['/home']).map(pathKeyOf));
  const found: string[] = [];
  for await (const batch of walk(files, roots, options)) {
    for (const item of batch) {
      if (item.kind === 'span') {
        const { directory, entries, from, to } = item;
        for (let at = from; at < to; at++) found.push(displayPath(joinPath(directory, entries.nameAt(at))));
        continue;
      }
      const shown = displayPath(item.path);
      found.push(item.kind === 'problem' ? `[${item.severity} ${item.code} ${shown}]` : shown);
    }
  }
  return found;
}

test('goes in tree order: component by component, in bytes', async () => {
  const node = machine();
  const names = ['a/z', 'a/b/c', 'a.txt', 'a-b', 'ab', 'B', 'é', 'a/b.c'];
  for (const name of names) node.files.write(`/home/${name}`, 'x');
  const found = await walked(node);
  assert.deepEqual(found, [
    '/home',
    '/home/B',
    '/home/a',
    '/home/a/b',
    '/home/a/b/c',
    '/home/a/b.c',
    '/home/a/z',
    '/home/a-b',
    '/home/a.txt',
    '/home/ab',
    '/home/é',
  ]);
  assert.deepEqual(
    found,
    found.toSorted((a, b) => (pathKeyOf(a) < pathKeyOf(b) ? -1 : 1)),
  );
});

test('overlapping roots are one, and a root may be a file or a link', async () => {
  const node = machine();
  node.files.write('/home/ann/a', 'x');
  node.files.write('/etc/hosts', 'x');
  node.files.symlink('/link', '/home');
  const roots = ['/home/ann', '/link', '/etc/hosts', '/home', '/home/ann/a', '/home'];
  assert.deepEqual(await walked(node, { roots }), [
    '/etc/hosts',
    '/home',
    '/home/ann',
    '/home/ann/a',
    '/link',
  ]);
  assert.deepEqual(mergeRoots(['/a', '/a-b', '/a/b'].map(pathKeyOf)), ['/a', '/a-b'].map(pathKeyOf));
  assert.deepEqual(mergeRoots(['/a', '/'].map(pathKeyOf)), ['']);
});

test('excluded directories are not even listed; what is in them cannot be taken back', async () => {
  const node = machine();
  for (const name of ['a/node_modules/x/y', 'a/keep', 'b/cache/z', 'b/cache.txt', 'top', 'b/top']) {
    node.files.write(`/home/${name}`, 'x');
  }
  const excludes = ['node_modules/', 'cache', '/top', '!z'];
  const found = await walked(node, { excludes });
  assert.deepEqual(found, [
    '/home',
    '/home/a',
    '/home/a/keep',
    '/home/b',
    '/home/b/cache.txt',
    '/home/b/top',
  ]);
});

test('patterns are relative to each root', async () => {
  const node = machine();
  for (const name of ['/one/build/x', '/two/one/build/x']) node.files.write(name, 'x');
  const found = await walked(node, { roots: ['/one', '/two'], excludes: ['/build'] });
  assert.deepEqual(found, ['/one', '/two', '/two/one', '/two/one/build', '/two/one/build/x']);
});

test('a directory with a signed CACHEDIR.TAG is kept empty, unless it is the root', async () => {
  const node = machine();
  node.files.write('/home/CACHEDIR.TAG', SIGNATURE);
  node.files.write('/home/c/CACHEDIR.TAG', `${SIGNATURE}\n# made by x`);
  node.files.write('/home/c/big', 'x');
  node.files.write('/home/d/CACHEDIR.TAG', SIGNATURE.slice(1));
  node.files.write('/home/e/CACHEDIR.TAG', SIGNATURE.slice(0, -1));
  node.files.symlink('/home/f/CACHEDIR.TAG', '/home/c/CACHEDIR.TAG');
  const kept = ['d', 'd/CACHEDIR.TAG', 'e', 'e/CACHEDIR.TAG', 'f', 'f/CACHEDIR.TAG'].map(
    (name) => `/home/${name}`,
  );
  assert.deepEqual(await walked(node, { excludeCaches: true }), [
    '/home',
    '/home/CACHEDIR.TAG',
    '/home/c',
    ...kept,
  ]);
  assert.equal((await walked(node)).length, 11);
});

test('with one file system a mount point is kept as an empty directory', async () => {
  const node = machine();
  node.files.write('/home/a/x', 'x');
  node.files.write('/home/b/y', 'x');
  node.files.mount('/home/a');
  assert.deepEqual(await walked(node, { oneFileSystem: true }), ['/home', '/home/a', '/home/b', '/home/b/y']);
  assert.equal((await walked(node)).length, 5);
  assert.deepEqual(await walked(node, { oneFileSystem: true, roots: ['/home/a'] }), ['/home/a', '/home/a/x']);
});

test('the depot that the backup goes into is kept as an empty directory', async () => {
  const node = machine();
  node.files.write('/home/backups/spool/packs/1', 'x');
  node.files.write('/home/backups/spool.txt', 'x');
  const found = await walked(node, { leftOut: pathKeyOf('/home/backups/spool') });
  assert.deepEqual(found, ['/home', '/home/backups', '/home/backups/spool', '/home/backups/spool.txt']);
});

test('a missing root fails the job before anything else', async () => {
  const node = machine();
  node.files.write('/home/a', 'x');
  await assert.rejects(walked(node, { roots: ['/home', '/gone'] }), refusedAs('source-missing'));
  await assert.rejects(walked(node, { roots: [] }), refusedAs('source-missing'));
});

test('a root that is suddenly empty or unreadable fails the job', async () => {
  const node = machine();
  node.files.makeDirectory('/mnt');
  const expectsFiles = async (): Promise<boolean> => true;
  await assert.rejects(walked(node, { roots: ['/mnt'], expectsFiles }), refusedAs('source-empty'));
  assert.deepEqual(await walked(node, { roots: ['/mnt'] }), ['/mnt']);
  node.files.write('/home/a', 'x');
  node.faults.inject({ kind: 'files.scan', path: '/mnt', error: 'EACCES', times: Infinity });
  await assert.rejects(walked(node, { roots: ['/mnt'] }), refusedAs('source-unreadable'));
  await assert.rejects(
    walked(node, { roots: ['/mnt', '/home'], expectsFiles }),
    refusedAs('source-unreadable'),
  );
  const found = await walked(node, { roots: ['/mnt', '/home'] });
  assert.deepEqual(found, ['/home', '/home/a', '/mnt', '[error source-unreadable /mnt]']);
});

test('what cannot be listed or looked at is a problem in its place, and the rest goes on', async () => {
  const node = machine();
  for (const name of ['a/x', 'b/y', 'c/z', 'd/w']) node.files.write(`/home/${name}`, 'x');
  node.faults.inject({ kind: 'files.scan', path: '/home/b', error: 'EACCES' });
  node.faults.inject({ kind: 'files.scan', path: '/home/c', error: 'ENOENT' });
  node.faults.inject({ kind: 'files.lstat', path: '/home/d/w', error: 'EIO' });
  assert.deepEqual(await walked(node), [
    '/home',
    '/home/a',
    '/home/a/x',
    '/home/b',
    '[error source-unreadable /home/b]',
    '/home/c',
    '[note vanished /home/c]',
    '/home/d',
    '[error source-unreadable /home/d/w]',
  ]);
});

test('survives a depth of 5,000 and a width of 20,000', async () => {
  const entry = (name: string, type: 'directory' | 'file'): ScannedEntry => ({
    name: name as ByteName,
    type,
    mode: 0o700,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0n,
    ctime: 0n,
    inode: 1n,
    device: 1n,
    links: 1,
    allocated: 0,
  });
  const wide = Array.from({ length: 20_000 }, (_, at) => entry(`w${at}`, 'file'));
  const scan = async (path: PathKey): Promise<{ entries: ScannedEntry[]; problems: [] }> => ({
    entries:
      path === 'd'
        ? [entry('d', 'directory'), ...wide]
        : path.length < 10_000
          ? [entry('d', 'directory')]
          : [],
    problems: [],
  });
  const options = {
    excludes: new Excludes(['never']),
    excludeCaches: true,
    oneFileSystem: true,
    leftOut: pathKeyOf('/none'),
    expectsFiles: async () => false,
  };
  const root = { path: 'd' as PathKey, stat: entry('d', 'directory') };
  let found = 0;
  let deepest = 0;
  for await (const batch of walk({ scan } as unknown as Files, [root], options)) {
    for (const item of batch) {
      if (item.kind === 'problem') continue;
      found += item.kind === 'span' ? item.to - item.from : 1;
      const names = pathComponents(item.kind === 'span' ? item.directory : item.path).length;
      deepest = Math.max(deepest, item.kind === 'span' ? names + 1 : names);
    }
  }
  assert.equal(found, 5001 + 20_000);
  assert.equal(deepest, 5001);
});

test('the kernel’s own file systems are kept as empty folders, and told', async () => {
  const node = machine();
  node.files.write('/home/a', 'x');
  node.files.write('/home/proc/kcore', 'endless');
  node.files.at('/home/proc').virtual = 'proc';
  assert.deepEqual(await walked(node), ['/home', '/home/a', '/home/proc', '[note not-given /home/proc]']);
  await assert.rejects(walked(node, { roots: ['/home/proc'] }), refusedAs('source-unreadable'));
});
