/** RestoreTarget: names, content and confinement. */
import assert from 'node:assert/strict';
import type { PathKey } from '../../src/model/paths.ts';
import type { RestoreTarget } from '../../src/world/target/ports.ts';
import type { FilesOptions, OnFiles } from './files.ts';
import { building, bytes, coded, entryFor, getFile, key, namesIn, putFile, under } from './files-tools.ts';

export function targetConformance(on: OnFiles, can: Required<FilesOptions>): void {
  contents(on);
  conflicts(on);
  links(on);
  confinement(on);
  devices(on, can);
}

function contents(on: OnFiles): void {
  on('a target is made with its parents, and opened again as it is', async (files, root) => {
    await building(files, under(root, 'new/deep'), (target) => putFile(target, 'a', '1'));
    await building(files, under(root, 'new/deep'), (target) => putFile(target, 'b', '2'));
    assert.deepEqual(await namesIn(files, under(root, 'new/deep')), ['a', 'b']);
  });

  on('a target cannot be where a file is', async (files, root) => {
    await building(files, root, (target) => putFile(target, 'file', 'x'));
    await assert.rejects(files.openTarget(under(root, 'file')), coded('target-exists', 'file'));
    await assert.rejects(files.openTarget(under(root, 'file/below')), coded('target-exists', 'file'));
  });

  on('a file is written in any order, and what is not written is zero', async (files, root) => {
    await building(files, root, async (target) => {
      const file = await target.createFile(key('file'));
      await file.write(bytes('end'), 7);
      await file.write(bytes('go'), 0);
      await file.write(bytes(''), 5);
      await file.finish(12, false, null);
    });
    assert.equal(await getFile(files, under(root, 'file')), 'go\0\0\0\0\0end\0\0');
  });

  on('a file that was written too far is cut', async (files, root) => {
    await building(files, root, async (target) => {
      const file = await target.createFile(key('file'));
      await file.write(bytes('hello'), 0);
      await file.finish(2, false, null);
    });
    assert.equal(await getFile(files, under(root, 'file')), 'he');
  });

  on('before finish the name is free, and after discard nothing is left', async (files, root) => {
    await building(files, root, async (target) => {
      const file = await target.createFile(key('file'));
      await file.write(bytes('x'), 0);
      assert.equal(await target.lstat(key('file')), null);
      await file.discard();
      await file.discard();
    });
    assert.deepEqual(await namesIn(files, root), []);
  });

  on('several files may be under way in one directory, also of one name', async (files, root) => {
    await building(files, root, async (target) => {
      const [first, second] = await Promise.all([target.createFile(key('a')), target.createFile(key('a'))]);
      await Promise.all([first.write(bytes('1'), 0), second.write(bytes('2'), 0)]);
      await first.finish(1, false, null);
      await second.finish(1, true, null);
    });
    assert.deepEqual(await namesIn(files, root), ['a']);
    assert.equal(await getFile(files, under(root, 'a')), '2');
  });

  on('new files are private until their metadata say otherwise', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'file', 'x');
      await target.makeDirectory(key('directory'));
    });
    assert.equal((await files.lstat(under(root, 'file')))?.mode, 0o600);
    assert.equal((await files.lstat(under(root, 'directory')))?.mode, 0o700);
  });

  on('lstat tells what a target has', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'file', 'hello');
      assert.deepEqual(await target.lstat(key('file')), await files.lstat(under(root, 'file')));
      assert.equal((await target.lstat(key('')))?.type, 'directory');
      assert.equal(await target.lstat(key('no')), null);
      assert.equal(await target.lstat(key('no/where')), null);
      assert.equal(await target.lstat(key('file/below')), null);
    });
  });

  on('sync succeeds, with and without anything to sync', async (files, root) => {
    await building(files, root, async (target) => {
      await target.sync();
      await target.makeDirectory(key('d'));
      await putFile(target, 'd/file', 'x');
      await target.sync();
      await putFile(target, 'd/other', 'x');
      await target.sync();
    });
  });

  on('a parent that was not made is not found', async (files, root) => {
    await building(files, root, async (target) => {
      await assert.rejects(target.createFile(key('no/file')), coded('not-found', 'no'));
      await assert.rejects(target.makeDirectory(key('no/directory')), coded('not-found', 'no'));
      await assert.rejects(target.symlink(key('no/link'), 'x', false), coded('not-found', 'no'));
    });
  });
}

const makers: Record<string, (target: RestoreTarget, path: PathKey, replace: boolean) => Promise<void>> = {
  file: async (target, path, replace) => {
    const file = await target.createFile(path);
    await file.write(bytes('new'), 0);
    await file.finish(3, replace, null).catch(async (error: unknown) => {
      await file.discard();
      throw error;
    });
  },
  symlink: (target, path, replace) => target.symlink(path, 'elsewhere', replace),
  link: (target, path, replace) => target.link(path, key('origin'), replace),
  fifo: (target, path, replace) => target.fifo(path, replace),
};
const typeMade: Record<string, string> = { file: 'file', symlink: 'symlink', link: 'file', fifo: 'fifo' };

function conflicts(on: OnFiles): void {
  for (const [what, make] of Object.entries(makers)) {
    on(`a ${what} never takes a name that is taken, unless it may replace`, async (files, root) => {
      await building(files, root, async (target) => {
        await putFile(target, 'origin', 'origin');
        await putFile(target, 'file', 'old');
        await target.symlink(key('symlink'), 'file', false);
        await target.symlink(key('dangling'), 'nowhere', false);
        await target.fifo(key('fifo'), false);
        const names = await namesIn(files, root);
        for (const name of ['file', 'symlink', 'dangling', 'fifo']) {
          const before = await target.lstat(key(name));
          await assert.rejects(make(target, key(name), false), coded('target-exists', name));
          const after = await target.lstat(key(name));
          assert.deepEqual([after?.type, after?.inode], [before?.type, before?.inode]);
          if (name === 'file') assert.equal(await getFile(files, under(root, 'file')), 'old');
          await make(target, key(name), true);
          assert.equal((await target.lstat(key(name)))?.type, typeMade[what]);
        }
        assert.deepEqual(await namesIn(files, root), names);
        assert.equal(await getFile(files, under(root, 'origin')), 'origin');
      });
    });

    on(`a ${what} never replaces a directory`, async (files, root) => {
      await building(files, root, async (target) => {
        await putFile(target, 'origin', 'origin');
        await target.makeDirectory(key('empty'));
        await target.makeDirectory(key('full'));
        await putFile(target, 'full/kept', 'x');
        for (const name of ['empty', 'full']) {
          await assert.rejects(make(target, key(name), true), coded('target-exists', name));
          await assert.rejects(make(target, key(name), false), coded('target-exists', name));
        }
        await assert.rejects(make(target, key(''), true), coded('target-exists'));
      });
      assert.deepEqual(await namesIn(files, root), ['empty', 'full', 'origin']);
      assert.deepEqual(await namesIn(files, under(root, 'full')), ['kept']);
    });
  }

  on('a directory may be there already, and nothing else may', async (files, root) => {
    await building(files, root, async (target) => {
      await target.makeDirectory(key('d'));
      await putFile(target, 'd/kept', 'x');
      await target.makeDirectory(key('d'));
      await target.makeDirectory(key(''));
      await putFile(target, 'file', 'x');
      await target.symlink(key('link'), 'd', false);
      await assert.rejects(target.makeDirectory(key('file')), coded('target-exists', 'file'));
      await assert.rejects(target.makeDirectory(key('link')), coded('target-exists', 'link'));
    });
    assert.deepEqual(await namesIn(files, under(root, 'd')), ['kept']);
  });
}

function links(on: OnFiles): void {
  on('a hard link is the same inode', async (files, root) => {
    await building(files, root, async (target) => {
      await target.makeDirectory(key('d'));
      await putFile(target, 'a', 'x');
      await target.link(key('d/b'), key('a'), false);
    });
    const [a, b] = [await files.lstat(under(root, 'a')), await files.lstat(under(root, 'd/b'))];
    assert.equal(a?.inode, b?.inode);
    assert.equal(b?.links, 2);
  });

  on('a hard link to what is no target of it is not found', async (files, root) => {
    await building(files, root, async (target) => {
      await assert.rejects(target.link(key('b'), key('a'), false), coded('not-found', 'a'));
    });
  });

  on('a hard link to a symlink is one to the symlink', async (files, root) => {
    await building(files, root, async (target) => {
      await target.symlink(key('s'), 'nowhere', false);
      await target.link(key('t'), key('s'), false);
    });
    const [s, t] = [await files.lstat(under(root, 's')), await files.lstat(under(root, 't'))];
    assert.deepEqual([t?.type, t?.target, t?.inode], ['symlink', 'nowhere', s?.inode]);
  });

  on('a hard link that replaces another of the same inode leaves nothing behind', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'a', 'x');
      await target.link(key('b'), key('a'), false);
      await target.link(key('b'), key('a'), true);
      await target.link(key('a'), key('a'), true);
    });
    assert.deepEqual(await namesIn(files, root), ['a', 'b']);
    assert.equal((await files.lstat(under(root, 'a')))?.links, 2);
  });

  on('the target of a symlink is bytes', async (files, root) => {
    const target = '\u00ff/\u0001 \n'.padEnd(4000, '\u00c3');
    await building(files, root, (made) => made.symlink(key('s'), target, false));
    assert.equal((await files.lstat(under(root, 's')))?.target, target);
  });
}

function confinement(on: OnFiles): void {
  on('nothing is made through a planted symlink', async (files, root) => {
    await building(files, root, async (target) => {
      await target.makeDirectory(key('outside'));
      await putFile(target, 'outside/origin', 'x');
    });
    await building(files, under(root, 'in'), async (target) => {
      await putFile(target, 'origin', 'x');
      await target.symlink(key('planted'), '../outside', false);
      for (const make of Object.values(makers)) {
        await assert.rejects(make(target, key('planted/new'), false), coded('target-exists', 'planted'));
        await assert.rejects(make(target, key('planted/origin'), true), coded('target-exists', 'planted'));
      }
      await assert.rejects(target.makeDirectory(key('planted/d')), coded('target-exists', 'planted'));
      await assert.rejects(
        target.link(key('stolen'), key('planted/origin'), false),
        coded('target-exists', 'planted'),
      );
      await assert.rejects(target.lstat(key('planted/origin')), coded('target-exists', 'planted'));
      const entry = entryFor({ uid: 0, gid: 0 }, 'file', { mode: 0o777 });
      assert.notDeepEqual(await target.applyMetadata(key('planted/origin'), entry), []);
    });
    assert.deepEqual(await namesIn(files, under(root, 'outside')), ['origin']);
    assert.equal((await files.lstat(under(root, 'outside/origin')))?.mode, 0o600);
  });

  on(
    'a directory swapped for a symlink while a file in it is written is not followed',
    async (files, root, meddle) => {
      await building(files, root, (target) => target.makeDirectory(key('outside')));
      await building(files, under(root, 'in'), async (target) => {
        await target.makeDirectory(key('d'));
        const file = await target.createFile(key('d/file'));
        await file.write(bytes('x'), 0);
        await meddle.rename(under(root, 'in/d'), under(root, 'in/was'));
        await target.symlink(key('d'), '../outside', false);
        await file.finish(1, false, null).catch(() => file.discard());
      });
      assert.deepEqual(await namesIn(files, under(root, 'outside')), []);
    },
  );

  on('names that leave their directory are refused', async (files, root) => {
    await building(files, under(root, 'in'), async (target) => {
      await putFile(target, 'origin', 'x');
      for (const name of ['..', '.', 'a/b', 'x'.repeat(256)]) {
        for (const path of [name, `${name}\0file`] as PathKey[]) {
          for (const make of Object.values(makers)) {
            await assert.rejects(make(target, path, false), coded('bad-name'));
          }
          await assert.rejects(target.makeDirectory(path), coded('bad-name'));
          await assert.rejects(target.link(key('b'), path, false), coded('bad-name'));
          await assert.rejects(target.lstat(path), coded('bad-name'));
        }
      }
    });
    assert.deepEqual(await namesIn(files, root), ['in']);
    assert.deepEqual(await namesIn(files, under(root, 'in')), ['origin']);
  });
}

function devices(on: OnFiles, can: Required<FilesOptions>): void {
  const nodes = [
    entryFor({ uid: 0, gid: 0 }, 'character-device', { rdev: { major: 1, minor: 3 } }),
    entryFor({ uid: 0, gid: 0 }, 'block-device', { rdev: { major: 259, minor: 70_000 } }),
  ];
  if (!can.devices) {
    on('a device without the right to make one is forbidden', async (files, root) => {
      await building(files, root, async (target) => {
        for (const entry of nodes)
          await assert.rejects(target.device(key('d'), entry, false), coded('forbidden'));
      });
    });
    return;
  }
  on('devices are made with their numbers', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'taken', 'x');
      for (const entry of nodes) {
        await target.device(key(entry.type), entry, false);
        const made = await target.lstat(key(entry.type));
        assert.deepEqual([made?.type, made?.rdev, made?.size], [entry.type, entry.rdev, 0]);
        await assert.rejects(target.device(key('taken'), entry, false), coded('target-exists', 'taken'));
        await assert.rejects(files.openSource(under(root, entry.type)), coded('source-unreadable'));
      }
      await target.device(key('taken'), nodes[0]!, true);
      assert.equal((await target.lstat(key('taken')))?.type, 'character-device');
    });
  });
}
