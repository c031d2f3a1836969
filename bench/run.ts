/**
 * What backup, restore and collection cost here, beside the backup programs that this machine has: the real programs as
 * whole processes, on trees that are the same for everybody. Run it when nothing else runs.
 *
 *   node bench/run.ts [--rounds N] [--scale X] [--sets a,b:X,...] [--peers DIR] [--folder DIR] [--timeout S] [--fresh] [--write]
 *
 * --scale 1 takes hours and 100 GB; 0.1 some minutes. --sets: many, mixed, noise, text, large, sparse, empty, churn,
 * center (a center and an agent on loopback) and stages (what each stage could do alone); `empty:0.3` has a scale of its
 * own. --peers: a folder with
 * programs that are in no PATH. --folder keeps the trees for the next time. --fresh has each restore go onto a new ext4 in
 * a file, which takes root. --write puts the result into docs/benchmarks.md.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeMixed } from '../scripts/trees/make-mixed.ts';
import { newFolder, removeFolder, REPOSITORY, run } from '../test/real/processes.ts';
import { measureSet } from './measure-set.ts';
import { Report } from './report.ts';
import { dataSets } from './sets.ts';
import { measureStages } from './stages.ts';
import { findTools } from './tools.ts';
import { measureTwo } from './two.ts';
import { workplace } from './workplace.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    scale: { type: 'string', default: '0.1' },
    sets: { type: 'string' },
    peers: { type: 'string' },
    folder: { type: 'string' },
    timeout: { type: 'string', default: '600' },
    fresh: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const scale = Number(values.scale);
const folder = values.folder ?? newFolder('bench');
mkdirSync(folder, { recursive: true });
const scratch = join(folder, 'scratch');
mkdirSync(scratch, { recursive: true });

const asked = values.sets?.split(',') ?? [...dataSets(scale).map(({ name }) => name), 'center', 'stages'];
/** Each with its scale. */
const wanted = new Map(
  asked.map((set) => {
    const [name = '', own = scale] = set.split(':');
    return [name, Number(own)];
  }),
);
const { tools, missing } = await findTools(scratch, values.peers ?? null);
const report = new Report();
const loads: string[] = [];
let stages = '';
try {
  if (wanted.has('stages')) stages = await measureStages(folder);
  for (let round = 1; round <= rounds; round++) {
    loads.push(loadavg()[0]!.toFixed(2));
    console.log(`round ${round} of ${rounds}, load average ${loads.at(-1)}`);
    for (const [name, own] of wanted) {
      const set = dataSets(own).find((each) => each.name === name);
      if (set === undefined) continue;
      const place = await workplace(folder, `${name}-${own}`, (path) => set.make(path));
      await measureSet(report, set, place, {
        tools,
        timeoutMs: Number(values.timeout) * 1000,
        fresh: values.fresh,
      });
      place.clear();
      if (values.folder === undefined) rmSync(place.tree, { recursive: true, force: true });
    }
    if (wanted.has('center')) await measureCenter();
  }
} finally {
  if (values.folder === undefined) removeFolder(folder);
}
const text = await page();
console.log(`\n${text}`);
if (values.write) writeFileSync(join(REPOSITORY, 'docs', 'benchmarks.md'), text);

async function measureCenter(): Promise<void> {
  const bytes = 1e9 * scale;
  const place = await workplace(folder, `mixed-${scale}`, (path) => makeMixed(path, bytes, 'mixed'));
  const title = `center: ${(bytes / 1e6).toFixed(0)} MB of mixed files, a center and an agent on loopback`;
  await measureTwo(report, place, title);
}

async function fileSystemOf(path: string): Promise<string> {
  const { out } = await run('df', ['--output=fstype,source', path]);
  return out.trim().split('\n').at(-1)!.split(/\s+/).join(' on ');
}

async function page(): Promise<string> {
  const { model } = cpus()[0]!;
  const { version } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as {
    version: string;
  };
  const commit = (await run('git', ['-C', REPOSITORY, 'rev-parse', '--short', 'HEAD'])).out.trim();
  const sets = values.sets === undefined ? '' : ` --sets ${values.sets}`;
  const fresh = values.fresh ? ' --fresh' : '';
  const targets = values.fresh
    ? 'Each restore goes onto a new ext4 in a file, past the page cache of the disk that it is on; no name was ever deleted there.'
    : 'Restores go onto the same disk.';
  return `# What it costs

What was asked for, why it costs that, and what this does not measure: [benchmarks-engine.md](benchmarks-engine.md).

Measured by \`node bench/run.ts${fresh} --rounds ${rounds} --scale ${scale}${sets} --write\` on
${new Date().toISOString().slice(0, 10)}: one machine, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, so these are figures of that
machine and no promise. lowtide ${version} (${commit}), Node ${process.version};
${tools
  .slice(1)
  .map((tool) => tool.version)
  .join('; ')}.
${missing.map(({ name, why }) => `${name}: ${why}, so not compared.`).join(' ')}
${cpus().length} cores of ${model}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB of memory, Linux ${release()}, ${await fileSystemOf(REPOSITORY)}.
Load average before each round: ${loads.join(', ')}. Sources and repositories are on the same disk; what a command
reads is read through before it, so that the page cache is warm for each. ${targets}

Wall time is the median with fastest and slowest; CPU is user and system time of all threads, the median; the peak is the
largest resident memory that any round had. Commands are whole processes: start of the program and of its database
included. "x lowtide" is how many times lowtide's wall time a program took. All programs encrypt and compress as they do
by default (borg: repokey-blake2). For a collection, the wall time is that from the center's order to its receipt.

${[stages, report.markdown()].filter((part) => part !== '').join('\n\n')}
`;
}
