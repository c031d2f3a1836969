import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { type Entry, ENTRY_TYPES, type Extent } from '../model/entries.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { BlockId, ChunkDigest } from '../model/ids.ts';
import type { PathKey } from '../model/paths.ts';
import { deriveDomainKeys, KeyStore } from './domain-keys.ts';
import { having, type Shape } from './shape.ts';
import { compareKeys, keyOf, type TreeRecord } from './tree-page.ts';

/** What the tests of the format share: keys that are always the same, and arbitrary records. */

/** For `assert.throws` and `assert.rejects`: a LowtideError with one of these codes. */
export const refusedAs =
  (...codes: ErrorCode[]) =>
  (error: unknown): true => {
    assert.ok(isLowtideError(error), String(error));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    return true;
  };

/** A map as it is. */
export const anyMap: Shape<Record<string, unknown>> = (value) => {
  having({})(value);
  return value as Record<string, unknown>;
};

/** 32 bytes that are the same in every run. */
export function secretOf(name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(name).digest());
}

export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export const testKeys = deriveDomainKeys(secretOf('domain'));
export const testStore = new KeyStore([testKeys]);

/** Pages by the hash of their payload: a store without sealing. */
export class PageShelf {
  readonly pages = new Map<string, Uint8Array>();
  /** How often each page was asked for. */
  readonly loads: string[] = [];

  readonly store = (payload: Uint8Array): Promise<{ id: BlockId; length: number }> => {
    const id = hashOf(payload) as BlockId;
    this.pages.set(id, payload);
    return Promise.resolve({ id, length: payload.length });
  };

  readonly load = (id: BlockId): Promise<Uint8Array> => {
    this.loads.push(id);
    const page = this.pages.get(id);
    return page === undefined ? Promise.reject(new Error(`no page ${id}`)) : Promise.resolve(page);
  };
}

const hashes = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const times = fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n });

/** Names of any bytes but NUL and slash, mostly short and alike, so that paths share much. */
const names = fc
  .oneof(
    fc.constantFrom('a', 'b', 'ab', 'a\u0001', 'a!', '\u00ff', '...', 'a.'),
    fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  )
  .map((name) => name.replaceAll(/[\0/]/g, '_'))
  .filter((name) => name !== '.' && name !== '..');

export const paths: fc.Arbitrary<PathKey> = fc
  .array(names, { maxLength: 5 })
  .map((parts) => parts.join('\0') as PathKey);

const extent: fc.Arbitrary<Extent> = fc.oneof(
  fc
    .tuple(hashes, u32, fc.integer({ min: 1, max: 0xffff_ffff }), hashes)
    .map(([block, offset, length, digest]) => ({
      kind: 'data' as const,
      block: block as BlockId,
      offset,
      length,
      digest: digest as ChunkDigest,
    })),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map((length) => ({ kind: 'hole' as const, length })),
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => ({ kind: 'inline' as const, bytes })),
);
const extents = fc.array(extent, { maxLength: 4 });

const types = fc.constantFrom(...ENTRY_TYPES.filter((type) => type !== undefined));

const stats = fc
  .tuple(
    fc.integer({ min: 0, max: 0o7777 }),
    u32,
    u32,
    fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    times,
    times,
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.boolean(),
    fc.boolean(),
  )
  .map(([mode, uid, gid, size, mtime, ctime, inode, unsettled, partial]) => ({
    mode,
    uid,
    gid,
    size,
    mtime,
    ctime,
    inode,
    unsettled,
    partial,
  }));

/** An entry for a path, with everything that its type may have. */
export const entries: fc.Arbitrary<(path: PathKey) => Entry> = fc
  .tuple(
    types,
    stats,
    extents,
    fc.option(fc.integer({ min: 0, max: 1000 })),
    fc.uint8Array({ maxLength: 20 }),
    u32,
    fc.option(fc.uint8Array({ maxLength: 30 })),
  )
  .map(([type, stat, extents, fileSystem, target, number, extra]) => (path) => ({
    path,
    type,
    ...stat,
    ...(fileSystem === null ? {} : { link: { fileSystem, inode: stat.inode } }),
    ...(type === 'symlink' ? { target: Buffer.from(target).toString('latin1') } : {}),
    ...(type.endsWith('device') ? { rdev: { major: number, minor: (number + 1) % 2 ** 32 } } : {}),
    ...(extra === null ? {} : { extra }),
    extents: type === 'file' ? extents : [],
  }));

const records: fc.Arbitrary<TreeRecord> = fc
  .tuple(paths, entries, fc.option(fc.integer({ min: 1, max: 2 ** 48 }), { freq: 8 }), extents)
  .map(([path, entry, offset, extents]) =>
    offset === null ? { kind: 'entry', entry: entry(path) } : { kind: 'continuation', path, offset, extents },
  );

/** In key order, no key twice. */
export const recordLists = (maxLength: number): fc.Arbitrary<TreeRecord[]> =>
  fc.uniqueArray(records, { maxLength, comparator: 'IsStrictlyEqual', selector: keyText }).map(inOrder);

export function inOrder(records: readonly TreeRecord[]): TreeRecord[] {
  return records.toSorted((a, b) => compareKeys(keyOf(a), keyOf(b)));
}

export function keyText(record: TreeRecord): string {
  const { path, offset } = keyOf(record);
  return `${path}\0\0${offset}`;
}
