/**
 * Center and agent as real processes, killed with SIGKILL at random moments of backup, transfer, commit, receipt and
 * recovery, and started again. In the end everything must be safe, drained, undamaged and restorable as it was.
 *
 *   node scripts/kill-nine.ts [--rounds N] [--seed TEXT] [--megabytes N] [--spool SIZE]
 *
 * With a spool smaller than the tree, backups travel in parts.
 */
import { parseArgs } from 'node:util';
import { killNine, PHASES } from '../test/real/kill-nine.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    seed: { type: 'string', default: String(process.pid) },
    megabytes: { type: 'string', default: '150' },
    spool: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
console.log(`seed ${values.seed}, ${rounds} rounds, ${values.megabytes} MB`);
try {
  const report = await killNine({
    rounds,
    seed: values.seed,
    treeBytes: Number(values.megabytes) * 1e6,
    ...(values.spool !== undefined && { spool: values.spool }),
    say: (text) => console.log(text),
  });
  console.log(`${report.snapshots} snapshots, all safe, drained and restored as they were`);
  for (const [what, count] of [...report.kills].sort(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`  killed ${what}: ${count}`);
  for (const alarm of report.alarms) console.log(`  alarm ${alarm}`);
  const hit = [...report.kills.keys()].map((key) => key.split(' in ')[1]);
  const missed = PHASES.filter((phase) => !hit.includes(phase));
  if (missed.length > 0) console.log(`no kill hit ${missed.join(', ')}: run more rounds, or another seed`);
  process.exitCode = missed.length > 0 && rounds >= 2 * PHASES.length ? 1 : 0;
} catch (error) {
  console.log('FAILED:', error);
  process.exitCode = 1;
}
