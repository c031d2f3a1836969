/** Builders for the trees that the Files suites use. */
import assert from 'node:assert/strict';
import type { Entry, EntryType } from '../../src/model/entries.ts';
import { isLowtideError, type ErrorCode } from '../../src/model/errors.ts';
import { joinPath, type ByteName, type PathKey } from '../../src/model/paths.ts';
import type { Files } from '../../src/world/ports.ts';
import type { RestoreTarget } from '../../src/world/target/ports.ts';

/** `a/b` to a key. Characters above 255 are no bytes. */
export function key(path: string): PathKey {
  assert.doesNotMatch(path, /[^\0-\xff]/);
  return path.replaceAll('/', '\0') as PathKey;
}

export function under(root: PathKey, path: string): PathKey {
  return joinPath(root, key(path) as string as ByteName);
}

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

export const coded =
  (code: ErrorCode, ...words: string[]) =>
  (error: unknown): boolean => {
    assert.ok(isLowtideError(error, code), String(error));
    for (const word of words) assert.ok(error.message.includes(word), error.message);
    return true;
  };

export async function putFile(target: RestoreTarget, path: string, content: string): Promise<void> {
  const file = await target.createFile(key(path));
  await file.write(bytes(content), 0);
  await file.finish(content.length, false, null);
}

export async function getFile(files: Files, path: PathKey): Promise<string> {
  const source = await files.openSource(path);
  try {
    const into = Buffer.alloc((await source.stat()).size);
    return into.subarray(0, await source.read(into, 0)).toString('latin1');
  } finally {
    await source.close();
  }
}

export async function namesIn(files: Files, path: PathKey): Promise<string[]> {
  return (await files.scan(path)).entries.map(({ name }) => name);
}

/** A target to build in, closed afterwards. */
export async function building(
  files: Files,
  root: PathKey,
  build: (target: RestoreTarget) => Promise<void>,
): Promise<void> {
  const target = await files.openTarget(root);
  try {
    await build(target);
  } finally {
    await target.close();
  }
}

/** An entry whose owner is the one who has `like` already, unless said otherwise. */
export function entryFor(
  like: { readonly uid: number; readonly gid: number },
  type: EntryType,
  rest: Partial<Entry> = {},
): Entry {
  return {
    path: key(''),
    type,
    mode: 0o644,
    uid: like.uid,
    gid: like.gid,
    size: 0,
    mtime: 1_000_000_000_123_456_789n,
    ctime: 0n,
    inode: 1n,
    unsettled: false,
    partial: false,
    extents: [],
    ...rest,
  };
}
