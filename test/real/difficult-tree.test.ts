import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeTree, makeDifficultTree } from './difficult-tree.ts';

const LOWTIDE = new URL('../../bin/lowtide', import.meta.url).pathname;

test('P2: a tree of difficult names, links, modes, times and sizes comes back as it was', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lowtide-difficult-'));
  const lowtide = (...args: string[]): string =>
    execFileSync(LOWTIDE, args, {
      encoding: 'utf8',
      env: { ...process.env, LOWTIDE_PASSWORD: 'secret' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  try {
    const source = join(folder, 'source');
    const depot = join(folder, 'depot');
    const target = join(folder, 'target');
    makeDifficultTree(source);
    const before = describeTree(source);
    lowtide('init', depot);
    lowtide('backup', source, '--depot', depot);
    lowtide('restore', 'latest', '--to', target, '--depot', depot);
    assert.equal(describeTree(source), before, 'the source is as it was');
    assert.equal(describeTree(join(target, source)), before);
    lowtide('verify', '--read-data', '--depot', depot);
  } finally {
    execFileSync('chmod', ['-R', 'u+rwx', folder]);
    rmSync(folder, { recursive: true });
  }
});
