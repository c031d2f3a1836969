import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobOf, SmallFleet } from '../../../test/support/fleet-kit.ts';
import { refusedAs } from '../../format/test-support.ts';
import type { Job } from '../../model/jobs.ts';
import type { Command, CommandEnd } from '../../world/ports.ts';
import { takeJob } from './taking.ts';

const OK: CommandEnd = { ok: true, status: 0, how: '', said: '' };
const FAILED: CommandEnd = { ok: false, status: 1, how: 'it ended with status 1', said: 'no' };
const ALLOW = ['/usr/lib/hooks/', '/bin/dump'];

interface Ran {
  readonly calls: readonly string[];
  readonly snapshots: number;
  readonly error: unknown;
  readonly alarms: readonly string[];
}

/** Takes the job once, on a machine where programs end as `ends` says; all others end well. */
async function taken(job: Partial<Job>, ends: Record<string, CommandEnd> = {}, allow = ALLOW): Promise<Ran> {
  const small = await SmallFleet.make();
  const calls: string[] = [];
  const commands = {
    run: async ({ words, environment, timeoutMs }: Command): Promise<CommandEnd> => {
      const { LOWTIDE_STEP, LOWTIDE_RESULT, LOWTIDE_SNAPSHOT } = environment;
      const shown = [
        LOWTIDE_STEP,
        ...words,
        LOWTIDE_RESULT,
        LOWTIDE_SNAPSHOT === '' ? '-' : LOWTIDE_SNAPSHOT && 'id',
      ];
      calls.push(`${shown.filter(Boolean).join(' ')} ${timeoutMs}`);
      return ends[words[0]!] ?? OK;
    },
    capture: () => Promise.reject(new TypeError('not here')),
  };
  const alarms: string[] = [];
  const { parts } = small;
  const monitor = {
    ...parts.world.monitor,
    event: (event: { kind: string; message?: string }) =>
      void (event.kind === 'alarm' && alarms.push(event.message!)),
  };
  const { spoolBytes, compressionLevel, jobs, host, software } = parts.settings;
  const changed = {
    ...parts,
    world: { ...parts.world, commands, monitor: { ...monitor, problem: () => {}, progress: () => {} } },
    settings: { spoolBytes, compressionLevel, yield: false, jobs, host, software, allow },
  };
  const error: unknown = await small.finish(takeJob(changed, jobOf(job), new AbortController().signal)).then(
    () => null,
    (reason: unknown) => reason,
  );
  return { calls, error, alarms, snapshots: (await small.rows()).length };
}

const hooks = { before: ['/usr/lib/hooks/freeze', 'now'], after: ['/usr/lib/hooks/thaw'], timeout: 7 };

test('hooks run around a backup, and the one after is told what was taken', async () => {
  const { calls, snapshots, error, alarms } = await taken({ hooks });
  assert.deepEqual(calls, [
    'before /usr/lib/hooks/freeze now 7000',
    'after /usr/lib/hooks/thaw taken id 7000',
  ]);
  assert.deepEqual([snapshots, error, alarms], [1, null, []]);
});

test('if the hook before fails, nothing is taken, and the one after runs', async () => {
  const { calls, snapshots, error } = await taken({ hooks }, { '/usr/lib/hooks/freeze': FAILED });
  assert.deepEqual(calls, [
    'before /usr/lib/hooks/freeze now 7000',
    'after /usr/lib/hooks/thaw failed - 7000',
  ]);
  assert.equal(snapshots, 0);
  assert.ok(refusedAs('hook-failed')(error));
  assert.match(String(error), /nothing was taken: \/usr\/lib\/hooks\/freeze: it ended with status 1: no/);
});

test('if the backup fails, the hook after is told so', async () => {
  const { calls, error } = await taken({ hooks, paths: ['/no/such'] });
  assert.ok(refusedAs('source-missing')(error));
  assert.equal(calls.at(-1), 'after /usr/lib/hooks/thaw failed - 7000');
});

test('if the hook after fails, the snapshot stays and an alarm is raised', async () => {
  const { snapshots, error, alarms } = await taken({ hooks }, { '/usr/lib/hooks/thaw': FAILED });
  assert.deepEqual([snapshots, error, alarms.length], [1, null, 1]);
  assert.match(alarms[0]!, /the hook after job home failed, what was taken stays/);
});

test('what agent.yaml does not allow is not run, and nothing else of the job either', async () => {
  const others = ['/usr/bin/freeze', '/usr/lib/hooks/../../bin/sh', 'freeze', '/bin/dump2', ''];
  for (const program of others) {
    const { calls, snapshots, error } = await taken({ hooks: { ...hooks, after: [program] } });
    assert.deepEqual([calls, snapshots], [[], 0], program);
    assert.ok(refusedAs('hook-refused')(error), program);
  }
  const { error } = await taken({ commands: [{ name: 'a', words: ['/usr/bin/dump'] }] });
  assert.ok(refusedAs('hook-refused')(error));
  assert.ok(refusedAs('hook-refused')((await taken({ hooks }, {}, [])).error));
});
