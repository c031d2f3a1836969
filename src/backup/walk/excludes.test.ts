import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Excludes, matchableName } from './excludes.ts';

const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

test('patterns are those of gitignore, and case counts', () => {
  const excludes = new Excludes(['*.o', '/build/', 'cache', '!keep.o', 'docs/**/draft']);
  const cases: [string, boolean, boolean][] = [
    ['a.o', false, true],
    ['deep/down/a.o', false, true],
    ['A.O', false, false],
    ['keep.o', false, false],
    ['build', true, true],
    ['build', false, false],
    ['deep/build', true, false],
    ['deep/cache', true, true],
    ['docs/a/b/draft', false, true],
    ['docs', true, false],
  ];
  for (const [path, isDirectory, excluded] of cases) {
    assert.equal(excludes.excludes(path, isDirectory), excluded, path);
  }
});

test('names are matched as UTF-8, and bytes that are none one by one', () => {
  const excludes = new Excludes(['größe', 'caf\u00e9?']);
  assert.equal(excludes.excludes(matchableName(latin1('größe')), false), true);
  assert.equal(matchableName('caf\u00e9\u0080'), 'caf\u00e9\u0080');
  assert.equal(excludes.excludes(matchableName('caf\u00e9\u0080'), false), true);
});

test('answers stay the same when more was asked than it remembers', () => {
  const excludes = new Excludes(['*.tmp', 'x/']);
  for (let i = 0; i < 10_000; i++) {
    assert.equal(excludes.excludes(`d${i % 7}/${i}.tmp`, false), true);
    assert.equal(excludes.excludes(`d${i % 7}/${i}`, false), false);
  }
  assert.equal(excludes.excludes('x', true), true);
});

test('strange names are no error', () => {
  const excludes = new Excludes(['a']);
  for (const name of ['...', ' ', '\\', '\n', '-', '~', '#x', '!x', '[', '*', '\u{202e}', '\x01']) {
    assert.equal(excludes.excludes(name, false), false, JSON.stringify(name));
  }
});
