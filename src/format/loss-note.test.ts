import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SnapshotId } from '../model/ids.ts';
import { deriveDomainKeys, KeyStore } from './domain-keys.ts';
import { openLossNote, sealLossNote } from './loss-note.ts';
import { hashOf, refusedAs, secretOf, testKeys, testStore } from './test-support.ts';

const note = {
  snapshot: hashOf(Buffer.from('snapshot')) as SnapshotId,
  holder: 'osaka',
  at: 1_700_000_000_000,
};

test('F93: a note of a loss opens for its owner, and tells nobody else anything', () => {
  const sealed = sealLossNote(testKeys, note);
  assert.deepEqual(openLossNote(testStore, sealed), note);
  assert.ok(!Buffer.from(sealed).includes('osaka'));
  const others = new KeyStore([deriveDomainKeys(secretOf('other'))]);
  assert.throws(() => openLossNote(others, sealed), refusedAs('no-key'));
});

test('F93: a note that was changed or cut short is refused', () => {
  const sealed = sealLossNote(testKeys, note);
  for (const at of [20, sealed.length - 1]) {
    const changed = sealed.with(at, sealed[at]! ^ 1);
    assert.throws(() => openLossNote(testStore, changed), refusedAs('damaged-manifest'), String(at));
  }
  for (const length of [0, 15, 16, 40]) {
    assert.throws(() => openLossNote(testStore, sealed.subarray(0, length)), refusedAs('damaged-manifest'));
  }
});
