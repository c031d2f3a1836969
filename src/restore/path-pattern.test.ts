import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { pathKeyOf } from '../model/paths.ts';
import { pathPattern } from './path-pattern.ts';

const finds = (pattern: string, path: string): boolean => pathPattern(pattern)(pathKeyOf(path));

test('text without signs is looked for anywhere in the path', () => {
  assert.ok(finds('ann/no', '/home/ann/notes'));
  assert.ok(finds('/home', '/home/ann'));
  assert.ok(!finds('Ann', '/home/ann'));
});

test('a pattern without a slash is for the last name', () => {
  const cases: [string, string, boolean][] = [
    ['*.txt', '/a/b.txt', true],
    ['*.txt', '/a.txt/b', false],
    ['*', '/a', true],
    ['?', '/ä', true],
    ['?', '/ab', false],
    ['[a-c]?', '/b1', true],
    ['[!a-c]?', '/b1', false],
    ['[]]*', '/]x', true],
    ['[a-]', '/-', true],
    ['[', '/[', true],
    ['*[*]*', '/a*b', true],
    ['*[*]*', '/ab', false],
    ['*a*b*c', '/xxaxxbxxc', true],
    ['*a*b*c', '/xxaxxcxxb', false],
    ['a*', '/b', false],
    ['*', '/', false],
  ];
  for (const [pattern, path, expected] of cases)
    assert.equal(finds(pattern, path), expected, `${pattern} ${path}`);
});

test('a pattern with a slash is for the whole path, and ** is any number of directories', () => {
  const cases: [string, string, boolean][] = [
    ['/home/*/x', '/home/ann/x', true],
    ['home/*/x', '/home/ann/x', true],
    ['/home/*/x', '/home/ann/b/x', false],
    ['/home/**/x', '/home/ann/b/x', true],
    ['/home/**/x', '/home/x', true],
    ['/home/**', '/home/a/b', true],
    ['**/b/*', '/a/b/c', true],
    ['**/b/*', '/b/c', true],
    ['**/b/*', '/b', false],
    ['/*', '/a/b', false],
  ];
  for (const [pattern, path, expected] of cases)
    assert.equal(finds(pattern, path), expected, `${pattern} ${path}`);
});

test('a name that is not UTF-8 is found as it is shown', () => {
  const key = 'a\u00ff' as ReturnType<typeof pathKeyOf>;
  assert.ok(pathPattern('a\\xff')(key));
  assert.ok(pathPattern('a*f')(key));
});

test('patterns agree with the regular expression that they stand for', () => {
  const letters = fc.array(fc.constantFrom('a', 'b', '*', '?'), { maxLength: 8 });
  const texts = fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(letters, texts, (pattern, text) => {
      const sign = [...pattern, '*'].join('');
      const expected = new RegExp(`^${sign.replaceAll('?', '.').replaceAll(/\*+/g, '.*')}$`);
      assert.equal(finds(sign, `/${text.join('')}`), expected.test(text.join('')));
    }),
  );
});

test('a pattern with many stars takes no longer than its length says', () => {
  assert.equal(finds(`${'*a'.repeat(100)}b*`, `/${'a'.repeat(250)}`), false);
});
