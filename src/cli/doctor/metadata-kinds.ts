import { chmodSync, chownSync, lchownSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { decodeAttributes } from '../../format/attributes.ts';
import { nativeLoader } from '../../world/system/native.ts';
import { IT, type Kind } from './kinds.ts';

const SECOND = 1_000_000_000n;
/** Nobody has these numbers. */
const SOMEBODY = { uid: 54_321, gid: 54_322 };

type Type = 'file' | 'directory' | 'symbolic link';
const makers: Readonly<Record<Type, (path: string) => void>> = {
  file: (path) => writeFileSync(path, 'x'),
  directory: (path) => mkdirSync(path),
  'symbolic link': (path) => symlinkSync('nowhere', path),
};

/** Times, modes and owners. */
export function metadataKinds(): readonly Kind[] {
  return [...times(), ...modes(), ...owners()];
}

function times(): Kind[] {
  const native = nativeLoader();
  const modified = (path: string): string => `${lstatSync(path, { bigint: true }).mtimeNs} ns`;
  const at = (name: string, type: Type, time: bigint): Kind => ({
    group: 'times',
    name,
    make: (folder) => {
      makers[type](`${folder}/${IT}`);
      native().setModified(Buffer.from(`${folder}/${IT}`), time, 'keep');
    },
    look: (folder) => modified(`${folder}/${IT}`),
    expected: `${time} ns`,
  });
  return [
    at('a file’s, to the nanosecond', 'file', 1_700_000_000n * SECOND + 123_456_789n),
    at('a directory’s', 'directory', 1_700_000_000n * SECOND + 987_654_321n),
    at('a symbolic link’s', 'symbolic link', 1_700_000_000n * SECOND + 1n),
    at('before 1970', 'file', -1_000_000n * SECOND - 999_999_999n),
    at('after 2038', 'file', 4_102_444_800n * SECOND + 1n),
    {
      group: 'times',
      name: 'of birth',
      make: makersIn('file'),
      look: (folder) => birthText(lstatSync(`${folder}/${IT}`, { bigint: true }).birthtimeNs),
      recorded: ({ extra }) =>
        extra === undefined ? 'none' : birthText(decodeAttributes(extra).birth ?? 0n),
      remark: 'recorded; Linux lets nobody set it',
    },
  ];
}

const makersIn =
  (type: Type) =>
  (folder: string): void =>
    makers[type](`${folder}/${IT}`);

function birthText(time: bigint): string {
  if (time === 0n) throw Object.assign(new Error('no time of birth'), { code: 'EOPNOTSUPP' });
  return `${time} ns`;
}

const modeOf = (folder: string): string => (lstatSync(`${folder}/${IT}`).mode & 0o7777).toString(8);

function modes(): Kind[] {
  const mode = (name: string, type: Type, bits: number): Kind => ({
    group: 'modes',
    name,
    make: (folder) => {
      makers[type](`${folder}/${IT}`);
      chmodSync(`${folder}/${IT}`, bits);
    },
    look: modeOf,
    expected: bits.toString(8),
  });
  return [
    mode('permission bits', 'file', 0o640),
    // Who is not root could not read less.
    mode('read only', 'file', 0o400),
    mode('set-id bits', 'file', 0o6755),
    mode('a sticky directory', 'directory', 0o1777),
    mode('a directory that nobody may write to', 'directory', 0o555),
  ];
}

function owners(): Kind[] {
  const owned = (name: string, type: Type): Kind => ({
    group: 'owners',
    name,
    make: (folder) => {
      makers[type](`${folder}/${IT}`);
      const change = type === 'symbolic link' ? lchownSync : chownSync;
      change(`${folder}/${IT}`, SOMEBODY.uid, SOMEBODY.gid);
    },
    look: (folder) => {
      const { uid, gid } = lstatSync(`${folder}/${IT}`);
      return `${uid}:${gid}`;
    },
    expected: `${SOMEBODY.uid}:${SOMEBODY.gid}`,
  });
  return [
    owned('of a file', 'file'),
    owned('of a directory', 'directory'),
    owned('of a symbolic link', 'symbolic link'),
  ];
}
