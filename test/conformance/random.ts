/**
 * What every Random must do.
 *
 *   randomConformance(name, make)
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Random } from '../../src/world/ports.ts';

export function randomConformance(name: string, make: () => Random): void {
  describe(`Random: ${name}`, () => {
    test('gives as many bytes as asked for', () => {
      const random = make();
      for (const length of [0, 1, 16, 32, 100_000]) assert.equal(random.bytes(length).length, length);
    });

    test('never gives the same 16 bytes twice', () => {
      const random = make();
      const seen = new Set(Array.from({ length: 1000 }, () => Buffer.from(random.bytes(16)).toString('hex')));
      assert.equal(seen.size, 1000);
    });

    test('uses every value of a byte about equally often', () => {
      const counts = new Uint32Array(256);
      for (const byte of make().bytes(256 * 1000)) counts[byte]!++;
      assert.ok(Math.min(...counts) > 800 && Math.max(...counts) < 1200, counts.join(' '));
    });

    test('gives arrays of their own', () => {
      const random = make();
      const first = random.bytes(32);
      const copy = Uint8Array.from(first);
      random.bytes(32).fill(0);
      assert.deepEqual(Uint8Array.from(first), copy);
    });
  });
}
