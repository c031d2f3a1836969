import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bytesOf, bytesUpTo, count, literal, record, type Shape } from './shape.ts';
import { refusedAs } from './test-support.ts';

const anything: Shape<unknown> = (value) => value;
const decode = (hex: string, shape: Shape<unknown> = anything) =>
  decodeCbor(Buffer.from(hex, 'hex'), shape, 'damaged-manifest', 'the test');

describe('CBOR (format F4)', () => {
  it('F4: what was encoded decodes, and encodes to the same bytes', () => {
    const values = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
        fc.string({ unit: 'grapheme' }),
        fc.uint8Array(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.array(fc.tuple(fc.string(), tie('value')), { maxLength: 4 }).map((list) => objectOf(list)),
      ),
    })).value;
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encodeCbor(value);
        const decoded = decodeCbor(bytes, anything, 'damaged-manifest', 'the test');
        assert.deepEqual(decoded, value);
        assert.deepEqual(encodeCbor(decoded), bytes);
      }),
    );
  });

  it('F4: map keys come in the order of their encoded bytes', () => {
    const text = Buffer.from(encodeCbor({ b: 1, aa: 2, a: 3 })).toString('hex');
    assert.equal(text, 'a3' + ['616103', '616201', '62616102'].join(''));
  });

  const refused: Record<string, string> = {
    'an indefinite array': '9f01ff',
    'an indefinite map': 'bf616101ff',
    'indefinite bytes': '5f4101ff',
    'indefinite text': '7f6161ff',
    'a break alone': 'ff',
    'an array of 2^32 items': '9b0000000100000000',
    'an array of 2^63 items': '9b8000000000000000',
    'bytes of 2^63': '5b8000000000000000',
    'bytes of 4 GiB': '5b00000000ffffffff',
    'text of 2^63': '7b8000000000000000',
    'a map of 2^63': 'bb8000000000000000',
    'a tagged integer': 'c001',
    'a tagged date': 'c0743230313300000000000000000000000000000000',
    'a bignum': 'c249010000000000000000',
    'a map with a key twice': 'a2616101616102',
    'map keys in another order': 'a2616201616101',
    'an integer in too many bytes': '1817',
    'a length in too many bytes': '580101',
    'an integer above 2^53': '1b0020000000000000',
    'the largest integer': '1bffffffffffffffff',
    NaN: 'f97e00',
    'NaN in eight bytes': 'fb7ff8000000000000',
    infinity: 'f97c00',
    'minus infinity': 'f9fc00',
    undefined: 'f7',
    'a simple value': 'e0',
    'a whole number as float': 'f93c00',
    'a float in too many bytes': 'fb3ff8000000000000',
    'text that is not UTF-8': '62c328',
    'a cut array': '8201',
    'cut bytes': '430102',
    nothing: '',
    'two items': '0102',
    'reserved additional information': '1c',
  };
  for (const [name, hex] of Object.entries(refused)) {
    it(`F4: refuses ${name}`, () => {
      assert.throws(() => decode(hex), refusedAs('damaged-manifest'));
    });
  }

  it('F4: refuses arrays nested beyond reason', () => {
    assert.throws(() => decode('81'.repeat(500_000) + '01'), refusedAs('damaged-manifest'));
  });

  it('F4: a key __proto__ is a key, and reaches no prototype', () => {
    const bytes = 'a169' + Buffer.from('__proto__').toString('hex') + 'a1616101';
    const strict = record({}, { a: count });
    assert.throws(() => decode(bytes, strict), refusedAs('damaged-manifest'));
    assert.deepEqual(Object.keys(decode(bytes) as object), ['__proto__']);
    assert.equal(({} as { a?: unknown }).a, undefined);
  });

  it('F2: a body of a newer format is named as such, whatever else it has', () => {
    const shape = record({ format: literal(1) });
    const newer = Buffer.from(encodeCbor({ format: 2, more: [1] })).toString('hex');
    assert.throws(() => decode(newer, shape), refusedAs('newer-format'));
    for (const body of [{ format: 0 }, { format: '2' }, { format: 1, more: 1 }, {}, [], 'x', null]) {
      const hex = Buffer.from(encodeCbor(body)).toString('hex');
      assert.throws(() => decode(hex, shape), refusedAs('damaged-manifest'), JSON.stringify(body));
    }
  });

  it('shapes bound numbers and bytes', () => {
    for (const good of ['00', '1b001fffffffffffff']) assert.doesNotThrow(() => decode(good, count));
    for (const bad of ['20', 'f93e00', '6130', 'f4'])
      assert.throws(() => decode(bad, count), refusedAs('damaged-manifest'));
    assert.doesNotThrow(() => decode('420102', bytesOf(2)));
    assert.doesNotThrow(() => decode('420102', bytesUpTo(2)));
    for (const bad of ['4101', '43010203', '820102', '626161'])
      assert.throws(() => decode(bad, bytesOf(2)), refusedAs('damaged-manifest'));
    assert.throws(() => decode('43010203', bytesUpTo(2)), refusedAs('damaged-manifest'));
  });

  it('any bytes decode or are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          const value = decodeCbor(bytes, anything, 'damaged-manifest', 'the test');
          assert.deepEqual(Buffer.from(encodeCbor(value)), Buffer.from(bytes));
        } catch (error) {
          refusedAs('damaged-manifest', 'newer-format')(error);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

/** Own keys only, `__proto__` left out: it is refused. */
function objectOf(list: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(list.filter(([key]) => key !== '__proto__' && key !== 'format'));
}
