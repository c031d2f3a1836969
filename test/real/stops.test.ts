import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeMixed } from '../../scripts/trees/make-mixed.ts';
import { describeTree } from './difficult-tree.ts';
import { Pair } from './pair.ts';
import { type Ended, LOWTIDE, run, sleep } from './processes.ts';

const EVENT_MS = 30_000;
/** So much that a backup is still under way when its status has been asked for. */
const TREE_BYTES = 300e6;

let pair: Pair;
let tree: string;

before(async () => {
  pair = await Pair.make('stops');
  tree = join(pair.folder, 'tree');
  makeMixed(tree, TREE_BYTES, 'stops');
  await pair.onAgent('job', 'add', 'documents', tree, '--backup', 'manual', '--transfer', 'any');
  await pair.startAgent();
});
after(() => pair.close());

const runJob = (exits: readonly number[]) => pair.askAgent(['job', 'run', 'documents'], { exits });

test('SIGTERM amid a backup: the agent ends with 0, leaves nothing of it, and takes it after a restart', async () => {
  const asked = runJob([1, 130]);
  while ((await pair.status()).agent['taking'] !== 'documents') await sleep(50);
  assert.equal((await pair.agent.stop()).code, 0);
  await asked;
  assert.equal(pair.agent.events('taken').length, 0, 'it was stopped amid the backup');
  await pair.startAgent();
  const { spooled, spoolBytes } = await pair.status();
  assert.deepEqual([spooled.length, spoolBytes], [0, 0]);
  assert.equal((await pair.snapshots()).length, 0);
});

test('SIGTERM amid a transfer: agent and center end with 0, and it goes on without sending again what arrived', async () => {
  const asked = runJob([0]);
  await pair.center.event('ordered', EVENT_MS);
  while (packBytes() < 1e6) await sleep(2);
  const ends = await Promise.all([pair.agent.stop(), pair.center.stop()]);
  assert.deepEqual(
    ends.map(({ code }) => code),
    [0, 0],
  );
  await asked;
  const paused = pair.center.events('paused');
  assert.equal(pair.center.events('committed').length, 0, 'it was stopped amid the transfer');
  const arrived = Number(paused[0]?.['bytes']);
  await pair.startCenter();
  await pair.startAgent();
  await pair.drained(EVENT_MS);
  const sent = Number(pair.agent.events('sent')[0]?.['bytes']);
  const total = Number((await pair.onCenter('center', 'snapshots'))[0]?.['new_bytes']);
  assert.ok(
    arrived > 0 && sent + arrived <= total,
    `${arrived} arrived before and ${sent} after, of ${total}`,
  );
});

test('SIGTERM amid a restore: exit 130, no file under its name that is not whole, and the same restore goes on', async () => {
  const target = join(pair.folder, 'restored');
  const args = ['restore', 'latest', '--to', target, '--data', pair.agentData];
  const ended: Ended = await run(LOWTIDE, args, {
    exits: [130],
    onStart: (child) => {
      const timer = setInterval(() => {
        if (filesBelow(target) < 50) return;
        clearInterval(timer);
        child.kill('SIGTERM');
      }, 5);
    },
  });
  assert.match(ended.err, /interrupted/);
  const truth = describeTree(tree).split('\n');
  const sums = describeTree(join(target, tree))
    .split('\n')
    .filter((line) => /^[0-9a-f]{64} /.test(line));
  assert.ok(sums.length > 0);
  assert.deepEqual(
    sums.filter((line) => !truth.includes(line)),
    [],
  );
  const { complete } = await pair.restore(target, 'latest');
  assert.ok(complete);
  assert.equal(describeTree(join(target, tree)), describeTree(tree));
});

test('SIGHUP: an agent whose output does not go to a terminal outlives it', async () => {
  process.kill(pair.agent.pid, 'SIGHUP');
  await runJob([0]);
  assert.ok(pair.agent.running);
});

/** What the center has written of the first transfer so far. */
function packBytes(): number {
  const packs = join(pair.centerData, 'store', 'packs');
  return readdirSync(packs).reduce((sum, name) => sum + statSync(join(packs, name)).size, 0);
}

function filesBelow(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true }).length;
  } catch {
    return 0;
  }
}
