import { readFileSync, writeFileSync } from 'node:fs';
import { run, type RunOptions } from '../test/real/processes.ts';

/** What a piece of work cost. CPU is user and system time of all threads; the peak is of resident memory. */
export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakBytes: number;
}

/** Linux counts CPU in these, whatever the kernel's own tick is. */
const TICK_MS = 10;
const SAMPLE_MS = 10;

/** Watches running processes through /proc: their kernel counts exactly, and a look every 10 ms sees the count. */
export class Meter {
  readonly #pids: readonly number[];
  readonly #startedAt = performance.now();
  readonly #cpuBefore: readonly number[];
  readonly #cpu: number[];
  readonly #peaks: number[];
  readonly #timer: NodeJS.Timeout;

  /** From now on; what the processes used before does not count. */
  constructor(...pids: number[]) {
    this.#pids = pids;
    for (const pid of pids) forgetPeak(pid);
    this.#cpuBefore = pids.map((pid) => cpuMs(pid) ?? 0);
    this.#cpu = [...this.#cpuBefore];
    this.#peaks = pids.map(() => 0);
    this.#look();
    this.#timer = setInterval(() => this.#look(), SAMPLE_MS);
  }

  stop(): Cost {
    this.#look();
    clearInterval(this.#timer);
    const cpu = this.#cpu.reduce((sum, ms, at) => sum + ms - this.#cpuBefore[at]!, 0);
    const peak = this.#peaks.reduce((sum, bytes) => sum + bytes, 0);
    return { wallMs: performance.now() - this.#startedAt, cpuMs: cpu, peakBytes: peak };
  }

  /** A process that has ended keeps what was seen last. */
  #look(): void {
    for (const [at, pid] of this.#pids.entries()) {
      this.#cpu[at] = cpuMs(pid) ?? this.#cpu[at]!;
      this.#peaks[at] = Math.max(this.#peaks[at]!, peakBytes(pid) ?? 0);
    }
  }
}

export interface Measured {
  readonly cost: Cost;
  readonly out: string;
}

/** Runs a program to its end and says what it cost. */
export async function measured(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Measured> {
  let meter: Meter | undefined;
  let cost: Cost | undefined;
  const { out } = await run(program, args, {
    ...options,
    onStart: (child) => {
      meter = new Meter(child.pid!);
      child.once('exit', () => (cost = meter?.stop()));
    },
  });
  if (cost === undefined) throw new Error(`${program} was not measured`);
  return { cost, out };
}

function cpuMs(pid: number): number | null {
  const text = read(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name in parentheses may hold blanks; utime and stime are the 14th and 15th field.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function peakBytes(pid: number): number | null {
  const match = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '');
  return match === null ? null : Number(match[1]) * 1024;
}

/** The kernel's own reset of VmHWM; where it is not allowed, the peak is that of the process's whole life. */
function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // A later peak still shows.
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
