import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DISK_PAGE_BYTES } from '../../world/disk/direct.ts';
import { BlockCopies } from './block-copies.ts';

const SEGMENT = 3 * DISK_PAGE_BYTES;

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

function newCopies(): BlockCopies {
  const disk = { memoryForWrites: (length: number) => new Uint8Array(length) };
  return new BlockCopies(disk, { chunk_bytes_max: 2 * DISK_PAGE_BYTES, block_plain_bytes: DISK_PAGE_BYTES });
}

test('copies stay as they are until they are released, whatever becomes of the original', () => {
  const copies = newCopies();
  const original = filled(7000, 1);
  const first = copies.copy(original, 0);
  original.fill(9);
  const second = copies.copy(filled(7000, 2), 7000);
  first.release();
  const third = copies.copy(filled(7000, 3), 14_000);
  assert.deepEqual(second.bytes, filled(7000, 2));
  assert.deepEqual(third.bytes, filled(7000, 3));
});

test('memory is used again: however many blocks pass, it holds what is under way', () => {
  const copies = newCopies();
  const underWay: (() => void)[] = [];
  for (let at = 0; at < 1000; at++) {
    underWay.push(copies.copy(filled(3000, at % 256), at * 3000).release);
    if (underWay.length > 9) underWay.shift()!();
  }
  assert.ok(copies.heldBytes <= 5 * SEGMENT, String(copies.heldBytes));
});

test('a block larger than a segment has its place, and its memory goes with it', () => {
  const copies = newCopies();
  const small = copies.copy(filled(10, 1), 0);
  const large = copies.copy(filled(SEGMENT + 1, 2), 10);
  assert.deepEqual(large.bytes, filled(SEGMENT + 1, 2));
  const behind = copies.copy(filled(10, 3), SEGMENT + 11);
  large.release();
  assert.equal(copies.heldBytes, 2 * SEGMENT);
  assert.deepEqual([small.bytes, behind.bytes], [filled(10, 1), filled(10, 3)]);
});

test('what is next in the file is next in memory, and elsewhere at the same place of a page', () => {
  const copies = newCopies();
  const at = [32, 1032, 2032, 1_000_000, 1_001_000, 32, SEGMENT - 1];
  const places = at.map((position) => copies.copy(filled(1000, 1), position).bytes);
  for (const [number, { byteOffset }] of places.entries()) {
    assert.equal(byteOffset % DISK_PAGE_BYTES, at[number]! % DISK_PAGE_BYTES);
  }
  assert.deepEqual([places[1]!.byteOffset, places[2]!.byteOffset], [1032, 2032]);
});
