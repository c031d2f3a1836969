/** RestoreTarget.applyMetadata. */
import assert from 'node:assert/strict';
import type { EntryType } from '../../src/model/entries.ts';
import type { PathKey } from '../../src/model/paths.ts';
import type { Files } from '../../src/world/ports.ts';
import type { RestoreTarget } from '../../src/world/target/ports.ts';
import type { FilesOptions, OnFiles } from './files.ts';
import { building, bytes, coded, entryFor, getFile, key, namesIn, putFile, under } from './files-tools.ts';

/** Seconds and nanoseconds: just before 1970, far before, in 1970, 32 bits of seconds, and after. */
const TIMES = [-1n, -1_000_000_000n * 86_400n * 365n - 999_999_999n, 0n, 1n, 2n ** 31n * 1_000_000_000n - 1n];
const FUTURE = [2n ** 31n * 1_000_000_000n + 1n, 4_102_444_800_123_456_789n];

const makers: Partial<Record<EntryType, (target: RestoreTarget, path: PathKey) => Promise<void>>> = {
  file: (target) => putFile(target, 'it', 'x'),
  directory: (target, path) => target.makeDirectory(path),
  symlink: (target, path) => target.symlink(path, 'nowhere', false),
  fifo: (target, path) => target.fifo(path, false),
};

export function metadataConformance(on: OnFiles, can: Required<FilesOptions>): void {
  for (const [type, make] of Object.entries(makers) as [EntryType, (typeof makers)['file'] & {}][]) {
    on(`a ${type} takes times to the nanosecond, before 1970 too`, async (files, root) => {
      await building(files, root, async (target) => {
        await make(target, key('it'));
        for (const mtime of can.futureTimes ? [...TIMES, ...FUTURE] : TIMES) {
          const entry = entryFor((await target.lstat(key('it')))!, type, { mtime });
          assert.deepEqual(await target.applyMetadata(key('it'), entry), []);
          assert.equal((await target.lstat(key('it')))?.mtime, mtime);
        }
      });
    });
  }
  withNames(on);
  modes(on);
  owners(on, can);
  refusals(on);
}

function withNames(on: OnFiles): void {
  on('a file has its metadata when it gets its name', async (files, root) => {
    await building(files, root, async (target) => {
      const { uid, gid } = (await target.lstat(key('')))!;
      for (const owner of [
        { uid, gid },
        { uid: null, gid: null },
      ]) {
        const file = await target.createFile(key('it'));
        await file.write(bytes('x'), 0);
        const metadata = { type: 'file', mode: 0o4711, mtime: -5n, ...owner } as const;
        assert.deepEqual(await file.finish(1, true, metadata), []);
        const now = (await target.lstat(key('it')))!;
        assert.deepEqual([now.mode, now.mtime, now.uid, now.gid], [0o4711, -5n, uid, gid]);
      }
    });
  });

  on('a file that may not take its name leaves what has it as it is', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'it', 'old');
      const before = await target.lstat(key('it'));
      const file = await target.createFile(key('it'));
      const metadata = { type: 'file', mode: 0o777, mtime: 5n, uid: null, gid: null } as const;
      await assert.rejects(file.finish(0, false, metadata), coded('target-exists', 'it'));
      assert.deepEqual(await target.lstat(key('it')), before);
    });
    assert.deepEqual(await namesIn(files, root), ['it']);
  });

  on('what is under way is not swept, whoever makes its directory again', async (files, root) => {
    await building(files, root, async (target) => {
      await target.makeDirectory(key('d'));
      const file = await target.createFile(key('d/it'));
      await building(files, root, (other) => other.makeDirectory(key('d')));
      await target.makeDirectory(key('d'));
      await file.finish(0, false, null);
    });
    assert.deepEqual(await namesIn(files, under(root, 'd')), ['it']);
  });
}

async function applied(
  files: Files,
  root: PathKey,
  type: EntryType,
  mode: number,
): Promise<number | undefined> {
  await building(files, root, async (target) => {
    const entry = entryFor((await target.lstat(key('it')))!, type, { mode });
    assert.deepEqual(await target.applyMetadata(key('it'), entry), []);
  });
  return (await files.lstat(under(root, 'it')))?.mode;
}

function modes(on: OnFiles): void {
  on('every bit of a mode is set, whatever the umask', async (files, root) => {
    await building(files, root, (target) => putFile(target, 'it', 'x'));
    for (const mode of [0o000, 0o644, 0o777, 0o4755, 0o2755, 0o1777, 0o6777]) {
      assert.equal(await applied(files, root, 'file', mode), mode);
    }
  });

  on('a directory takes its mode, and without any it still takes it', async (files, root) => {
    await building(files, root, (target) => target.makeDirectory(key('it')));
    for (const mode of [0o000, 0o2775, 0o1777, 0o755]) {
      assert.equal(await applied(files, root, 'directory', mode), mode);
    }
  });

  on('a symlink’s mode is left alone, and so is what it points to', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'pointed-to', 'x');
      const before = await target.lstat(key('pointed-to'));
      await target.symlink(key('it'), 'pointed-to', false);
      const entry = entryFor((await target.lstat(key('it')))!, 'symlink', { mode: 0o4755, mtime: 5n });
      assert.deepEqual(await target.applyMetadata(key('it'), entry), []);
      assert.deepEqual(await target.lstat(key('pointed-to')), before);
      assert.equal((await target.lstat(key('it')))?.mtime, 5n);
    });
  });

  on('metadata leave the content as it is, and the root takes them too', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'it', 'content');
      const like = (await target.lstat(key('it')))!;
      await target.applyMetadata(key('it'), entryFor(like, 'file'));
      assert.deepEqual(
        await target.applyMetadata(key(''), entryFor(like, 'directory', { mode: 0o750, mtime: 7n })),
        [],
      );
      const now = await target.lstat(key(''));
      assert.deepEqual([now?.mode, now?.mtime], [0o750, 7n]);
    });
    assert.equal(await getFile(files, under(root, 'it')), 'content');
  });
}

function owners(on: OnFiles, can: Required<FilesOptions>): void {
  const others = { uid: 54_321, gid: 54_322 };
  if (can.owners) {
    on('owner and group are set on everything, and set-id bits survive it', async (files, root) => {
      for (const type of ['file', 'directory', 'symlink', 'fifo'] as const) {
        await building(files, under(root, type), async (target) => {
          await makers[type]!(target, key('it'));
          const entry = entryFor(others, type, { mode: 0o6755 });
          assert.deepEqual(await target.applyMetadata(key('it'), entry), []);
          const now = await target.lstat(key('it'));
          assert.deepEqual([now?.uid, now?.gid, now?.mtime], [others.uid, others.gid, entry.mtime]);
          if (type !== 'symlink') assert.equal(now?.mode, 0o6755);
        });
      }
    });
    return;
  }
  on('an owner that cannot be set is refused, and set-id bits with it', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'it', 'x');
      const entry = entryFor(others, 'file', { mode: 0o6755 });
      const refused = await target.applyMetadata(key('it'), entry);
      assert.deepEqual(
        refused.map(({ what }) => what),
        ['owner', 'mode'],
      );
      const now = await target.lstat(key('it'));
      assert.deepEqual([now?.mode, now?.mtime], [0o755, entry.mtime]);
    });
  });
}

function refusals(on: OnFiles): void {
  on('metadata of what is not there, or is something else, are refused, not thrown', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'it', 'x');
      await target.symlink(key('link'), 'it', false);
      const before = await target.lstat(key('it'));
      const entry = entryFor(before!, 'file', { mode: 0o777 });
      for (const path of ['no', 'no/where', 'it/below', 'link', '..']) {
        const refused = await target.applyMetadata(key(path), entry);
        assert.ok(refused.length > 0, path);
        assert.ok(refused.every(({ message }) => message.length > 0));
      }
      assert.deepEqual(await target.lstat(key('it')), before);
    });
  });
}
