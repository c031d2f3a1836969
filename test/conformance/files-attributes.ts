/** Extended attributes, inode flags and names of owners: Files.attributes, Files.accounts, and what a target takes. */
import assert from 'node:assert/strict';
import type { EntryType, ExtendedAttribute } from '../../src/model/entries.ts';
import type { PathKey } from '../../src/model/paths.ts';
import type { Files, FoundAttributes } from '../../src/world/ports.ts';
import type { FilesOptions, OnFiles } from './files.ts';
import { building, bytes, coded, entryFor, key, putFile, under } from './files-tools.ts';

const NODUMP = 0x40;
const GIVEN: readonly ExtendedAttribute[] = [
  { name: 'user.\u00ff', value: bytes('\0\u00ff\n') },
  { name: 'user.comment', value: bytes('x'.repeat(1000)) },
  { name: 'user.empty', value: bytes('') },
];

export function attributesConformance(on: OnFiles, can: Required<FilesOptions>): void {
  reading(on);
  accounts(on);
  if (can.attributes) giving(on);
}

async function found(
  files: Files,
  directory: PathKey,
  ...names: readonly (readonly [name: string, type: EntryType])[]
): Promise<readonly FoundAttributes[]> {
  return files.attributes(
    directory,
    names.map(([name, type]) => ({ name: key(name) as string as never, type })),
  );
}

const shown = (xattrs: readonly ExtendedAttribute[]) =>
  xattrs.map(({ name, value }) => `${name}=${Buffer.from(value).toString('latin1')}`).sort();

function reading(on: OnFiles): void {
  on('what has no attributes has none, of every type, and is no refusal', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'file', 'x');
      await target.makeDirectory(key('directory'));
      await target.symlink(key('link'), 'nowhere', false);
      await target.fifo(key('fifo'), false);
    });
    const all = await found(
      files,
      root,
      ['directory', 'directory'],
      ['fifo', 'fifo'],
      ['file', 'file'],
      ['link', 'symlink'],
    );
    assert.equal(all.length, 4);
    for (const one of all) assert.deepEqual(one, { xattrs: [], flags: 0, refused: [] });
  });

  on('what is gone has no attributes, and in what is gone there are none', async (files, root) => {
    await building(files, root, (target) => target.makeDirectory(key('d')));
    const none = [{ xattrs: [], flags: 0, refused: [] }];
    assert.deepEqual(await found(files, under(root, 'd'), ['no', 'file']), none);
    await assert.rejects(found(files, under(root, 'no'), ['a', 'file']), coded('not-found', 'no'));
  });
}

function accounts(on: OnFiles): void {
  on('users and groups are known by number and by name, and unknown ones are null', async ({ accounts }) => {
    assert.deepEqual([await accounts.userName(0), await accounts.userId('root')], ['root', 0]);
    assert.deepEqual([await accounts.groupName(0), await accounts.groupId('root')], ['root', 0]);
    assert.deepEqual([await accounts.userName(54_321), await accounts.groupName(54_321)], [null, null]);
    for (const name of ['', 'no such user', '0', '-1', '--help'])
      assert.deepEqual([await accounts.userId(name), await accounts.groupId(name)], [null, null], name);
  });
}

function giving(on: OnFiles): void {
  on('extended attributes are given with metadata and found again', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'file', 'x');
      await target.makeDirectory(key('directory'));
      for (const type of ['file', 'directory'] as const) {
        const like = (await target.lstat(key(type)))!;
        const metadata = { ...entryFor(like, type, { mode: 0o500 }), xattrs: GIVEN };
        assert.deepEqual(await target.applyMetadata(key(type), metadata), []);
        const now = (await target.lstat(key(type)))!;
        assert.deepEqual([now.mode, now.mtime], [0o500, metadata.mtime]);
      }
    });
    for (const one of await found(files, root, ['directory', 'directory'], ['file', 'file']))
      assert.deepEqual([shown(one.xattrs), one.refused], [shown(GIVEN), []]);
  });

  on('a file has its extended attributes with its name', async (files, root) => {
    await building(files, root, async (target) => {
      const file = await target.createFile(key('file'));
      const like = (await target.lstat(key('')))!;
      assert.deepEqual(await file.finish(0, false, { ...entryFor(like, 'file'), xattrs: GIVEN }), []);
    });
    const [one] = await found(files, root, ['file', 'file']);
    assert.deepEqual(shown(one!.xattrs), shown(GIVEN));
  });

  on('flags are set and found again, on files and directories', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'file', 'x');
      await target.makeDirectory(key('directory'));
      for (const name of ['file', 'directory', ''])
        assert.deepEqual(await target.setFlags(key(name), NODUMP), []);
    });
    const all = await found(files, root, ['directory', 'directory'], ['file', 'file'], ['', 'directory']);
    assert.deepEqual(
      all.map(({ flags }) => flags),
      [NODUMP, NODUMP, NODUMP],
    );
  });
}
