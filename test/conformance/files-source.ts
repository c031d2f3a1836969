/** Scanning and reading: the half of Files that a backup uses. */
import assert from 'node:assert/strict';
import type { PathKey } from '../../src/model/paths.ts';
import type { FilesOptions, OnFiles } from './files.ts';
import { building, bytes, coded, getFile, key, namesIn, putFile, under } from './files-tools.ts';

export function sourceConformance(on: OnFiles, can: Required<FilesOptions>): void {
  scanning(on);
  confinement(on);
  sources(on);
  if (can.holes) holes(on);
  if (can.longPaths) longPaths(on);
}

const DIFFICULT = [
  '\u0001',
  '\t',
  '\n',
  ' ',
  ' leading',
  '-rf',
  '...',
  '.lowtide',
  'A',
  'a\nb',
  'a\u001b[31m',
  '\\x41',
  'trailing ',
  '\u00c3\u00a4', // ä, composed, in UTF-8
  'a\u00cc\u0088', // ä, decomposed, in UTF-8
  '\u00ff\u00fe', // no UTF-8
  'x'.repeat(255),
  '\u00ff'.repeat(255),
];

function scanning(on: OnFiles): void {
  on('an empty directory has no entries', async (files, root) => {
    assert.deepEqual(await files.scan(root), { entries: [], problems: [] });
  });

  on('every name that a file can have is found, sorted by bytes', async (files, root) => {
    await building(files, root, async (target) => {
      for (const name of DIFFICULT) await putFile(target, name, name);
    });
    const { entries, problems } = await files.scan(root);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      entries.map(({ name }) => name),
      [...DIFFICULT].sort((a, b) => Buffer.compare(bytes(a), bytes(b))),
    );
    for (const name of DIFFICULT) assert.equal(await getFile(files, under(root, name)), name);
  });

  on('every type is told, with its size', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'file', 'hello');
      await target.makeDirectory(key('directory'));
      await target.symlink(key('link'), '/no/where\u00ff', false);
      await target.fifo(key('fifo'), false);
    });
    const { entries } = await files.scan(root);
    assert.deepEqual(
      entries.map(({ name, type, size, target }) => [name, type, size, target]),
      [
        ['directory', 'directory', 0, undefined],
        ['fifo', 'fifo', 0, undefined],
        ['file', 'file', 5, undefined],
        ['link', 'symlink', 10, '/no/where\u00ff'],
      ],
    );
    for (const entry of entries) assert.deepEqual(await files.lstat(under(root, entry.name)), entry);
  });

  on('hard links are one inode', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'a', 'x');
      await target.link(key('b'), key('a'), false);
      await putFile(target, 'c', 'x');
    });
    const [a, b, c] = (await files.scan(root)).entries;
    assert.deepEqual([a?.links, b?.links, c?.links], [2, 2, 1]);
    assert.equal(a?.inode, b?.inode);
    assert.notEqual(a?.inode, c?.inode);
    assert.equal(a?.device, c?.device);
  });

  on('many entries are all found', async (files, root) => {
    await building(files, root, async (target) => {
      for (let at = 0; at < 600; at++) await target.symlink(key(`link-${at}`), `${at}`, false);
    });
    const { entries } = await files.scan(root);
    assert.equal(entries.length, 600);
    assert.ok(entries.every(({ name, target }) => name === `link-${target}`));
  });

  on('a changed directory is seen as it is at each scan', async (files, root, meddle) => {
    await building(files, root, async (target) => {
      await target.makeDirectory(key('d'));
      await putFile(target, 'd/old', 'x');
    });
    assert.deepEqual(await namesIn(files, under(root, 'd')), ['old']);
    await meddle.remove(under(root, 'd'));
    await building(files, root, async (target) => {
      await target.makeDirectory(key('d'));
      await putFile(target, 'd/new', 'x');
    });
    assert.deepEqual(await namesIn(files, under(root, 'd')), ['new']);
    assert.equal(await getFile(files, under(root, 'd/new')), 'x');
  });

  on('a scan of nothing, and below nothing, is not found', async (files, root) => {
    await assert.rejects(files.scan(under(root, 'no')), coded('not-found', 'no'));
    await assert.rejects(files.scan(under(root, 'no/where')), coded('not-found', 'no'));
    assert.equal(await files.lstat(under(root, 'no')), null);
    assert.equal(await files.lstat(under(root, 'no/where')), null);
  });

  on('a file is no directory', async (files, root) => {
    await building(files, root, (target) => putFile(target, 'file', 'x'));
    await assert.rejects(files.scan(under(root, 'file')), coded('source-unreadable', 'file'));
    await assert.rejects(files.scan(under(root, 'file/d')), coded('source-unreadable', 'file'));
    assert.equal(await files.lstat(under(root, 'file/d')), null);
  });
}

function confinement(on: OnFiles): void {
  const linked = (run: Parameters<OnFiles>[1]): Parameters<OnFiles>[1] => {
    return async (files, root, meddle) => {
      await building(files, root, async (target) => {
        for (const directory of ['d', 'd/e', 'secret', 'secret/e'])
          await target.makeDirectory(key(directory));
        await putFile(target, 'd/e/file', 'mine');
        await putFile(target, 'secret/e/file', 'secret');
        await target.symlink(key('link'), 'secret', false);
        await target.symlink(key('to-file'), 'secret/e/file', false);
      });
      await run(files, root, meddle);
    };
  };

  on(
    'a link to a directory is not scanned',
    linked(async (files, root) => {
      await assert.rejects(
        files.scan(under(root, 'link')),
        coded('source-unreadable', 'link', 'symbolic link'),
      );
    }),
  );

  on(
    'nothing is looked at or opened through a link',
    linked(async (files, root) => {
      const through = under(root, 'link/e/file');
      await assert.rejects(
        files.scan(under(root, 'link/e')),
        coded('source-unreadable', 'link', 'symbolic link'),
      );
      await assert.rejects(files.openSource(through), coded('source-unreadable', 'link', 'symbolic link'));
      await assert.rejects(files.lstat(through), coded('source-unreadable', 'link', 'symbolic link'));
    }),
  );

  on(
    'a link to a file is not opened, and lstat tells the link',
    linked(async (files, root) => {
      await assert.rejects(files.openSource(under(root, 'to-file')), coded('source-unreadable', 'to-file'));
      assert.equal((await files.lstat(under(root, 'to-file')))?.target, 'secret/e/file');
    }),
  );

  on(
    'a directory swapped for a link after it was scanned is not followed',
    linked(async (files, root, meddle) => {
      assert.deepEqual(await namesIn(files, under(root, 'd/e')), ['file']);
      await meddle.rename(under(root, 'd'), under(root, 'was'));
      await building(files, root, (target) => target.symlink(key('d'), 'secret', false));
      await assert.rejects(files.openSource(under(root, 'd/e/file')), coded('source-unreadable', 'd'));
      await assert.rejects(files.scan(under(root, 'd/e')), coded('source-unreadable', 'd'));
    }),
  );

  on('a component that leaves its directory is refused', async (files, root) => {
    for (const name of ['..', '.', '']) {
      const path = `${root}\0${name}\0x` as PathKey;
      await assert.rejects(files.scan(path), coded('bad-name'));
      await assert.rejects(files.openSource(path), coded('bad-name'));
      await assert.rejects(files.lstat(path), coded('bad-name'));
    }
  });
}

function sources(on: OnFiles): void {
  on('a source is read from anywhere, fewer bytes only at its end', async (files, root) => {
    await building(files, root, (target) => putFile(target, 'file', 'hello'));
    const source = await files.openSource(under(root, 'file'));
    const into = Buffer.alloc(3);
    assert.equal(await source.read(into, 1), 3);
    assert.equal(into.toString(), 'ell');
    assert.equal(await source.read(into, 3), 2);
    assert.equal(into.toString(), 'lol');
    assert.equal(await source.read(into, 5), 0);
    assert.equal(await source.read(into, 99), 0);
    assert.equal(await source.read(Buffer.alloc(0), 0), 0);
    await source.close();
  });

  on('an open source has the stat of its entry', async (files, root) => {
    await building(files, root, (target) => putFile(target, 'file', 'hello'));
    const { name: _name, ...stat } = (await files.lstat(under(root, 'file')))!;
    const source = await files.openSource(under(root, 'file'));
    assert.deepEqual(await source.stat(), stat);
    await source.close();
  });

  on('an open source stays readable when its name goes', async (files, root, meddle) => {
    await building(files, root, (target) => putFile(target, 'file', 'kept'));
    const source = await files.openSource(under(root, 'file'));
    await meddle.remove(under(root, 'file'));
    const into = Buffer.alloc(4);
    await source.read(into, 0);
    assert.equal(into.toString(), 'kept');
    assert.equal((await source.stat()).links, 0);
    await source.close();
  });

  on('what is no regular file is not opened, and opening a fifo does not wait', async (files, root) => {
    await building(files, root, async (target) => {
      await target.fifo(key('fifo'), false);
      await target.makeDirectory(key('directory'));
    });
    for (const name of ['fifo', 'directory']) {
      await assert.rejects(files.openSource(under(root, name)), coded('source-unreadable', name));
    }
  });

  on('a source that has vanished is not found', async (files, root) => {
    await assert.rejects(files.openSource(under(root, 'no')), coded('not-found', 'no'));
    await assert.rejects(files.openSource(under(root, 'no/where')), coded('not-found', 'no'));
  });

  on('a file without holes is one run of data', async (files, root) => {
    await building(files, root, async (target) => {
      await putFile(target, 'file', 'x'.repeat(10_000));
      await putFile(target, 'empty', '');
    });
    const source = await files.openSource(under(root, 'file'));
    assert.deepEqual(await source.nextData(0), { start: 0, end: 10_000 });
    assert.deepEqual(await source.nextData(7), { start: 7, end: 10_000 });
    assert.equal(await source.nextData(10_000), null);
    await source.close();
    const empty = await files.openSource(under(root, 'empty'));
    assert.equal(await empty.nextData(0), null);
    await empty.close();
  });
}

const HOLE = 1024 * 1024;

function holes(on: OnFiles): void {
  on('holes are told from data, also at the end', async (files, root) => {
    const data = bytes('d'.repeat(65_536));
    await building(files, root, async (target) => {
      const file = await target.createFile(key('sparse'));
      await file.write(data, HOLE);
      await file.write(data, 4 * HOLE);
      await file.finish(8 * HOLE, false, null);
      const empty = await target.createFile(key('all-hole'));
      await empty.finish(8 * HOLE, false, null);
    });
    const entry = await files.lstat(under(root, 'sparse'));
    assert.equal(entry?.size, 8 * HOLE);
    assert.ok(entry.allocated < HOLE, `${entry.allocated}`);
    const source = await files.openSource(under(root, 'sparse'));
    assert.deepEqual(await source.nextData(0), { start: HOLE, end: HOLE + data.length });
    assert.deepEqual(await source.nextData(HOLE + 5), { start: HOLE + 5, end: HOLE + data.length });
    assert.deepEqual(await source.nextData(2 * HOLE), { start: 4 * HOLE, end: 4 * HOLE + data.length });
    assert.equal(await source.nextData(5 * HOLE), null);
    const hole = Buffer.alloc(10, 1);
    assert.equal(await source.read(hole, 0), 10);
    assert.deepEqual(hole, Buffer.alloc(10));
    await source.close();
    const nothing = await files.openSource(under(root, 'all-hole'));
    assert.equal(await nothing.nextData(0), null);
    await nothing.close();
  });
}

function longPaths(on: OnFiles): void {
  on('a path longer than the system takes at once is made, scanned and read', async (files, root) => {
    const parts = Array.from({ length: 20 }, (_, at) => `${at}-`.padEnd(250, 'x'));
    const deep = parts.join('/');
    await building(files, root, async (target) => {
      for (let depth = 1; depth <= parts.length; depth++) {
        await target.makeDirectory(key(parts.slice(0, depth).join('/')));
      }
      await putFile(target, `${deep}/file`, 'far down');
    });
    assert.deepEqual(await namesIn(files, under(root, deep)), ['file']);
    assert.equal(await getFile(files, under(root, `${deep}/file`)), 'far down');
    assert.equal((await files.lstat(under(root, `${deep}/file`)))?.size, 8);
    await assert.rejects(files.scan(under(root, `${deep}/no`)), coded('not-found'));
  });
}
