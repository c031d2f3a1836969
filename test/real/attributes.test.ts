import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync, linkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const LOWTIDE = new URL('../../bin/lowtide', import.meta.url).pathname;
const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, LOWTIDE_PASSWORD: 'secret' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
/** Whether this machine has a program, and this user may do that on this file system. */
const can = (command: string, ...args: string[]): boolean => {
  try {
    run(command, ...args);
    return true;
  } catch {
    return false;
  }
};

test('P2: inode flags and capabilities come back, as the tools of this machine see them', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lowtide-attributes-'));
  const [source, depot, target] = ['source', 'depot', 'target'].map((name) => join(folder, name));
  mkdirSync(`${source}/locked`, { recursive: true });
  for (const name of ['immutable', 'append', 'plain', 'able', 'locked/inside'])
    writeFileSync(`${source}/${name}`, name);
  linkSync(`${source}/immutable`, `${source}/immutable too`);
  try {
    if (!can('chattr', '+dA', `${source}/plain`)) return t.skip('no flags on this file system');
    const isRoot = process.geteuid!() === 0;
    const capable = isRoot && can('setcap', 'cap_net_raw+ep', `${source}/able`);
    if (isRoot) {
      run('chattr', '+i', `${source}/immutable`, `${source}/locked`);
      run('chattr', '+a', `${source}/append`);
    }
    const described = (root: string): string => {
      const capabilities = capable ? run('getcap', '-r', root) : '';
      return (run('lsattr', '-R', root) + capabilities).replaceAll(root, '');
    };
    run(LOWTIDE, 'init', depot!);
    run(LOWTIDE, 'backup', source!, '--depot', depot!);
    run(LOWTIDE, 'restore', 'latest', '--to', target!, '--depot', depot!);
    assert.equal(described(join(target!, source!)), described(source!));
  } finally {
    can('chattr', '-R', '-i', '-a', folder);
    rmSync(folder, { recursive: true });
  }
});
