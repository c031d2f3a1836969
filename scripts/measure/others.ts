import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../test/real/processes.ts';
import { measured } from './meter.ts';
import type { Report } from './report.ts';
import { editOne, type Workplace } from './workplace.ts';

/** What merely looking at the tree and copying it costs, and restic on the same work if it is installed. */
export async function measureOthers(report: Report, place: Workplace, title: string): Promise<void> {
  const { tree, scratch } = place;
  const found = await measured('find', [tree, '-printf', '%p %s %T@\\n']);
  report.add(title, 'find -printf', found.cost);
  const copied = await measured('cp', ['-a', tree, join(scratch, 'copied')]);
  report.add(title, 'cp -a', copied.cost);
  const synced = await measured('sync', []);
  report.add(title, 'sync after it', synced.cost);
  place.clear();
  if ((await resticVersion()) !== null) await measureRestic(report, place, title);
  place.clear();
}

async function measureRestic(report: Report, { tree, scratch }: Workplace, title: string): Promise<void> {
  const cache = join(scratch, 'cache');
  mkdirSync(cache);
  const env = { RESTIC_PASSWORD: 'measured', RESTIC_CACHE_DIR: cache };
  const repository = join(scratch, 'restic');
  const restic = async (what: string, ...args: string[]): Promise<void> => {
    const { cost } = await measured('restic', ['--repo', repository, ...args], { env });
    report.add(title, `restic: ${what}`, cost);
  };
  await run('restic', ['--repo', repository, 'init', '--repository-version', '2'], { env });
  await restic('first backup', 'backup', tree);
  await restic('unchanged', 'backup', tree);
  editOne(tree);
  await restic('one file edited', 'backup', tree);
  await restic('restore', 'restore', 'latest', '--target', join(scratch, 'restored'));
  await restic('check --read-data', 'check', '--read-data');
}

/** Null if it is not installed. */
export async function resticVersion(): Promise<string | null> {
  const { out, code } = await run('sh', ['-c', 'restic version 2>/dev/null'], { exits: [0, 127] });
  return code === 0 ? out.trim() : null;
}
