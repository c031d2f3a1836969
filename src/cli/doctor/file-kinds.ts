import { hash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { IT, type Kind } from './kinds.ts';

const MiB = 1024 * 1024;
const ODD_NAMES = [
  ...Array.from({ length: 255 }, (_, at) => at + 1)
    .filter((byte) => byte !== 0x2f && byte !== 0x2e)
    .map((byte) => Buffer.from([byte])),
  Buffer.from('...'),
  Buffer.from(' leading and trailing '),
  Buffer.from('-rf'),
  Buffer.from('line\nbreak'),
  Buffer.from('\u001b[31mred'),
  Buffer.from('no UTF-8 \xff\xfe', 'latin1'),
  Buffer.alloc(255, 'x'),
  Buffer.from('e\u0301'),
  Buffer.from('\u00e9'),
];

/** Content, names, types and links. */
export function fileKinds(): readonly Kind[] {
  return [...contents(), ...names(), ...types(), ...links()];
}

function contents(): Kind[] {
  const content = (name: string, bytes: Buffer): Kind => ({
    group: 'content',
    name,
    make: (folder) => writeFileSync(`${folder}/${IT}`, bytes),
    look: (folder) => {
      const found = readFileSync(`${folder}/${IT}`);
      return `${found.length} bytes, ${hash('sha256', found).slice(0, 16)}`;
    },
  });
  return [
    content('an empty file', Buffer.alloc(0)),
    content('a small file', Buffer.from('a few bytes')),
    content(
      'a large file',
      Buffer.alloc(5 * MiB, hash('shake256', 'doctor', { outputEncoding: 'buffer', outputLength: 65_537 })),
    ),
    {
      group: 'content',
      name: 'holes',
      make: (folder) => {
        const file = openSync(`${folder}/${IT}`, 'wx');
        try {
          writeSync(file, 'start', 0);
          writeSync(file, 'middle', 8 * MiB);
          ftruncateSync(file, 16 * MiB);
        } finally {
          closeSync(file);
        }
      },
      look: (folder) => {
        const path = `${folder}/${IT}`;
        const { size, blocks } = lstatSync(path);
        const sum = hash('sha256', readFileSync(path)).slice(0, 16);
        return `${size} bytes, ${sum}, ${blocks * 512 < MiB ? 'with' : 'without'} holes`;
      },
      expected: `${16 * MiB} bytes, ${hash('sha256', sparse()).slice(0, 16)}, with holes`,
    },
  ];
}

function sparse(): Buffer {
  const bytes = Buffer.alloc(16 * MiB);
  bytes.write('start', 0);
  bytes.write('middle', 8 * MiB);
  return bytes;
}

function names(): Kind[] {
  const hexNames = (folder: string): string =>
    readdirSync(folder, { encoding: 'buffer' })
      .map((name) => name.toString('hex'))
      .sort()
      .join(' ');
  return [
    {
      group: 'names',
      name: 'every byte, and names of 255 bytes',
      make: (folder) => {
        for (const name of ODD_NAMES) writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), '');
      },
      look: hexNames,
      expected: ODD_NAMES.map((name) => name.toString('hex'))
        .sort()
        .join(' '),
    },
    {
      group: 'names',
      name: 'paths of more than 4,096 bytes',
      make: (folder) => void inDeepFolder(folder, 'mkdir -p "$name" && cd -P "$name"', 'printf deep > it'),
      look: (folder) => inDeepFolder(folder, 'cd -P "$name"', 'cat it'),
      expected: 'deep',
    },
  ];
}

/** By a shell, which goes there step by step: no call takes such a path at once. */
function inDeepFolder(folder: string, step: string, then: string): string {
  const script = `name=${'d'.repeat(250)}; cd -P "$1" || exit 1; for i in $(seq 20); do ${step} || exit 1; done; ${then}`;
  return execFileSync('sh', ['-c', script, 'sh', folder], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

const typeOf = (path: string): string => {
  const found = lstatSync(path);
  if (found.isFIFO()) return 'fifo';
  if (found.isSocket()) return 'socket';
  if (found.isCharacterDevice()) return `character device ${found.rdev}`;
  if (found.isBlockDevice()) return `block device ${found.rdev}`;
  return found.isDirectory() ? 'directory' : found.isSymbolicLink() ? 'symlink' : 'file';
};

function types(): Kind[] {
  const made = (name: string, make: (path: string) => void, more: Partial<Kind> = {}): Kind => ({
    group: 'types',
    name,
    make: (folder) => make(`${folder}/${IT}`),
    look: (folder) => typeOf(`${folder}/${IT}`),
    ...more,
  });
  const link = (name: string, target: Buffer): Kind => ({
    ...made(name, (path) => symlinkSync(target, path)),
    look: (folder) => readlinkSync(`${folder}/${IT}`, 'buffer').toString('hex'),
    expected: target.toString('hex'),
  });
  return [
    made('an empty directory', (path) => mkdirSync(path)),
    link('a symbolic link', Buffer.from('../nowhere')),
    link('a link to any bytes', Buffer.from('\xff/\x01\n\xfe', 'latin1')),
    made('a fifo', (path) => run('mkfifo', path)),
    made('a socket', makeSocket, {
      recorded: ({ type }) => type,
      remark: 'recorded; the program that listens on it makes it anew',
    }),
    made('a character device', (path) => run('mknod', path, 'c', '1', '3')),
    made('a block device', (path) => run('mknod', path, 'b', '7', '200')),
  ];
}

/** A child makes it, so that it stays when the listener has gone. */
function makeSocket(path: string): void {
  const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  try {
    run(process.execPath, '-e', script, path);
  } catch (error) {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) throw error;
  }
}

/** @throws an error with the system error's code, as far as the program says it */
export function run(command: string, ...words: readonly string[]): void {
  try {
    execFileSync(command, words, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const said = ((error as { stderr?: string }).stderr ?? '').trim();
    if (said === '') throw error;
    const code = /not permitted|[Pp]ermission denied/.test(said) ? 'EPERM' : 'EOPNOTSUPP';
    throw Object.assign(new Error(said), { code });
  }
}

function links(): Kind[] {
  const inode = (path: string): bigint => lstatSync(path, { bigint: true }).ino;
  const linked = (name: string, make: (path: string) => void): Kind => ({
    group: 'links',
    name,
    make: (folder) => {
      make(`${folder}/${IT}`);
      mkdirSync(`${folder}/elsewhere`);
      linkSync(`${folder}/${IT}`, `${folder}/elsewhere/too`);
    },
    look: (folder) => {
      const [one, two] = [`${folder}/${IT}`, `${folder}/elsewhere/too`];
      return inode(one) === inode(two) ? `one ${typeOf(one)}, two names` : 'two of them';
    },
  });
  return [
    linked('hard links of a file', (path) => writeFileSync(path, 'shared')),
    linked('hard links of an empty file', (path) => writeFileSync(path, '')),
    linked('hard links of a symbolic link', (path) => symlinkSync('nowhere', path)),
    linked('hard links of a fifo', (path) => run('mkfifo', path)),
  ];
}
