/**
 * A hundred thousand small files: backed up, backed up again, restored, and compared entry by entry with find and
 * sha256sum, which know nothing of Lowtide.
 *
 *   node scripts/hundred-thousand.ts [FILES] [SEED]
 */
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeTree } from '../test/real/difficult-tree.ts';
import {
  linesOf,
  LOWTIDE,
  lowtide,
  newFolder,
  removeFolder,
  type Line,
  sleep,
} from '../test/real/processes.ts';
import { measured } from '../bench/meter.ts';
import { makeMany } from './trees/make-many.ts';

const [files = '100000', seed = 'many'] = process.argv.slice(2);
const env = { LOWTIDE_PASSWORD: 'secret' };
const folder = newFolder('many');
const source = join(folder, 'source');
const target = join(folder, 'target');
const depot = join(folder, 'depot');

async function timed(...args: string[]): Promise<Line> {
  const { cost, out } = await measured(LOWTIDE, [...args, '--depot', depot, '--json'], { env });
  const { wallMs, cpuMs, peakBytes } = cost;
  const figures = `${(wallMs / 1000).toFixed(1)} s, CPU ${(cpuMs / 1000).toFixed(1)} s, peak ${Math.round(peakBytes / 2 ** 20)} MiB`;
  console.log(`${args[0]}: ${figures}`);
  return linesOf(out).find((line) => line.message_type === 'summary')!;
}

try {
  const made = makeMany(source, Number(files), seed);
  console.log(`made ${made.files} files, ${made.bytes} bytes`);
  await sleep(4000);
  await lowtide(['init', depot], { env });
  const first = await timed('backup', source);
  assert.deepEqual([first['files'], first['bytes']], [made.files, made.bytes]);
  appendFileSync(join(source, 'part-0', 'folder-7', 'note-700.txt'), 'one more line\n');
  const second = await timed('backup', source);
  assert.equal(second['unchanged'], made.files - 1, 'what did not change is not read');
  await timed('restore', 'latest', '--to', target);
  assert.ok(
    describeTree(join(target, source)) === describeTree(source),
    'the restore differs from its source',
  );
  console.log('compared by find and sha256sum: every entry as it was');
  await timed('verify', '--read-data');
} finally {
  removeFolder(folder);
}
