import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

const HOOKS = new URL('../../examples/hooks/', import.meta.url).pathname;
const run = (command: string, words: readonly string[], step = ''): void =>
  void execFileSync(command, words, { stdio: 'pipe', env: { ...process.env, LOWTIDE_STEP: step } });

test('every example of a hook is read by sh without complaint', () => {
  for (const name of readdirSync(HOOKS)) run('sh', ['-n', join(HOOKS, name)]);
});

/** Null, and the test is skipped, where this machine cannot do it. */
function mountedBtrfs(t: TestContext): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'lowtide-btrfs-'));
  const [image, mountpoint] = [join(folder, 'image'), join(folder, 'mounted')];
  let mounted = false;
  t.after(() => {
    if (mounted) run('umount', [mountpoint]);
    rmSync(folder, { recursive: true });
  });
  mkdirSync(mountpoint);
  try {
    run('truncate', ['-s', '200M', image]);
    run('mkfs.btrfs', ['-q', image]);
    run('mount', ['-o', 'loop', image, mountpoint]);
  } catch {
    t.skip('no Btrfs can be made and mounted here');
    return null;
  }
  mounted = true;
  return mountpoint;
}

test('the Btrfs hook shows the moment before, for as long as the backup runs, also after a crash', (t) => {
  const volume = mountedBtrfs(t);
  if (volume === null) return;
  const snapshot = join(volume, '.lowtide');
  const hook = (step: string): void => run(join(HOOKS, 'btrfs-snapshot'), [volume, snapshot], step);
  const seen = (): string => readFileSync(join(snapshot, 'file'), 'utf8');
  writeFileSync(join(volume, 'file'), 'one');
  hook('before');
  writeFileSync(join(volume, 'file'), 'two');
  assert.equal(seen(), 'one');
  // Nobody ran the hook after: the machine went down.
  hook('before');
  assert.equal(seen(), 'two');
  hook('after');
  assert.equal(existsSync(snapshot), false);
  hook('after');
});
