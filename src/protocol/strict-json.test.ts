import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseStrictJson } from './strict-json.ts';

const parse = (text: string) => parseStrictJson(Buffer.from(text, 'utf8'));
const refused = (text: string, why: RegExp): void =>
  assert.throws(() => parse(text), { code: 'bad-request', message: why });

test('what JSON.stringify writes comes back', () => {
  const name = fc.string().filter((text) => !['__proto__', 'constructor', 'prototype'].includes(text));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'small', maxDepth: 6 }, tie('leaf'), tie('array'), tie('object')),
    leaf: fc.oneof(
      fc.constantFrom(null, true, false),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.string({ unit: 'grapheme' }),
    ),
    array: fc.array(tie('value'), { maxLength: 5 }),
    object: fc.dictionary(name, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  }));
  fc.assert(
    fc.property(value, fc.constantFrom(0, 2), (tree, indent) => {
      const text = JSON.stringify(tree, null, indent);
      assert.deepEqual(parse(` ${text}\n`), JSON.parse(text));
    }),
  );
});

test('any other text is refused exactly when JSON.parse refuses it, or for a reason of ours', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    'a',
    '\\',
    '\\"',
    '1',
    '-',
    '.',
    'e',
    ' ',
    'null',
    '"k":',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join('');
      let expected: unknown;
      try {
        expected = JSON.parse(text);
      } catch {
        refused(text, /not valid JSON/);
        return;
      }
      try {
        assert.deepEqual(parse(text), expected);
      } catch (error) {
        assert.match(String(error), /stands twice|too large/);
      }
    }),
    { numRuns: 3000 },
  );
});

test('hostile JSON is refused, and Object.prototype stays as it was (faults 27)', () => {
  const before = Object.getOwnPropertyNames(Object.prototype);
  refused('['.repeat(10_000) + ']'.repeat(10_000), /too deeply/);
  refused('{"a":1,"a":2}', /twice/);
  refused('{"\\u0061":1,"a":2}', /twice/);
  refused('{"__proto__":{"polluted":1}}', /not allowed/);
  refused('{"\\u005f_proto__":{"polluted":1}}', /not allowed/);
  refused('{"constructor":{"prototype":{}}}', /not allowed/);
  refused('1e999', /too large/);
  refused('"\\ud800"', /surrogate/);
  refused('\uFEFF{}', /missing/);
  refused('"a\u0000b"', /not valid/);
  refused('01', /follows/);
  refused('', /missing/);
  assert.throws(() => parseStrictJson(Uint8Array.of(0x22, 0xff, 0x22)), { message: /UTF-8/ });
  assert.deepEqual(Object.getOwnPropertyNames(Object.prototype), before);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

test('a megabyte of backslashes or quotes costs no more than reading it', () => {
  refused('"' + '\\'.repeat(1_000_001), /does not end/);
  assert.equal((parse('"' + '\\\\'.repeat(500_000) + '"') as string).length, 500_000);
});
