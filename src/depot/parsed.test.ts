import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Parsed } from './parsed.ts';

test('the same bytes are parsed once, other bytes of the same name anew, and only so many are kept', () => {
  let parses = 0;
  const parsed = new Parsed((bytes) => {
    parses++;
    return { bytes, first: bytes[0] };
  }, 2);
  assert.equal(parsed.of('a', Uint8Array.of(1)).first, 1);
  assert.equal(parsed.of('a', Uint8Array.of(1)).first, 1);
  assert.equal(parses, 1);
  assert.equal(parsed.of('a', Uint8Array.of(2)).first, 2);
  assert.equal(parses, 2);
  parsed.of('b', Uint8Array.of(3));
  parsed.of('c', Uint8Array.of(4));
  parsed.of('b', Uint8Array.of(3));
  assert.equal(parses, 4);
  parsed.of('a', Uint8Array.of(2));
  assert.equal(parses, 5);
});
