import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareFolders } from '../../src/cli/demo/compare-folders.ts';
import { newFolder, removeFolder, sleep } from '../../test/real/processes.ts';
import { Tree } from './tree.ts';

/**
 * Six agents, two relays, a branch and two centers on this machine, each a process with its own folder and its own
 * hours of a few seconds. All snapshots must reach both centers, every agent must list both receipts, spools and relays must drain, and what
 * is restored from each center alone must equal the files. Then once more, while every process is killed in turn and one
 * center is down in the middle. Takes some minutes; ends with 0 if all of it holds.
 *
 *     npx node examples/two-centers/run.ts
 */
const AGENTS = ['ann', 'ben', 'cid', 'dan', 'eve', 'fay'];
const PATIENCE_MS = 8 * 60_000;

const folder = newFolder('tree');
const tree = new Tree(folder, AGENTS);
let failed = true;
try {
  console.log(`In ${folder}:`);
  await tree.make();
  for (const agent of AGENTS) writeFiles(agent, 1);
  await night('the first night', async () => undefined);
  for (const agent of AGENTS) writeFiles(agent, 2);
  await night('the second night, in which every process is killed once and a center is away', () =>
    tree.trouble(),
  );
  failed = false;
} finally {
  await tree.stop();
  if (!failed) removeFolder(folder);
}

async function night(name: string, meanwhile: () => Promise<void>): Promise<void> {
  console.log(`\n${name}`);
  const started = Date.now();
  await tree.setHours();
  for (const agent of AGENTS) await tree.take(agent);
  console.log(`  ${AGENTS.length} backups taken`);
  await meanwhile();
  for (let open = await tree.open(); open.length > 0; open = await tree.open()) {
    if (Date.now() - started > PATIENCE_MS)
      throw new Error(`not done after ${PATIENCE_MS / 60_000} min:\n${open.join('\n')}`);
    await sleep(1000);
  }
  console.log(
    `  every agent lists both receipts, spools and relays are empty, ${Math.round((Date.now() - started) / 1000)} s later; by these ways, all inside the hours:`,
  );
  for (const way of await tree.ways()) console.log(`  ${way}`);
  for (const center of tree.centers) {
    for (const agent of AGENTS) await restoreAndCompare(center, agent);
    console.log(`  restored from ${center} alone: all ${AGENTS.length} as they were`);
  }
}

async function restoreAndCompare(center: string, agent: string): Promise<void> {
  const to = join(folder, 'restored', center, agent);
  await tree.restoreFrom(center, agent, to);
  const { differences } = await compareFolders(filesOf(agent), join(to, filesOf(agent)), {
    since: Date.now(),
    skip: new Set<string>(),
    owners: true,
    stop: new AbortController().signal,
  });
  if (differences.length > 0) throw new Error(`${agent} from ${center} differs: ${differences.join(', ')}`);
}

function filesOf(agent: string): string {
  return tree.filesOf(agent);
}

/** A few files of many kinds of content, some the same on every machine, other ones every night. */
function writeFiles(agent: string, round: number): void {
  const files = filesOf(agent);
  mkdirSync(join(files, 'sub', `round ${round}`), { recursive: true });
  writeFileSync(join(files, 'same everywhere'), 'the same line\n'.repeat(40_000));
  writeFileSync(join(files, 'own'), `${agent} ${round}\n`.repeat(60_000));
  for (let count = 0; count < 20; count++) {
    writeFileSync(
      join(files, 'sub', `round ${round}`, `${count}.txt`),
      `${agent} ${count}\n`.repeat(count * 50),
    );
  }
}
