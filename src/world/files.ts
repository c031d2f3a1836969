import { closeSync, readlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { LowtideError } from '../model/errors.ts';
import { baseName, displayPath, joinPath, ROOT_PATH, type ByteName, type PathKey } from '../model/paths.ts';
import { realAccounts } from './accounts.ts';
import { errnoName, errnoWords } from './errno.ts';
import { nativeLoader, nativeOrNull, type Native } from './native.ts';
import { BrokenPath, ofDescriptor, openNamed, withParent } from './paths-by-handle.ts';
import { inlineWork } from './inline-work.ts';
import type { Files, FoundAttributes, ScannedDirectory, ScannedEntry, SourceFile, Work } from './ports.ts';
import { openRestoreTarget } from './restore-target.ts';
import { readSmallIn } from './small-reads.ts';
import { attributesOf } from './source-attributes.ts';
import { openSourceFile } from './source-file.ts';
import { lookAt, lookAtDirectory } from './stats.ts';

/** The event loop runs again after about this long of looking at entries one after another. */
const TURN_MS = 8;
const ENTRIES_PER_CLOCK = 32;

/**
 * The machine's files (Linux: it needs /proc). What only takes the kernel microseconds is done synchronously: lstat
 * through promises takes twice the processor time.
 */
export function realFiles(native: () => Native = nativeLoader(), work: Work = inlineWork()): Files {
  let checked = false;
  const checking = <T>(run: () => T): T => {
    if (!checked) requireProc();
    checked = true;
    return run();
  };
  return {
    scan: async (path) => checking(() => scan(path)),
    lstat: async (path) => checking(() => lstat(path)),
    openSource: async (path) => checking(() => openSource(path, native)),
    readSmall: async (reads) => checking(() => readSmallIn(work, reads)),
    attributes: async (directory, entries) => checking(() => attributes(directory, entries, native)),
    accounts: realAccounts(),
    openTarget: async (root) => checking(() => openRestoreTarget(root, native)),
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

function sourceError(error: unknown, path: PathKey): LowtideError {
  if (error instanceof LowtideError) return error;
  const options = { cause: error };
  if (error instanceof BrokenPath) {
    return new LowtideError(
      error.kind === 'missing' ? 'not-found' : 'source-unreadable',
      error.message,
      options,
    );
  }
  const shown = displayPath(path);
  if (errnoName(error) === 'ENOENT') return new LowtideError('not-found', `${shown} does not exist`, options);
  return new LowtideError('source-unreadable', `${shown} cannot be read: ${errnoWords(error)}`, options);
}

async function scan(path: PathKey): Promise<ScannedDirectory> {
  try {
    const directory = openNamed(path, 'directory');
    try {
      const names = (await readdir(ofDescriptor(directory), { encoding: 'latin1' })) as ByteName[];
      return await lookAtAll(directory, path, names.sort());
    } finally {
      closeSync(directory);
    }
  } catch (error) {
    throw sourceError(error, path);
  }
}

async function attributes(
  directory: PathKey,
  entries: readonly Pick<ScannedEntry, 'name' | 'type'>[],
  native: () => Native,
): Promise<readonly FoundAttributes[]> {
  try {
    return await attributesOf(directory, entries, nativeOrNull(native));
  } catch (error) {
    throw sourceError(error, directory);
  }
}

async function lookAtAll(
  directory: number,
  path: PathKey,
  names: readonly ByteName[],
): Promise<ScannedDirectory> {
  const entries: ScannedEntry[] = [];
  const problems: { name: ByteName; code: string; message: string }[] = [];
  let turn = performance.now();
  for (const [at, name] of names.entries()) {
    if (at % ENTRIES_PER_CLOCK === 0 && performance.now() - turn > TURN_MS) {
      await setImmediate();
      turn = performance.now();
    }
    try {
      const entry = lookAt(directory, name);
      if (entry !== null) entries.push(entry);
    } catch (error) {
      const { code, message } = sourceError(error, joinPath(path, name));
      if (code !== 'not-found') problems.push({ name, code, message });
    }
  }
  return { entries, problems };
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

function openSource(path: PathKey, native: () => Native): SourceFile {
  try {
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
