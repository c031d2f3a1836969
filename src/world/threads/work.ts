import { getCompileCacheDir } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { LowtideError, messageOf, type ErrorCode } from '../../model/errors.ts';
import { exitAtOnce } from '../system/native.ts';
import { HashThread } from './hashing.ts';
import type { Hashed, Task, Work } from '../ports.ts';
import { GIVEN_UP, newClaim, takeClaim, type Claim } from './claims.ts';
import { VERSION } from '../version.ts';
import type { Answer, Question } from './work-thread.ts';

/** The one a thread works at, and the next, so that it never waits for the main thread. */
const TASKS_PER_THREAD = 2;

/** The process's own may be some that a thread refuses. */
const THREAD_OPTIONS = ['--disable-warning=ExperimentalWarning'];

/** What tasks make is short-lived and small: their bytes are elsewhere. */
const YOUNG_MEBIBYTES = 12;

export interface WorkPool extends Work {
  /** Ends all threads; what is under way is rejected. */
  close(): Promise<void>;
}

interface Job {
  readonly task: Pick<Question, 'module' | 'name' | 'input'>;
  readonly transfer: readonly ArrayBuffer[];
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  /** What it was asked and has not answered, by the question's id. */
  readonly underWay: Map<number, Asked>;
}

interface Asked {
  readonly job: Job;
  readonly claim: Claim;
}

/**
 * Worker threads, started when there is work for them. An idle one does not keep the process alive. The input is
 * copied when a thread is free for it: leave it as it is until the task answers.
 */
export function realWork(lanes = availableParallelism()): WorkPool {
  return new ThreadPool(lanes);
}

class ThreadPool implements WorkPool {
  readonly lanes: number;
  readonly #threads = new Set<Thread>();
  readonly #waiting: Job[] = [];
  readonly #hashing = new HashThread();
  #nextId = 0;
  #closed = false;

  constructor(lanes: number) {
    this.lanes = lanes;
  }

  run<Input, Output>(
    task: Task<Input, Output>,
    input: Input,
    transfer: readonly ArrayBuffer[] = [],
    stop?: AbortSignal,
  ): Promise<Output> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new LowtideError('interrupted', 'the worker threads have been stopped');
      const { module, name } = task;
      const settled = { resolve: resolve as (output: unknown) => void, reject };
      const job = { task: { module, name, input }, transfer, ...settled };
      stop?.addEventListener('abort', () => this.#giveUp(job), { once: true });
      this.#waiting.push(job);
      this.#dispatch();
    });
  }

  #giveUp(job: Job): void {
    job.reject(new LowtideError('interrupted', 'a task was given up'));
    const at = this.#waiting.indexOf(job);
    if (at >= 0) this.#waiting.splice(at, 1);
    for (const thread of this.#threads) {
      for (const [id, asked] of thread.underWay) {
        if (asked.job !== job) continue;
        thread.underWay.delete(id);
        if (!takeClaim(asked.claim, GIVEN_UP)) this.#leaveAlone(thread);
      }
    }
    this.#dispatch();
  }

  /** It may never come back: what waited for it goes to others. */
  #leaveAlone(thread: Thread): void {
    const others = [...thread.underWay.values()].reverse();
    this.#threads.delete(thread);
    thread.underWay.clear();
    thread.worker.unref();
    for (const asked of others) {
      if (takeBack(asked)) this.#waiting.unshift(asked.job);
      else asked.job.reject(new LowtideError('crashed', 'a worker thread hangs'));
    }
    endWithoutThreads();
  }

  sha256(parts: readonly Uint8Array[]): Promise<readonly Hashed[]> {
    return this.#hashing.hash(parts);
  }

  prepareToHash(bytes: number): void {
    this.#hashing.prepare(bytes);
  }

  prepare(): void {
    if (!this.#closed && this.#threads.size < this.lanes) this.#start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const error = new LowtideError('interrupted', 'the worker threads have been stopped');
    for (const job of this.#waiting.splice(0)) job.reject(error);
    const threads = [...this.#threads];
    for (const thread of threads) this.#lose(thread, error);
    await Promise.all([this.#hashing.close(), ...threads.map(({ worker }) => worker.terminate())]);
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#freeThread();
      if (thread === null) return;
      this.#ask(thread, this.#waiting.shift()!);
    }
    for (const thread of this.#threads) if (thread.underWay.size === 0) this.#relieve(thread);
  }

  /** Gives an idle thread what waits for a busy one: some tasks take ten times as long as others. */
  #relieve(idle: Thread): void {
    for (const { underWay } of this.#threads) {
      const [, second] = underWay;
      if (second === undefined || !takeBack(second[1])) continue;
      underWay.delete(second[0]);
      return this.#ask(idle, second[1].job);
    }
  }

  #ask(thread: Thread, job: Job): void {
    const id = this.#nextId++;
    const claim = newClaim();
    try {
      thread.worker.postMessage({ ...job.task, id, claim } satisfies Question, job.transfer);
    } catch (error) {
      job.reject(error);
      return;
    }
    thread.underWay.set(id, { job, claim });
    thread.worker.ref();
  }

  /** The one with least to do; a new one before any gets a second task. */
  #freeThread(): Thread | null {
    let best: Thread | null = null;
    for (const thread of this.#threads) {
      if (best === null || thread.underWay.size < best.underWay.size) best = thread;
    }
    if (best?.underWay.size === 0) return best;
    if (this.#threads.size < this.lanes) return this.#start();
    return best !== null && best.underWay.size < TASKS_PER_THREAD ? best : null;
  }

  #start(): Thread {
    // Beside this file, with its ending: .ts here, .js where it has been emitted.
    const script = new URL(import.meta.url.replace(/work(\.\w+)$/, 'work-thread$1'));
    const worker = new Worker(script, {
      execArgv: THREAD_OPTIONS,
      workerData: VERSION,
      env: environment(),
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEBIBYTES },
    });
    const thread: Thread = { worker, underWay: new Map() };
    thread.worker.unref();
    thread.worker.on('message', (answer: Answer) => {
      settle(thread, answer);
      this.#dispatch();
    });
    const lost = (why: string): void => {
      this.#lose(thread, new LowtideError('crashed', `a worker thread has ended amid its work: ${why}`));
      this.#dispatch();
    };
    thread.worker.on('error', (error) => lost(messageOf(error)));
    thread.worker.on('messageerror', (error) => lost(messageOf(error)));
    thread.worker.on('exit', (code) => lost(`exit ${code}`));
    this.#threads.add(thread);
    return thread;
  }

  #lose(thread: Thread, error: LowtideError): void {
    this.#threads.delete(thread);
    for (const { job } of thread.underWay.values()) job.reject(error);
    thread.underWay.clear();
  }
}

/** Node waits for its threads at its end, for one that hangs in the kernel as well. */
function endWithoutThreads(): void {
  if (process.listeners('exit').includes(exitAtOnce)) return;
  process.on('exit', exitAtOnce);
}

/** Threads take their compiled code from where this one does. */
function environment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir();
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) };
}

/** Whether another thread may be asked instead. What was transferred is where it is. */
const takeBack = ({ job, claim }: Asked): boolean => job.transfer.length === 0 && takeClaim(claim, GIVEN_UP);

/** One that was taken back is answered, too. */
function settle(thread: Thread, answer: Answer): void {
  const job = thread.underWay.get(answer.id)?.job;
  thread.underWay.delete(answer.id);
  if (thread.underWay.size === 0) thread.worker.unref();
  if ('output' in answer) job?.resolve(answer.output);
  else job?.reject(errorOf(answer.error));
}

/** Structured clone keeps the message and the stack of an error, and not its class. */
function errorOf({ code, error }: { readonly code: ErrorCode | null; readonly error: unknown }): unknown {
  return code === null ? error : new LowtideError(code, messageOf(error), { cause: error });
}
