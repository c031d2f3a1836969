import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isLowtideError } from '../model/errors.ts';
import type { Attributes } from '../model/entries.ts';
import { decodeAttributes, differInBirthOnly, encodeAttributes, keyButBirth } from './attributes.ts';
import { encodeCbor } from './cbor.ts';

const latin1 = fc
  .uint8Array({ minLength: 1, maxLength: 300 })
  .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)).toString('latin1'));
const names = fc.oneof(
  fc.constantFrom('user.a', 'system.posix_acl_access', 'system.posix_acl_default', 'security.capability'),
  latin1,
);
const attributes: fc.Arbitrary<Attributes> = fc.record(
  {
    xattrs: fc.uniqueArray(
      fc.record({ name: names, value: fc.uint8Array({ maxLength: 70_000, size: 'small' }) }),
      {
        selector: ({ name }) => name,
        maxLength: 5,
      },
    ),
    flags: fc.nat(0x7fff_ffff),
    birth: fc.bigInt(-(2n ** 62n), 2n ** 62n),
    owner: fc.string({ maxLength: 40 }),
    group: fc.string({ maxLength: 40 }),
  },
  { requiredKeys: ['xattrs', 'flags'] },
);
const sorted = ({ xattrs, ...rest }: Attributes) => ({
  ...rest,
  xattrs: xattrs.map(({ name, value }) => `${name}=${Buffer.from(value).toString('hex')}`).sort(),
});

test('attributes are read as they were written (F27)', () => {
  fc.assert(
    fc.property(attributes, (given) => {
      assert.deepEqual(sorted(decodeAttributes(encodeAttributes(given))), {
        ...sorted(given),
        passedOver: false,
      });
    }),
  );
});

test('they are written in deterministic CBOR (F4)', () => {
  const given: Attributes = {
    xattrs: [
      { name: 'user.b', value: new Uint8Array(256).fill(7) },
      { name: 'user.a', value: Uint8Array.of() },
      { name: 'system.posix_acl_access', value: Uint8Array.of(2, 0, 0, 0) },
    ],
    flags: 0x10_0040,
    birth: -1n,
    owner: 'ann',
    group: 'grün',
  };
  const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
  const expected = new Map<number, unknown>([
    [
      1,
      [
        [bytes('user.a'), Uint8Array.of()],
        [bytes('user.b'), new Uint8Array(256).fill(7)],
      ],
    ],
    [2, [[1, Uint8Array.of(2, 0, 0, 0)]]],
    [3, 0x10_0040],
    [4, [-1, 999_999_999]],
    [5, 1],
    [11, 'ann'],
    [12, 'grün'],
  ]);
  assert.deepEqual(Buffer.from(encodeAttributes(given)), Buffer.from(encodeCbor(expected)));
});

test('unknown keys and values of another kind are passed over, and another platform’s attributes too', () => {
  const some = new Map<number, unknown>([
    [1, [[Uint8Array.of(65), Uint8Array.of(1)], ['text', 5], 7]],
    [3, 64],
    [4, 'when'],
    [5, 1],
    [99, { any: 'thing' }],
  ]);
  assert.deepEqual(decodeAttributes(encodeCbor(some)), {
    xattrs: [{ name: 'A', value: Uint8Array.of(1) }],
    flags: 64,
    passedOver: true,
  });
  assert.deepEqual(decodeAttributes(encodeCbor(some.set(5, 3))), {
    xattrs: [],
    flags: 0,
    passedOver: true,
  });
  const none = { xattrs: [], flags: 0, passedOver: false };
  assert.deepEqual(decodeAttributes(Uint8Array.of(0xa0)), none);
});

test('attributes that differ in the birth only have one key, and others another or none', () => {
  const small = fc.record({
    // Most are plain, and born in this century, so that many pairs have keys to compare.
    xattrs: fc.constantFrom([], [], [], [{ name: 'user.a', value: Buffer.from('1') }]),
    flags: fc.constantFrom(0, 0, 0, 16, 32),
    birth: fc.oneof(fc.bigInt(0n, 2n ** 62n), fc.bigInt(10n ** 18n, 2n * 10n ** 18n)),
    owner: fc.constantFrom('root', 'anna'),
  });
  let keys = 0;
  fc.assert(
    fc.property(small, small, (one, other) => {
      const [a, b] = [one, other].map((given) => keyButBirth(encodeAttributes(given)));
      if (a === null || b === null) return;
      keys++;
      const same = (given: Attributes): unknown => sorted({ ...given, birth: 0n });
      if (a === b) assert.deepEqual(same(one), same(other));
      else assert.notDeepEqual(same(one), same(other));
    }),
    { numRuns: 500 },
  );
  assert.ok(keys > 0);
});

test('two differ in their birth only if they have the same key', () => {
  const made = fc.array(fc.bigInt(0n, 2n ** 62n), { minLength: 2, maxLength: 2 });
  fc.assert(
    fc.property(made, fc.boolean(), fc.nat(63), fc.nat(255), ([first, second], byName, at, byte) => {
      const rest = { xattrs: [], flags: 0, ...(byName ? { owner: 'root' } : {}) };
      const one = encodeAttributes({ ...rest, birth: first! });
      const other = Uint8Array.from(encodeAttributes({ ...rest, birth: second! }));
      assert.equal(differInBirthOnly(one, other), haveOneKey(one, other));
      if (at < other.length) other[at] = byte;
      assert.equal(differInBirthOnly(one, other), haveOneKey(one, other));
      assert.equal(differInBirthOnly(other, one), haveOneKey(one, other));
    }),
    { numRuns: 2000 },
  );
});

const haveOneKey = (one: Uint8Array, other: Uint8Array): boolean =>
  keyButBirth(one) !== null && keyButBirth(one) === keyButBirth(other);

test('a key is given only to what can be decoded if another with the key can be', () => {
  const bytes = encodeAttributes({ xattrs: [], flags: 0, birth: 1_700_000_000_123_456_789n });
  const key = keyButBirth(bytes);
  assert.notEqual(key, null);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, byte) => {
      const changed = Uint8Array.from(bytes);
      changed[at] = byte;
      if (keyButBirth(changed) === key) assert.equal(decodeAttributes(changed).passedOver, false);
    }),
    { numRuns: 2000 },
  );
});

test('what is no CBOR map is damaged', () => {
  for (const bytes of [Uint8Array.of(), Uint8Array.of(0x80), Uint8Array.of(0xa1), Uint8Array.of(0xff)]) {
    assert.throws(
      () => decodeAttributes(bytes),
      (error) => isLowtideError(error, 'damaged-page'),
    );
  }
});
