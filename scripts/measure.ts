/**
 * What backup, collection and restore cost on this machine: the real program as processes, on a gigabyte of mixed files
 * and on 100,000 small ones. Run it when nothing else runs: the load average is printed beside the figures.
 *
 *   node scripts/measure.ts [--rounds N] [--megabytes N] [--files N] [--folder DIR] [--write]
 *
 * --folder keeps the trees for the next time; --write puts the result into docs/benchmarks.md.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newFolder, removeFolder, REPOSITORY, run } from '../test/real/processes.ts';
import { measureAlone } from './measure/alone.ts';
import { measureOthers, resticVersion } from './measure/others.ts';
import { Report } from './measure/report.ts';
import { measureTwo } from './measure/two.ts';
import { workplace } from './measure/workplace.ts';
import { makeMany } from './trees/make-many.ts';
import { makeMixed } from './trees/make-mixed.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    megabytes: { type: 'string', default: '1000' },
    files: { type: 'string', default: '100000' },
    folder: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const folder = values.folder ?? newFolder('measure');
mkdirSync(folder, { recursive: true });
const report = new Report();
const loads: string[] = [];
const disk = await fileSystemOf(folder);

const mixedTitle = `${values.megabytes} MB of mixed files`;
const twoTitle = `${values.megabytes} MB of mixed files, center and agent`;
const manyTitle = `${Number(values.files).toLocaleString('en-US')} small files`;
try {
  for (let round = 1; round <= rounds; round++) {
    loads.push(loadavg()[0]!.toFixed(2));
    console.log(`round ${round} of ${rounds}, load average ${loads.at(-1)}`);
    const mixed = await workplace(folder, `mixed-${values.megabytes}`, (path) =>
      makeMixed(path, Number(values.megabytes) * 1e6, 'mixed'),
    );
    await measureAlone(report, mixed, mixedTitle);
    await measureOthers(report, mixed, mixedTitle);
    await measureTwo(report, mixed, twoTitle);
    const many = await workplace(folder, `many-${values.files}`, (path) =>
      makeMany(path, Number(values.files), 'many'),
    );
    await measureAlone(report, many, manyTitle);
    await measureOthers(report, many, manyTitle);
  }
} finally {
  if (values.folder === undefined) removeFolder(folder);
}
const text = await page();
console.log(`\n${text}`);
if (values.write) writeFileSync(join(REPOSITORY, 'docs', 'benchmarks.md'), text);

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
  const restic = await resticVersion();
  return `# What it costs

Measured by \`node scripts/measure.ts --rounds ${rounds} --megabytes ${values.megabytes} --files ${values.files} --write\` on
${new Date().toISOString().slice(0, 10)}: one machine, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, so these are figures of that machine
and no promise. lowtide ${version} (${commit}), Node ${process.version}; ${restic ?? 'restic was not installed'}.
${cpus().length} cores of ${model}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB of memory, Linux ${release()}, ${disk}.
Load average before each round: ${loads.join(', ')}. Source, depot, spool and center are on the same disk; the page cache is warm.

Wall time is the median with fastest and slowest; CPU is user and system time of all threads, the median; the peak is the
largest resident memory that any round had. Commands are whole processes: start of the program and of its database included.
A restore is compared with its source by \`diff -r\` after the clock stopped. Mixed files are 6 % small ones, 44 % of half a
megabyte to 3.5, and four large ones, half of all text and half incompressible; small ones are text of 500 bytes to 256 KiB.
For a collection, the wall time is that from the center's order to its receipt, by its ledger.

${report.markdown()}
`;
}
