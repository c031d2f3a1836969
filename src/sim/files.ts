import { LowtideError } from '../model/errors.ts';
import {
  baseName,
  displayPath,
  joinPath,
  parentPath,
  ROOT_PATH,
  type ByteName,
  type PathKey,
} from '../model/paths.ts';
import { errnoName, errnoWords } from '../world/system/errno.ts';
import { BrokenPath } from '../world/system/paths-by-handle.ts';
import type {
  Accounts,
  Files,
  FoundAttributes,
  ScannedDirectory,
  ScannedEntry,
  SourceFile,
} from '../world/ports.ts';
import { sourceError } from '../world/source/error.ts';
import { scannedEntry, statOf, walk, walkToDirectory, type FileInode } from './file-inode.ts';
import type { SimulatedFiles } from './file-system.ts';
import type { Incarnation } from './incarnation.ts';
import { openSimulatedTarget } from './restore-target.ts';

/** The Files port of one incarnation. Reading is no operation; what a restore writes is. */
export function simulatedFiles(files: SimulatedFiles, incarnation: Incarnation): Files {
  const look = <T>(path: PathKey, effect: () => T): Promise<T> =>
    incarnation.answer(() => {
      try {
        return effect();
      } catch (error) {
        throw failureAt(error, path);
      }
    });
  return {
    scan: (path) => look(path, () => scan(files, path)),
    lstat: (path) => look(path, () => lstat(files, path)),
    openSource: (path) => look(path, () => openSource(files, path, look)),
    attributes: (directory, entries) => look(directory, () => attributes(files, directory, entries)),
    accounts: accountsOf(files, incarnation),
    openTarget: (root) => openSimulatedTarget(files, incarnation, root),
  };
}

/** As a real file system's failure is told. What is none, a bug or the end of the machine, stays what it is. */
function failureAt(error: unknown, path: PathKey): unknown {
  const ofFiles = error instanceof BrokenPath || errnoName(error) !== '';
  return ofFiles ? sourceError(error, path) : error;
}

function scan(files: SimulatedFiles, path: PathKey): ScannedDirectory {
  const directory = walkToDirectory(files.root, ROOT_PATH, path);
  files.faults.check('files.scan', displayPath(path));
  const entries: ScannedEntry[] = [];
  const problems: { name: ScannedEntry['name']; code: string; message: string }[] = [];
  for (const [name, inode] of [...directory.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const whole = joinPath(path, name);
    try {
      files.faults.check('files.lstat', displayPath(whole));
      entries.push(scannedEntry(name, inode));
    } catch (error) {
      const problem = failureAt(error, whole);
      if (!(problem instanceof LowtideError)) throw error;
      if (problem.code !== 'not-found') problems.push({ name, code: problem.code, message: problem.message });
    }
  }
  return { entries, problems };
}

function attributes(
  files: SimulatedFiles,
  path: PathKey,
  entries: readonly Pick<ScannedEntry, 'name' | 'type'>[],
): FoundAttributes[] {
  const directory = walkToDirectory(files.root, ROOT_PATH, path);
  return entries.map(({ name }) => {
    const inode = name === ('' as ByteName) ? directory : directory.entries.get(name);
    if (inode === undefined) return { xattrs: [], flags: 0, refused: [] };
    const shown = displayPath(joinPath(path, name));
    try {
      files.faults.check('files.attributes', shown);
    } catch (error) {
      const message = `${shown}: extended attributes not read: ${errnoWords(error)}`;
      return { xattrs: [], flags: 0, refused: [{ what: 'extended attributes', message }] };
    }
    const xattrs = [...inode.xattrs].map(([name, value]) => ({ name, value }));
    return { xattrs, flags: inode.flags, refused: [] };
  });
}

function accountsOf({ accounts }: SimulatedFiles, incarnation: Incarnation): Accounts {
  const nameOf = (id: number): Promise<string | null> => incarnation.answer(() => accounts.get(id) ?? null);
  const idOf = (name: string): Promise<number | null> =>
    incarnation.answer(() => [...accounts].find(([, known]) => known === name)?.[0] ?? null);
  return { userName: nameOf, groupName: nameOf, userId: idOf, groupId: idOf };
}

function lstat(files: SimulatedFiles, path: PathKey): ScannedEntry | null {
  try {
    files.faults.check('files.lstat', displayPath(path));
    if (path === ROOT_PATH) return scannedEntry(baseName(path), files.root);
    walkToDirectory(files.root, ROOT_PATH, parentPath(path));
    return scannedEntry(baseName(path), walk(files.root, ROOT_PATH, path));
  } catch (error) {
    if (error instanceof BrokenPath && (error.kind === 'missing' || error.kind === 'no-directory'))
      return null;
    throw error;
  }
}

type Look = <T>(path: PathKey, effect: () => T) => Promise<T>;

function openSource(files: SimulatedFiles, path: PathKey, look: Look): SourceFile {
  const inode: FileInode = walk(files.root, ROOT_PATH, path);
  const shown = displayPath(path);
  if (inode.type !== 'file') {
    const kind = inode.type === 'symlink' ? 'symbolic link' : inode.type.replace('-', ' ');
    throw new LowtideError('source-unreadable', `${shown} is a ${kind}, not a regular file`);
  }
  files.faults.check('files.open', shown);
  return {
    stat: () => look(path, () => statOf(inode)),
    read: (into, position) =>
      look(path, () => {
        files.hookOf(inode)?.(position);
        files.faults.check('files.read', shown);
        return inode.content.read(into, position);
      }),
    nextData: (position) => look(path, () => inode.content.nextData(position)),
    close: () => look(path, () => {}),
  };
}
