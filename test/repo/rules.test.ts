import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isTest, isTestSupport, ourFiles, read, ROOT, sourceFiles } from './repository.ts';

/** Rules for what people write here that no linter checks. A violation is named with file and line. */
const LINES_MAX = 400;
const LINES_MEDIAN_MAX = 120;

/** Without this file, which must name what it forbids. */
const ours = ourFiles().filter((path) => path !== 'test/repo/rules.test.ts');
const product = sourceFiles().filter((path) => !isTest(path) && !isTestSupport(path));
const typescript = ourFiles().filter((path) => path.endsWith('.ts'));
/** Where the ambient world begins (DESIGN 3): state of the process may live there. */
const inside = product.filter((path) => !/^src\/(?:world|http|cli)\//.test(path));

/** `path:line: text` for every line on which the pattern is found. */
function linesWith(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1}: ${line.trim()}`] : [])),
  );
}

describe('code', () => {
  it('keeps no state in modules', () => {
    // Formatted code is indented inside of anything, so what starts a line is top level.
    const variables = linesWith(inside, /^(?:export )?(?:let|var) /);
    const empty = linesWith(
      inside,
      /^(?:export )?const \w+(?:: (?!readonly|Readonly)[^=]+)? = (?:new \w+(?:<.*>)?\(\)|\[\]|\{\});/,
    );
    const shared = linesWith(inside, /^export const \w+ = (?:new (?:Weak)?(?:Map|Set)\b|\[)(?!.*as const)/);
    assert.deepEqual([...variables, ...empty, ...shared], []);
  });

  it('has short files', () => {
    const lengths = new Map(typescript.map((path) => [path, read(path).split('\n').length - 1]));
    assert.deepEqual(
      [...lengths].filter(([, lines]) => lines > LINES_MAX),
      [],
    );
    const sorted = product.map((path) => lengths.get(path)!).sort((a, b) => a - b);
    assert.ok(sorted[sorted.length >> 1]! <= LINES_MEDIAN_MAX);
  });

  it('has short functions', () => {
    const options = ['-c', 'test/repo/function-length.json', '--format', 'unix', ...product];
    const linter = spawnSync(join(ROOT, 'node_modules/.bin/oxlint'), options, {
      cwd: ROOT,
      encoding: 'utf8',
    });
    assert.equal(linter.status, 0, linter.stdout + linter.stderr);
  });

  it('has no default exports but in configuration', () => {
    assert.deepEqual(
      linesWith(
        typescript.filter((path) => !path.endsWith('.config.ts')),
        /^export default\b/,
      ),
      [],
    );
  });

  it('leaves no test out', () => {
    const tests = typescript.filter((path) => path.startsWith('test/') || isTest(path));
    const called = linesWith(tests, /\b(?:it|test|describe|suite)\s*\.\s*(?:only|skip|todo)\b/);
    const asked = linesWith(tests, /\{\s*(?:only|skip|todo):\s*true\b/);
    assert.deepEqual([...called, ...asked], []);
  });
});

describe('files', () => {
  it('are named in lower case with hyphens', () => {
    const inFolders = ourFiles().filter((path) => /^(?:src|test|docs|scripts|bench|examples)\//.test(path));
    const odd = inFolders.filter((path) => !/^(?:[a-z0-9]+(?:[-.][a-z0-9]+)*\/?)+$/.test(path));
    assert.deepEqual(odd, []);
  });

  it('name no place of one machine and leave nothing to be done', () => {
    const places = ['/root/', '/Users/', '/work/', '/tmp/lt/', 'C:\\\\Users'].join('|');
    assert.deepEqual(linesWith(ours, new RegExp(places)), []);
    assert.deepEqual(linesWith(ours, /\b(?:TODO|FIXME|XXX)\b/), []);
  });

  it('say what is so, without praise', () => {
    const praise = [
      'blazing',
      'seamless',
      'effortless',
      'powerful',
      'leverag',
      'utiliz',
      'cutting-edge',
      'obviously',
    ];
    assert.deepEqual(linesWith(ours, new RegExp(praise.join('|'), 'i')), []);
  });

  it('of the product are all in use', () => {
    // The simulator is a part of the product that tests and scripts start, until there is a verb for it.
    const simulator = product.filter((path) => path.startsWith('src/sim/'));
    const reached = reachable(['src/cli/main.ts', ...simulator]);
    const tested = reachable(typescript.filter((path) => path.startsWith('test/') || isTest(path)));
    assert.deepEqual(
      product.filter((path) => !reached.has(path)),
      [],
    );
    assert.deepEqual(
      simulator.filter((path) => !tested.has(path)),
      [],
    );
    const help = typescript.filter((path) => isTestSupport(path) && !isTest(path));
    assert.deepEqual(
      help.filter((path) => !tested.has(path)),
      [],
    );
  });
});

describe('packages', () => {
  it('that the product depends on are used by it, and others by nobody in it', () => {
    const manifest = JSON.parse(read('package.json')) as { readonly dependencies: Record<string, string> };
    const fixed = /^(?:import|export)[^;']* from '([^'.][^']*)'/gm;
    const later = /\bimport\('([^'.][^']*)'\)/g;
    const imports = product.flatMap((path) => {
      const text = read(path);
      return [...text.matchAll(fixed), ...text.matchAll(later)];
    });
    const names = imports
      .map(([, name]) => name!)
      .filter((name) => !name.startsWith('node:'))
      .map((name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/'));
    assert.deepEqual([...new Set(names)].sort(), Object.keys(manifest.dependencies).sort());
  });
});

/** Files that are loaded with these: by import, static or not, or named as a module to run in a worker. */
function reachable(entries: readonly string[]): Set<string> {
  const found = new Set(entries);
  const stack = [...entries];
  while (stack.length > 0) {
    const path = stack.pop()!;
    const text = read(path);
    const imported = [...text.matchAll(/'(\.\.?\/[^'\n]*\.ts)'/g)].map(([, target]) => target!);
    // A thread's own file, beside the one that starts it, with the same ending.
    const started = [...text.matchAll(/'([a-z-]+)\$1'/g)].map(([, name]) => `${name}.ts`);
    for (const target of [...imported, ...started]) {
      const file = join(path, '..', target);
      if (found.has(file) || !typescript.includes(file)) continue;
      found.add(file);
      stack.push(file);
    }
  }
  return found;
}
