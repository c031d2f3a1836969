import { execFileSync } from 'node:child_process';
import {
  lutimesSync,
  mkdirSync,
  openSync,
  closeSync,
  symlinkSync,
  linkSync,
  writeFileSync,
  writeSync,
  truncateSync,
  chmodSync,
  utimesSync,
} from 'node:fs';

const bytes = (root: string, name: Buffer): Buffer => Buffer.concat([Buffer.from(`${root}/`), name]);

/** Names that programs stumble over; every one is legal on Linux. */
const NAMES: readonly Buffer[] = [
  'plain',
  ' leading and trailing ',
  '-rf',
  '--help',
  'new\nline',
  'car\rriage',
  'tab\there',
  '\x1b[31mred',
  "quote\"s 'and' `ticks` $HOME",
  'back\\slash',
  'CON',
  'a:b',
  'dot.',
  '...',
  '~',
  '*?[x]',
  'é composed',
  'é decomposed',
  'ä',
  'Ä',
  '‮right to left',
  '日本語',
  '😀',
  'x'.repeat(255),
].map((name) => Buffer.from(name));
const INVALID_UTF8 = Buffer.from([0xff, 0xfe, 0x41, 0x80]);

/** Makes a tree of difficult names, links, modes, times and sizes below `root`, which must not exist. */
export function makeDifficultTree(root: string): void {
  mkdirSync(root);
  mkdirSync(`${root}/names`);
  for (const name of [...NAMES, INVALID_UTF8]) writeFileSync(bytes(`${root}/names`, name), name);
  mkdirSync(bytes(`${root}/names`, Buffer.from([0x64, 0xff])));
  writeFileSync(
    Buffer.concat([bytes(`${root}/names`, Buffer.from([0x64, 0xff])), Buffer.from('/inside')]),
    'x',
  );
  makeSizes(`${root}/sizes`);
  makeLinks(`${root}/links`);
  makeModes(`${root}/modes`);
  makeTimes(`${root}/times`);
  makeSpecial(`${root}/special`);
  mkdirSync(`${root}/empty`);
  mkdirSync(`${root}/${Array.from({ length: 120 }, (_, depth) => `level-${depth}`).join('/')}`, {
    recursive: true,
  });
}

function makeSizes(folder: string): void {
  mkdirSync(folder);
  const chunk = 256 * 1024;
  for (const size of [0, 1, 63, 64, 65, 4095, 4096, chunk - 1, chunk, chunk + 1, 4 * chunk, 9_000_001]) {
    writeFileSync(`${folder}/${size}`, Buffer.alloc(size, `content of ${size} bytes `));
  }
  const sparse = openSync(`${folder}/sparse`, 'w');
  writeSync(sparse, 'start', 0);
  writeSync(sparse, 'middle', 40 * 1024 * 1024);
  closeSync(sparse);
  truncateSync(`${folder}/sparse`, 80 * 1024 * 1024);
  writeFileSync(`${folder}/zeros`, Buffer.alloc(3_000_000));
}

function makeLinks(folder: string): void {
  mkdirSync(folder);
  writeFileSync(`${folder}/one`, 'shared content');
  for (const name of ['two', 'three']) linkSync(`${folder}/one`, `${folder}/${name}`);
  mkdirSync(`${folder}/elsewhere`);
  linkSync(`${folder}/one`, `${folder}/elsewhere/four`);
  writeFileSync(`${folder}/empty-one`, '');
  linkSync(`${folder}/empty-one`, `${folder}/empty-two`);
  symlinkSync('one', `${folder}/relative`);
  symlinkSync('/etc/hostname', `${folder}/absolute`);
  symlinkSync('nowhere', `${folder}/dangling`);
  symlinkSync('.', `${folder}/loop`);
  symlinkSync(Buffer.from([0xff, 0x2f, 0xfe]), `${folder}/odd-target`);
  linkSync(`${folder}/relative`, `${folder}/relative-linked`);
}

function makeModes(folder: string): void {
  mkdirSync(folder);
  for (const mode of [0o000, 0o400, 0o444, 0o600, 0o755, 0o777, 0o4755, 0o2755, 0o6711]) {
    const path = `${folder}/${mode.toString(8)}`;
    writeFileSync(path, `mode ${mode}`);
    chmodSync(path, mode);
  }
  mkdirSync(`${folder}/sticky`);
  chmodSync(`${folder}/sticky`, 0o1777);
  mkdirSync(`${folder}/read-only`);
  writeFileSync(`${folder}/read-only/file`, 'in a folder that nobody may write to');
  chmodSync(`${folder}/read-only`, 0o555);
}

function makeTimes(folder: string): void {
  mkdirSync(folder);
  for (const when of [
    '1901-12-14 00:00:00',
    '1969-12-31 23:59:59.5',
    '1970-01-01 00:00:00',
    '2038-01-20 00:00:00',
    '2100-02-28 12:00:00',
    '2026-01-02 03:04:05.123456789',
  ]) {
    const path = `${folder}/${when.replaceAll(/\D/g, '')}`;
    writeFileSync(path, when);
    execFileSync('touch', ['-d', `${when} UTC`, path]);
  }
  mkdirSync(`${folder}/folder`);
  writeFileSync(`${folder}/folder/child`, 'made before the folder got its time');
  utimesSync(`${folder}/folder`, 1_000_000_000, 1_000_000_000);
  symlinkSync('nowhere', `${folder}/link`);
  lutimesSync(`${folder}/link`, 1_100_000_000, 1_100_000_000);
}

function makeSpecial(folder: string): void {
  mkdirSync(folder);
  execFileSync('mkfifo', ['-m', '640', `${folder}/fifo`]);
  if (process.getuid?.() !== 0) return;
  execFileSync('mknod', ['-m', '600', `${folder}/null`, 'c', '1', '3']);
  writeFileSync(`${folder}/someone-elses`, 'owner by number');
  execFileSync('chown', ['12345:54321', `${folder}/someone-elses`]);
}

/**
 * Everything about a tree that a restore must bring back, as find and sha256sum of this machine see it: nothing of it
 * is our own code.
 */
export function describeTree(root: string): string {
  const find = (args: readonly string[]): string =>
    execFileSync('find', ['.', ...args], { cwd: root, encoding: 'latin1', maxBuffer: 1 << 30 });
  const entries = find(['-mindepth', '1', '-not', '-type', 'd', '-printf', '%p|%y|%m|%U|%G|%s|%T@|%n|%l\\0']);
  const folders = find(['-mindepth', '1', '-type', 'd', '-printf', '%p|%y|%m|%U|%G|%T@\\0']);
  const sums = execFileSync(
    'sh',
    ['-c', 'find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum -z'],
    {
      cwd: root,
      encoding: 'latin1',
      maxBuffer: 1 << 30,
    },
  );
  const groups = find(['-type', 'f', '-links', '+1', '-printf', '%i %p\\0']);
  return [sorted(entries), sorted(folders), sums, linkGroups(groups)].join('\n').replaceAll('\0', '\n');
}

const sorted = (list: string): string => list.split('\0').toSorted().join('\0');

/** Inode numbers differ between two trees; which names share one must not. */
function linkGroups(list: string): string {
  const groups = Map.groupBy(list.split('\0').filter(Boolean), (line) => line.slice(0, line.indexOf(' ')));
  return [...groups.values()]
    .map((lines) =>
      lines
        .map((line) => line.slice(line.indexOf(' ') + 1))
        .toSorted()
        .join(' = '),
    )
    .toSorted()
    .join('\0');
}
