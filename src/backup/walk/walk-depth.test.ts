import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinPath, PATH_BYTES_MAX, type PathKey, pathKeyOf } from '../../model/paths.ts';
import { SimulatedNode } from '../../sim/node.ts';
import { Simulation } from '../../sim/simulation.ts';
import { Excludes } from './excludes.ts';
import { lookAtRoots } from './roots.ts';
import { walk, type Walked } from './walk.ts';

test('F21: what is nested deeper than a snapshot can hold is told, and the rest is walked', async () => {
  const node = new SimulatedNode(new Simulation({ seed: 3 }), { name: 'ann' });
  const name = 'x'.repeat(250);
  const deep = Array.from({ length: 132 }, () => name).join('/');
  node.files.write(`/home/${deep}/lost`, 'x');
  node.files.write('/home/y', 'x');
  const { files } = node.boot();
  const options = {
    excludes: new Excludes([]),
    excludeCaches: false,
    oneFileSystem: false,
    leftOut: pathKeyOf('/none'),
    expectsFiles: () => Promise.resolve(false),
  };
  const found: Walked[] = [];
  const roots = await lookAtRoots(files, [pathKeyOf('/home')]);
  for await (const batch of walk(files, roots, options)) found.push(...batch);
  const problems = found.filter((item) => item.kind === 'problem');
  assert.deepEqual(
    problems.map(({ code, severity }) => [code, severity]),
    [['bad-path', 'error']],
  );
  const paths = found.flatMap(pathsOf);
  assert.equal(paths.at(-1), pathKeyOf('/home/y'));
  assert.equal(paths.length, 2 + 130);
  assert.ok(paths.every((path) => path.length <= PATH_BYTES_MAX));
});

function pathsOf(item: Walked): PathKey[] {
  if (item.kind === 'entry') return [item.path];
  if (item.kind === 'problem') return [];
  const { directory, entries, from, to } = item;
  return Array.from({ length: to - from }, (_, at) => joinPath(directory, entries.nameAt(from + at)));
}
