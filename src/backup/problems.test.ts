import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentMonitor } from '../../test/support/monitor.ts';
import { pathKeyOf } from '../model/paths.ts';
import { Problems } from './problems.ts';

test('what the source does not give is told alike, in whatever order it was found', () => {
  const found = [
    { what: 'flags', path: '/home/b' },
    { what: 'extended attributes', path: '/home/c' },
    { what: 'flags', path: '/home/a/x' },
    { what: 'flags', path: '/home/a y' },
  ];
  const told = (some: typeof found): readonly string[] => {
    const problems = new Problems(silentMonitor);
    for (const { what, path } of some) problems.missing(what, pathKeyOf(path), `${path}: refused`);
    problems.finish();
    return problems.first.map(({ message }) => message);
  };
  assert.deepEqual(told(found), [
    'extended attributes of one name: /home/c: refused',
    'flags of 3 names, this one first: /home/a/x: refused',
  ]);
  assert.deepEqual(told(found.toReversed()), told(found));
});
