import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  bytesOf,
  count,
  countFrom,
  flag,
  having,
  listOf,
  literal,
  Misfit,
  number,
  oneOf,
  orNull,
  record,
  type Shape,
  text,
  textUpTo,
  where,
} from './shape.ts';

const misfitAt =
  (...path: (string | number)[]) =>
  (error: unknown): true => {
    assert.ok(error instanceof Misfit, String(error));
    assert.deepEqual(error.path, path);
    return true;
  };

const refuses = (shape: Shape<unknown>, values: readonly unknown[], ...path: (string | number)[]): void => {
  for (const value of values) assert.throws(() => shape(value), misfitAt(...path), String(value));
};

it('a record has its fields, no others, and the optional ones or not', () => {
  const shape = record({ a: count, b: orNull(text) }, { c: flag });
  for (const value of [
    { a: 1, b: 'x' },
    { a: 0, b: null, c: false },
  ])
    assert.deepEqual(shape(value), value);
  refuses(shape, [null, 1, 'a', [], new Uint8Array(2), undefined]);
  refuses(shape, [{ b: null }, { a: -1, b: null }, { a: undefined, b: null }], 'a');
  refuses(
    shape,
    [
      { a: 1, b: null, c: undefined },
      { a: 1, b: null, c: 0 },
    ],
    'c',
  );
  refuses(shape, [{ a: 1, b: null, d: 1 }], 'd');
});

it('what every object inherits is no field of a record', () => {
  refuses(record({ toString: text }), [{}], 'toString');
  refuses(record({}), [JSON.parse('{"__proto__":{"a":1}}'), JSON.parse('{"__proto__":null}')], '__proto__');
  refuses(oneOf('kind', { a: record({}) }), [{ kind: 'toString' }, { kind: 1 }, {}], 'kind');
  assert.deepEqual(having({ a: count })({ a: 1, more: 2 }), { a: 1 });
});

it('a misfit says where it is, however deep', () => {
  const shape = record({
    list: listOf(oneOf('kind', { x: record({ kind: literal('x'), id: bytesOf(2) }) })),
  });
  const good = { kind: 'x', id: new Uint8Array(2) };
  assert.deepEqual(shape({ list: [good, good] }), { list: [good, good] });
  refuses(shape, [{ list: [good, { kind: 'x', id: new Uint8Array(3) }] }], 'list', 1, 'id');
  refuses(shape, [{ list: [good, 1] }], 'list', 1, 'kind');
});

it('numbers, texts and lists have bounds', () => {
  for (const value of [0, 2 ** 53 - 1]) assert.equal(count(value), value);
  refuses(count, [-1, 0.5, 2 ** 53, NaN, '1', null, 1n]);
  refuses(countFrom(1), [0]);
  refuses(number, [NaN, Infinity, '1', null]);
  assert.equal(number(-1.5), -1.5);
  refuses(textUpTo(2), ['abc', 1]);
  refuses(listOf(count, { min: 1, max: 2 }), [[], [1, 2, 3], 'ab', { length: 1, 0: 1 }, new Uint8Array(1)]);
  refuses(literal('a', 'b'), ['c', 1, null]);
  refuses(
    where(text, (value) => value !== 'x', 'must not be x'),
    ['x', 1],
  );
});
