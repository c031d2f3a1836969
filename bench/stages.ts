/**
 * What each stage of a backup could do alone on this machine: one thread, then one on each core at once. A backup is
 * as fast as the sum of these lets it be.
 *
 *   node bench/stages.ts [FOLDER]
 */
import { mkdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { makeMany } from '../scripts/trees/make-many.ts';
import { STAGES } from './stage-thread.ts';

interface Answer {
  readonly amount: number;
  readonly ms: number;
}

/** A table of them. @param folder on the disk that is meant */
export async function measureStages(folder: string): Promise<string> {
  const place = join(folder, 'stages');
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  makeMany(join(place, 'tree'), 5000, 'stages');
  const cores = availableParallelism();
  const lines: string[] = [];
  for (const [name, { unit, what }] of Object.entries(STAGES)) {
    const alone = await together(name, place, 1);
    const all = await together(name, place, cores);
    lines.push(`| ${what} | ${alone.toFixed(0)} ${unit} | ${all.toFixed(0)} ${unit} |`);
    console.log(lines.at(-1));
  }
  rmSync(place, { recursive: true });
  return [
    '## What each stage could do alone',
    '',
    `| | one thread | ${cores} threads |`,
    '|---|---:|---:|',
    ...lines,
  ].join('\n');
}

/** Amount a second of all threads. */
async function together(name: string, place: string, threads: number): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: threads }, (_, number) => inThread(name, place, number)),
  );
  const amount = answers.reduce((sum, answer) => sum + answer.amount, 0);
  const ms = Math.max(...answers.map((answer) => answer.ms));
  return (amount / ms) * 1000;
}

function inThread(name: string, place: string, number: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('stage-thread.ts', import.meta.url), {
      workerData: { name, place, number },
    });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

if (import.meta.main) console.log(await measureStages(process.argv[2] ?? tmpdir()));
