import { closeSync, readlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import { baseName, joinPath, ROOT_PATH, type ByteName, type PathKey } from '../../model/paths.ts';
import { listIn } from './listings.ts';
import { packEntries } from './packed-entries.ts';
import { realAccounts } from './accounts.ts';
import { nativeLoader, nativeOrNull, type Native } from '../system/native.ts';
import { Mounts } from './mounts.ts';
import { BrokenPath, ofDescriptor, openNamed, withParent } from '../system/paths-by-handle.ts';
import { inlineWork } from '../threads/inline-work.ts';
import type {
  Files,
  FoundAttributes,
  Listing,
  ScannedDirectory,
  ScannedEntry,
  SmallReads,
  SourceFile,
  Work,
} from '../ports.ts';
import { readSmallIn } from './small-reads.ts';
import { attributesIn } from './attributes.ts';
import { sourceError } from './error.ts';
import { openSourceFile } from './source-file.ts';
import { lookAt, lookAtDirectory } from '../system/stats.ts';

/** The event loop runs again after about this long of looking at entries one after another. */
const TURN_MS = 8;
const ENTRIES_PER_CLOCK = 32;
/** How long the server of a mounted file system may take to answer before it is left alone. */
const ANSWER_MS = 20_000;

/**
 * The machine's files (Linux: it needs /proc). What only takes the kernel microseconds is done synchronously: lstat
 * through promises takes twice the processor time.
 */
export function realFiles(
  native: () => Native = nativeLoader(),
  work: Work = inlineWork(),
  answerMs = ANSWER_MS,
): Files {
  const mounts = new Mounts(answerMs);
  let checked = false;
  const checking = <T>(run: () => T): T => {
    if (!checked) requireProc();
    checked = true;
    return run();
  };
  return {
    scan: async (path) => checking(() => scan(path, mounts)),
    list: async (paths) => checking(() => list(paths, mounts, work)),
    lstat: async (path) => checking(() => lstatCarefully(path, mounts)),
    openSource: async (path) => checking(() => openSource(path, native, mounts)),
    readSmall: async (reads) => checking(() => readSmall(reads, mounts, work)),
    attributes: async (directory, entries) =>
      checking(() => mounts.guard([directory], (stop) => attributes(directory, entries, native, work, stop))),
    accounts: realAccounts(),
    openTarget: async (root) => {
      // What restores is loaded by who restores.
      const { openRestoreTarget } = await import('../target/restore-target.ts');
      return await checking(() => openRestoreTarget(root, native, work));
    },
  };
}

/** Names relative to an open directory go through it; without it every path would seem not to exist. */
function requireProc(): void {
  try {
    readlinkSync('/proc/self/exe');
  } catch (error) {
    const message =
      'files can only be reached safely through /proc/self/fd, and this system has none mounted';
    throw new LowtideError('disk-failed', message, { cause: error });
  }
}

async function scan(path: PathKey, mounts: Mounts): Promise<ScannedDirectory> {
  try {
    await requireAnswer(path, mounts);
    const directory = openNamed(path, 'directory');
    try {
      const names = (await readdir(ofDescriptor(directory), { encoding: 'latin1' })) as ByteName[];
      return await lookAtAll(directory, path, names.sort(), mounts);
    } finally {
      closeSync(directory);
    }
  } catch (error) {
    throw sourceError(error, path);
  }
}

/** Directories in which something is mounted that needs care are looked at by hand. */
async function list(
  paths: readonly PathKey[],
  mounts: Mounts,
  work: Work,
): Promise<readonly (Listing | LowtideError | undefined)[]> {
  const found: (Listing | LowtideError | undefined)[] = [];
  const easy: number[] = [];
  for (const [at, path] of paths.entries()) {
    if (mounts.in(path) === null && mounts.remoteAt(path) === null) easy.push(at);
    else found[at] = await listCarefully(path, mounts, work);
  }
  if (easy.length === 0) return found;
  const listed = await listIn(
    work,
    easy.map((at) => paths[at]!),
  );
  for (const [i, at] of easy.entries()) found[at] = listed[i];
  return found;
}

async function listCarefully(path: PathKey, mounts: Mounts, work: Work): Promise<Listing | LowtideError> {
  try {
    if (mounts.in(path) === null) {
      await requireAnswer(path, mounts);
      return (await mounts.guard([path], (stop) => listIn(work, [path], stop)))[0]!;
    }
    const { entries, problems } = await scan(path, mounts);
    return { first: packEntries(entries, problems), next: async () => null };
  } catch (error) {
    if (error instanceof LowtideError) return error;
    throw error;
  }
}

/** Nothing is in place if a server behind it hangs: whoever opens a file of it is told. */
async function readSmall(reads: SmallReads, mounts: Mounts, work: Work): Promise<Uint8Array> {
  try {
    return await mounts.guard(reads.paths, (stop) => readSmallIn(work, reads, stop));
  } catch (error) {
    if (isLowtideError(error, 'source-unreadable')) return new Uint8Array(reads.paths.length);
    throw error;
  }
}

async function attributes(
  directory: PathKey,
  entries: readonly Pick<ScannedEntry, 'name' | 'type'>[],
  native: () => Native,
  work: Work,
  stop?: AbortSignal,
): Promise<readonly FoundAttributes[]> {
  try {
    return await attributesIn(work, directory, entries, nativeOrNull(native), stop);
  } catch (error) {
    throw sourceError(error, directory);
  }
}

async function lookAtAll(
  directory: number,
  path: PathKey,
  names: readonly ByteName[],
  mounts: Mounts,
): Promise<ScannedDirectory> {
  const special = mounts.in(path);
  const entries: ScannedEntry[] = [];
  const problems: { name: ByteName; code: string; message: string }[] = [];
  let turn = performance.now();
  for (const [at, name] of names.entries()) {
    if (at % ENTRIES_PER_CLOCK === 0 && performance.now() - turn > TURN_MS) {
      await setImmediate();
      turn = performance.now();
    }
    try {
      const mount = special?.get(name);
      if (mount !== undefined && mounts.isRemote(mount)) await requireAnswer(mount.path, mounts);
      const entry = lookAt(directory, name);
      if (entry === null) continue;
      const isVirtual = mount !== undefined && !mounts.isRemote(mount);
      entries.push(isVirtual ? { ...entry, virtual: mount.type } : entry);
    } catch (error) {
      const { code, message } = sourceError(error, joinPath(path, name));
      if (code !== 'not-found') problems.push({ name, code, message });
    }
  }
  return { entries, problems };
}

async function lstatCarefully(path: PathKey, mounts: Mounts): Promise<ScannedEntry | null> {
  await requireAnswer(path, mounts);
  const entry = lstat(path);
  const virtual = mounts.virtualAt(path);
  return entry === null || virtual === null ? entry : { ...entry, virtual };
}

/** @throws LowtideError `source-unreadable` if the path is on a file system whose server does not answer */
async function requireAnswer(path: PathKey, mounts: Mounts): Promise<void> {
  const mount = mounts.remoteAt(path);
  if (mount === null || (await mounts.answers(mount))) return;
  throw mounts.unanswered(mount);
}

function lstat(path: PathKey): ScannedEntry | null {
  try {
    return path === ROOT_PATH ? lookAtRoot() : withParent(path, (parent) => lookAt(parent, baseName(path)));
  } catch (error) {
    if (error instanceof BrokenPath && (error.kind === 'missing' || error.kind === 'no-directory'))
      return null;
    throw sourceError(error, path);
  }
}

function lookAtRoot(): ScannedEntry {
  const root = openNamed(ROOT_PATH, 'directory');
  try {
    return lookAtDirectory(root);
  } finally {
    closeSync(root);
  }
}

async function openSource(path: PathKey, native: () => Native, mounts: Mounts): Promise<SourceFile> {
  try {
    await requireAnswer(path, mounts);
    const named = openNamed(path, 'any');
    try {
      return openSourceFile(named, path, nativeOrNull(native));
    } finally {
      closeSync(named);
    }
  } catch (error) {
    throw sourceError(error, path);
  }
}
