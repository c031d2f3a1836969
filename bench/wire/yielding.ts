import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { people, percentile, sendOnce } from './foreground.ts';
import { NodePair } from './node-pair.ts';
import { AT_FAR_END, closeLine, FAR_ADDRESS, NEAR_STATISTICS, openLine } from './thin-line.ts';

/**
 * What people on a line feel of a backup that is collected over it: center and agent as two processes at the ends of a
 * line of 20 Mbit/s with one queue of 300 ms, beside people's transfers over the same line.
 *
 *   sudo node bench/wire/yielding.ts [SECONDS]
 */
const MEGABITS = 20;
const QUEUE_MS = 300;
const SECONDS = Number(process.argv[2] ?? 25);
const WARM_UP_S = 12;
const SINK_PORT = 7799;
const CENTER_PORT = 7798;
const SIZES = [50_000, 500_000] as const;
const EVERY_MS = 500;
const SINK = join(import.meta.dirname, 'sink.ts');

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Bytes that have gone out at the near end. */
const gone = (): number => Number(readFileSync(NEAR_STATISTICS, 'utf8'));

interface Felt {
  readonly name: string;
  /** For each size, how long each transfer took. */
  readonly times: readonly number[][];
  /** Of the line, while they went; people's part included. */
  readonly used: number;
}

async function feel(name: string): Promise<Felt> {
  const times: number[][] = [];
  let used = 0;
  for (const bytes of SIZES) {
    const before = gone();
    times.push(await people(FAR_ADDRESS, SINK_PORT, { bytes, everyMs: EVERY_MS, forMs: SECONDS * 1000 }));
    used += ((gone() - before) * 8) / (SECONDS * MEGABITS * 1e6) / SIZES.length;
  }
  return { name, times, used };
}

async function beside(name: string, yields: boolean): Promise<Felt> {
  const pair = new NodePair({
    listen: `${FAR_ADDRESS}:${CENTER_PORT}`,
    address: `${FAR_ADDRESS}:${CENTER_PORT}`,
    inFront: AT_FAR_END,
    yields,
  });
  try {
    await pair.prepare(Math.ceil(MEGABITS * (SECONDS * SIZES.length + WARM_UP_S) * 0.15) + 20);
    await pair.collect('windows: any\n');
    await sleep(WARM_UP_S * 1000);
    return await feel(name);
  } finally {
    await pair.close();
  }
}

function tell({ name, times, used }: Felt, alone: Felt): void {
  for (const [at, size] of SIZES.entries()) {
    const [half, most] = [percentile(times[at]!, 0.5), percentile(times[at]!, 0.99)];
    const [usual, slowest] = [percentile(alone.times[at]!, 0.5), percentile(alone.times[at]!, 0.99)];
    console.log(
      `| ${name} | ${size / 1000} kB | ${half.toFixed(0)} | ${most.toFixed(0)} | ${(half / usual).toFixed(2)} | ${(most / slowest).toFixed(2)} | ${(used * 100).toFixed(0)} % |`,
    );
  }
}

async function main(): Promise<void> {
  openLine(MEGABITS, QUEUE_MS);
  const [program, ...rest] = [...AT_FAR_END, process.execPath, SINK, String(SINK_PORT)];
  const sink: ChildProcess = spawn(program, rest, { stdio: 'inherit' });
  try {
    for (let tries = 0; ; tries++) {
      await sleep(500);
      if (
        await sendOnce(FAR_ADDRESS, SINK_PORT, 1).then(
          () => true,
          () => tries > 20,
        )
      )
        break;
    }
    console.log(
      '| collected beside it | size | median ms | 99 % ms | slowdown, median | slowdown, 99 % | line in use |',
    );
    console.log(
      '| ------------------- | ---: | --------: | ------: | ---------------: | -------------: | ----------: |',
    );
    const alone = await feel('nobody');
    tell(alone, alone);
    tell(await beside('`yield: true`', true), alone);
    tell(await beside('`yield: false`', false), alone);
  } finally {
    sink.kill();
    closeLine();
  }
}

await main();
