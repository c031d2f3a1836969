import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Column, PackedKeys } from './packed-keys.ts';

const keyOf = (name: number): string => hash('sha256', String(name));
/** Keys that share their slot and most of their bytes. */
const twinOf = (name: number): string => 'ab'.repeat(30) + name.toString(16).padStart(4, '0');

test('numbers keys in order of arrival and knows them as a Map does', () => {
  const names = fc.array(fc.tuple(fc.nat({ max: 2000 }), fc.boolean()), { maxLength: 1500 });
  fc.assert(
    fc.property(names, (chosen) => {
      const packed = new PackedKeys();
      const plain = new Map<string, number>();
      for (const [name, isTwin] of chosen) {
        const key = isTwin ? twinOf(name % 200) : keyOf(name);
        assert.equal(packed.find(key), plain.get(key) ?? -1);
        if (!plain.has(key)) plain.set(key, plain.size);
        assert.equal(packed.add(key), plain.get(key));
        assert.equal(packed.size, plain.size);
      }
      for (const [key, number] of plain) {
        assert.equal(packed.find(key), number);
        assert.equal(packed.keyAt(number), key);
      }
    }),
    { numRuns: 40 },
  );
});

test('is empty after it was cleared', () => {
  const packed = new PackedKeys();
  for (let name = 0; name < 1000; name++) packed.add(keyOf(name));
  packed.clear();
  assert.equal(packed.size, 0);
  assert.equal(packed.has(keyOf(1)), false);
  assert.equal(packed.add(keyOf(1)), 0);
  assert.throws(() => packed.keyAt(1), RangeError);
});

test('a column is 0 where nothing was set', () => {
  const column = new Column();
  column.set(5000, 2 ** 32 - 1);
  assert.deepEqual([column.get(5000), column.get(4999), column.get(1e6)], [2 ** 32 - 1, 0, 0]);
});
