import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockCopies } from './block-copies.ts';

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

test('copies stay as they are until they are released, whatever becomes of the original', () => {
  const copies = new BlockCopies(100);
  const original = filled(60, 1);
  const first = copies.copy(original);
  original.fill(9);
  const second = copies.copy(filled(60, 2));
  first.release();
  const third = copies.copy(filled(60, 3));
  assert.deepEqual(second.bytes, filled(60, 2));
  assert.deepEqual(third.bytes, filled(60, 3));
});

test('memory is used again: however many blocks pass, it holds what is under way', () => {
  const copies = new BlockCopies(100);
  const underWay: (() => void)[] = [];
  for (let at = 0; at < 1000; at++) {
    underWay.push(copies.copy(filled(30, at % 256)).release);
    if (underWay.length > 9) underWay.shift()!();
  }
  assert.ok(copies.heldBytes <= 500, String(copies.heldBytes));
});

test('a block larger than a segment has its place, and its memory goes with it', () => {
  const copies = new BlockCopies(100);
  const small = copies.copy(filled(10, 1));
  const large = copies.copy(filled(250, 2));
  assert.deepEqual(large.bytes, filled(250, 2));
  const behind = copies.copy(filled(10, 3));
  large.release();
  assert.equal(copies.heldBytes, 200);
  assert.deepEqual([small.bytes, behind.bytes], [filled(10, 1), filled(10, 3)]);
});
