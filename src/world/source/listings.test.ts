import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ByteName, pathKeyOf, type PathKey } from '../../model/paths.ts';
import { realFiles } from './files.ts';
import { loadKernels, plainKernels } from '../threads/kernels.ts';
import { inlineWork } from '../threads/inline-work.ts';
import { listDirectories, type Listed, splitNames, WINDOW_NAMES } from './list-names.ts';
import { EntryReader } from './packed-entries.ts';
import type { Files, Kernels, Listing, ScannedEntry } from '../ports.ts';

const KINDS: readonly (readonly [string, Kernels])[] = [
  ['calls of the system', loadKernels()],
  ["node's own", plainKernels],
];

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'lowtide-list-')));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function listed(files: Files, path: PathKey): Promise<ScannedEntry[]> {
  const [listing] = await files.list!([path]);
  assert.ok(listing !== undefined && !('code' in listing));
  return await allOf(listing);
}

async function allOf(listing: Listing): Promise<ScannedEntry[]> {
  const found: ScannedEntry[] = [];
  for (let part = listing.first as Listing['first'] | null; part !== null; part = await listing.next()) {
    const reader = new EntryReader(part);
    for (let at = 0; at < reader.count; at++) found.push(reader.entryAt(at));
  }
  return found;
}

for (const [name, kernels] of KINDS) {
  test(`a list says what a scan says, by ${name}`, async () => {
    await inFolder(async (folder) => {
      writeFileSync(join(folder, 'a'), 'text');
      writeFileSync(Buffer.from(`${folder}/\xff\x01`, 'latin1'), '');
      mkdirSync(join(folder, 'directory'));
      symlinkSync('nowhere/at all', join(folder, 'link'));
      execFileSync('mkfifo', [join(folder, 'fifo')]);
      execFileSync('touch', ['-d', '1901-02-03 04:05:06.789', join(folder, 'old')]);
      const files = realFiles(undefined, inlineWork(1, kernels));
      for (const path of [folder, '/dev', '/usr/bin']) {
        const { entries } = await files.scan(pathKeyOf(path));
        assert.deepEqual(await listed(files, pathKeyOf(path)), entries);
      }
    });
  });

  test(`what cannot be listed is told in its place, by ${name}`, async () => {
    await inFolder(async (folder) => {
      mkdirSync(join(folder, 'd'));
      writeFileSync(join(folder, 'file'), '');
      symlinkSync('d', join(folder, 'link'));
      const files = realFiles(undefined, inlineWork(1, kernels));
      const found = await files.list!(['no', 'd', 'file', 'link'].map((one) => pathKeyOf(join(folder, one))));
      const codes = found.map((one) => (one !== undefined && 'code' in one ? one.code : 'listed'));
      assert.deepEqual(codes, ['not-found', 'listed', 'source-unreadable', 'source-unreadable']);
    });
  });

  test(`a directory with more names than one task takes comes in parts, in order, by ${name}`, async () => {
    await inFolder(async (folder) => {
      const names = Array.from({ length: 2 * WINDOW_NAMES + 10 }, (_, at) => `n${at}`);
      for (const one of names) writeFileSync(join(folder, one), '');
      const files = realFiles(undefined, inlineWork(1, kernels));
      const [listing] = await files.list!([pathKeyOf(folder)]);
      assert.ok(listing !== undefined && !('code' in listing));
      assert.equal(listing.first.starts.length, WINDOW_NAMES);
      assert.deepEqual(
        (await allOf(listing)).map((entry) => String(entry.name)),
        names.sort(),
      );
    });
  });

  test(`names beyond those that fit into memory are found by reading again, by ${name}`, async () => {
    await inFolder(async (folder) => {
      const names = Array.from({ length: 300 }, (_, at) => `n${at}`);
      for (const one of names) writeFileSync(join(folder, one), '');
      const found: string[] = [];
      for (let after: ByteName | null | undefined; after !== null;) {
        const joinedPaths = pathKeyOf(folder);
        const [part] = listDirectories({ joinedPaths, after: after ?? null, most: 70 }, kernels) as [Listed];
        const reader = new EntryReader(part.packed);
        assert.ok(reader.count <= 70);
        for (let at = 0; at < reader.count; at++) found.push(reader.nameAt(at));
        after = part.last;
      }
      assert.deepEqual(found, names.sort());
    });
  });
}

test('joined names are split after so many of them', () => {
  assert.deepEqual(splitNames('a/b/c', 2), { some: 'a/b', rest: 'c' });
  assert.deepEqual(splitNames('a/b/c', 3), { some: 'a/b/c', rest: '' });
});
