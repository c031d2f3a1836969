import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathKeyOf, type PathKey } from '../../model/paths.ts';
import { realFiles } from './files.ts';
import { inlineWork } from '../threads/inline-work.ts';
import { loadKernels } from '../threads/kernels.ts';
import { nativeLoader } from '../system/native.ts';
import { HEAD_BYTES, packHead } from './packed-entries.ts';
import type { Files, SmallReads } from '../ports.ts';
import { READ, READ_AND_BARE } from './read-answers.ts';
import { loadSystemCalls, type SystemCalls } from '../system/system-calls.ts';

const NO_DUMP_FLAG = 0x40;
/** With the calls that threads make, and with those that are made where they cannot be had. */
const WAYS: readonly Files[] = [realFiles(nativeLoader(), inlineWork(1, loadKernels())), realFiles()];

async function inFolder(
  run: (files: Files, folder: string) => Promise<void>,
  files = WAYS[0]!,
): Promise<void> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'lowtide-small-')));
  try {
    await run(files, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Asks for files as they are now, a hundred bytes for each. */
async function readsOf(files: Files, paths: readonly PathKey[]): Promise<SmallReads> {
  const into = new Uint8Array(new SharedArrayBuffer(paths.length * 100));
  const heads = Buffer.alloc(paths.length * HEAD_BYTES);
  for (const [at, path] of paths.entries()) packHead((await files.lstat(path))!, heads, at * HEAD_BYTES);
  return { paths, heads, places: Uint32Array.from(paths, (_, at) => at * 100), into };
}

test('many files of several directories come into their places', async () => {
  await inFolder(async (files, folder) => {
    const names = ['a', 'b', 'd/c', 'd/\u00ff', 'e/f/g', 'h'];
    mkdirSync(join(folder, 'd'));
    mkdirSync(join(folder, 'e/f'), { recursive: true });
    for (const name of names) writeFileSync(join(folder, name), `content of ${name}`);
    const reads = await readsOf(
      files,
      names.map((name) => pathKeyOf(join(folder, name))),
    );
    assert.deepEqual([...(await files.readSmall!(reads))], Array(6).fill(READ_AND_BARE));
    for (const [at, name] of names.entries()) {
      const text = Buffer.from(reads.into.slice(at * 100, at * 100 + 100)).toString();
      assert.equal(text.replace(/\0+$/, ''), `content of ${name}`);
    }
  });
});

const notWhatWasSeen = (ways: Files, answer: number): Promise<void> =>
  inFolder(async (files, folder) => {
    const names = ['changed', 'gone', 'link', 'pipe', 'here', 'was/moved'];
    mkdirSync(join(folder, 'was'));
    for (const name of names) writeFileSync(join(folder, name), `content of ${name}`);
    const reads = await readsOf(
      files,
      names.map((name) => pathKeyOf(join(folder, name))),
    );
    writeFileSync(join(folder, 'changed'), 'other content of it');
    for (const name of ['gone', 'link', 'pipe']) rmSync(join(folder, name));
    symlinkSync('here', join(folder, 'link'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    rmSync(join(folder, 'was'), { recursive: true });
    symlinkSync('.', join(folder, 'was'));
    writeFileSync(join(folder, 'moved'), 'content of was/moved');
    assert.deepEqual([...(await files.readSmall!(reads))], [0, 0, 0, 0, answer, 0]);
  }, ways);

test('what is not what the walk saw is not read, and nothing else is followed or waited for', async () => {
  await notWhatWasSeen(WAYS[0]!, READ_AND_BARE);
  await notWhatWasSeen(WAYS[1]!, READ);
});

/** The calls of the system, of which every read takes long; told of each. */
function slowSystem(told: string[]): SystemCalls {
  const system = loadSystemCalls()!;
  return {
    ...system,
    openIn(directory, name) {
      told.push('open');
      return system.openIn(directory, name);
    },
    willNeed(descriptor, bytes) {
      told.push(`need ${bytes}`);
      system.willNeed(descriptor, bytes);
    },
    read(descriptor, into, position) {
      told.push('read');
      for (const start = performance.now(); performance.now() - start < 1;);
      return system.read(descriptor, into, position);
    },
    close(descriptor) {
      told.push('close');
      return system.close(descriptor);
    },
  };
}

test('after a file that the disk had to read, the next ones are asked of it together, and are bounded', async () => {
  const told: string[] = [];
  const kernels = { ...loadKernels(), system: () => slowSystem(told) };
  await inFolder(
    async (files, folder) => {
      const names = Array.from({ length: 40 }, (_, at) => `d${at % 2}/f${at}`).sort();
      for (const name of ['d0', 'd1']) mkdirSync(join(folder, name));
      for (const name of names) writeFileSync(join(folder, name), `content of ${name}`);
      const reads = await readsOf(
        files,
        names.map((name) => pathKeyOf(join(folder, name))),
      );
      rmSync(join(folder, names[3]!));
      const answers = [...(await files.readSmall!(reads))];
      assert.deepEqual(
        answers,
        names.map((_, at) => (at === 3 ? 0 : READ_AND_BARE)),
      );
      for (const at of [0, 1, 2, 20, 39]) {
        const text = Buffer.from(reads.into.slice(at * 100, at * 100 + 100)).toString();
        assert.equal(text.replace(/\0+$/, ''), `content of ${names[at]}`);
      }
      const firstOnes = told.slice(0, told.indexOf('read', told.indexOf('close')));
      const opens = firstOnes.filter((call) => call === 'open').length;
      const needs = firstOnes.filter((call) => call.startsWith('need')).length;
      // The first alone; the next 32 before any of them is read, of which one is gone.
      assert.deepEqual([opens, needs], [33, 31]);
      assert.equal(told.filter((call) => call === 'close').length, 39);
    },
    realFiles(nativeLoader(), inlineWork(1, kernels)),
  );
});

test('what has an attribute or a flag is not taken for bare', async () => {
  await inFolder(async (files, folder) => {
    const names = ['with attribute', 'without', 'with flag'];
    for (const name of names) writeFileSync(join(folder, name), name);
    const { attributes } = nativeLoader()();
    const path = Buffer.from(join(folder, names[0]!));
    attributes.set({ path, lastLink: 'kept' }, 'user.of', Buffer.from('it'));
    const flagged = openSync(join(folder, names[2]!), 'r');
    attributes.setFlags(flagged, NO_DUMP_FLAG);
    closeSync(flagged);
    const reads = await readsOf(
      files,
      names.map((name) => pathKeyOf(join(folder, name))),
    );
    assert.deepEqual([...(await files.readSmall!(reads))], [READ, READ_AND_BARE, READ]);
  });
});
