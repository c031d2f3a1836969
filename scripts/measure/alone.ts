import { join } from 'node:path';
import { linesOf, lowtide, LOWTIDE, run } from '../../test/real/processes.ts';
import { editOne, type Workplace } from './workplace.ts';
import { type Measured, measured } from './meter.ts';
import { megabytes, type Report } from './report.ts';

const env = { LOWTIDE_PASSWORD: 'measured' };

/** `lowtide` with a depot on the same disk: first backup, unchanged, one file edited, restore, verify. */
export async function measureAlone(report: Report, place: Workplace, title: string): Promise<void> {
  const depot = join(place.scratch, 'depot');
  const target = join(place.scratch, 'restored');
  const here = ['--depot', depot];
  const costs = (args: readonly string[]): Promise<Measured> =>
    measured(LOWTIDE, [...args, ...here, '--json'], { env });
  const backup = async (what: string): Promise<void> => {
    const { cost, out } = await costs(['backup', place.tree]);
    const summary = linesOf(out).find((line) => line.message_type === 'summary')!;
    const stored = megabytes(Number(summary['stored_bytes']));
    report.add(title, `lowtide: ${what}`, cost, `${stored} stored`);
  };
  await lowtide(['init', depot], { env });
  await backup('first backup');
  await backup('unchanged');
  editOne(place.tree);
  await backup('one file edited');
  const restored = await costs(['restore', 'latest', '--to', target]);
  report.add(title, 'lowtide: restore', restored.cost);
  const verified = await costs(['verify', '--read-data']);
  report.add(title, 'lowtide: verify --read-data', verified.cost);
  await run('diff', ['-r', '--no-dereference', place.tree, join(target, place.tree)]);
  place.clear();
}
