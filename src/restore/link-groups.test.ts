import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from '../model/entries.ts';
import { entryOf, pathKey } from '../../test/support/build-snapshot.ts';
import { LinkGroups } from './link-groups.ts';

const member = (path: string, inode: number, changes: Partial<Entry> = {}): Entry => ({
  ...entryOf({ path, link: { fileSystem: 0, inode: BigInt(inode) } }),
  ...changes,
});

test('a group is its file system, its inode and its type', () => {
  const groups = new LinkGroups();
  groups.set(member('a', 1));
  assert.equal(groups.find(member('b', 1))?.path, pathKey('a'));
  assert.equal(groups.find(member('b', 2)), null);
  assert.equal(groups.find(member('b', 1, { type: 'symlink' })), null);
  assert.equal(groups.find(member('b', 1, { link: { fileSystem: 1, inode: 1n } })), null);
  assert.equal(groups.find(entryOf({ path: 'b' })), null);
});

test('memory is bounded, and who was met last is kept', () => {
  const groups = new LinkGroups(3);
  for (let inode = 1; inode <= 3; inode++) groups.set(member(`${inode}`, inode));
  groups.find(member('x', 1));
  groups.set(member('4', 4));
  const known = [1, 2, 3, 4].filter((inode) => groups.find(member('x', inode)) !== null);
  assert.deepEqual(known, [1, 3, 4]);
});

test('only the origin that failed is dropped', () => {
  const groups = new LinkGroups();
  groups.set(member('a', 1));
  groups.drop(member('b', 1), pathKey('b'));
  assert.equal(groups.find(member('c', 1))?.path, pathKey('a'));
  groups.drop(member('a', 1), pathKey('a'));
  assert.equal(groups.find(member('c', 1)), null);
});
