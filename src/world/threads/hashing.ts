import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { LowtideError, messageOf } from '../../model/errors.ts';
import { DIGEST_BYTES, PLACE } from './hash-places.ts';
import type { HashAnswer, HashQuestion } from './hash-thread.ts';
import type { Hashed } from '../ports.ts';

/** Less is hashed sooner than a thread is asked. More is never a part of a buffer that Node shares between many. */
const WORTH_A_THREAD = 2 * Buffer.poolSize;
/** A thread costs what hashing so much costs, and whoever never hashes more does without. */
const HERE_BYTES = 64 * 2 ** 20;
/** It holds nothing but what it was asked. */
const THREAD_MEMORY = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 };

export const hashHere = (bytes: Uint8Array): Hashed => ({
  bytes,
  digest: createHash('sha256').update(bytes).digest(),
});

interface Asked {
  /** Where the parts are in the buffers that went. */
  readonly places: readonly number[];
  readonly resolve: (hashed: readonly Hashed[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One thread that hashes, started when there is enough to hash: it is faster than a line. Memory goes there and comes
 * back, so nothing is copied. An idle one does not keep the process alive.
 */
export class HashThread {
  #worker: Worker | null = null;
  /** It has said that it listens: a thread takes as long to start as a hundred megabytes to hash. */
  #ready = false;
  /** Hashed without it. */
  #here = 0;
  readonly #asked = new Map<number, Asked>();
  #nextId = 0;
  #closed = false;

  /** Work.sha256. */
  async hash(parts: readonly Uint8Array[]): Promise<readonly Hashed[]> {
    const long = parts.filter(isWorthIt);
    if (long.length === 0 || !this.#hasThread()) return this.#hashHere(parts);
    const here = parts.map((part) => (isWorthIt(part) ? null : hashHere(part)));
    const came = [...(await this.#ask(long))];
    return here.map((hashed) => hashed ?? came.shift()!);
  }

  /** Work.prepareToHash. */
  prepare(bytes: number): void {
    if (bytes >= HERE_BYTES && !this.#closed) this.#worker ??= this.#start();
  }

  #hashHere(parts: readonly Uint8Array[]): Hashed[] {
    for (const { length } of parts) this.#here += length;
    return parts.map(hashHere);
  }

  /** Starts one if there is none, and it is worth it. */
  #hasThread(): boolean {
    if (this.#closed) throw new LowtideError('interrupted', 'the thread that hashes has been stopped');
    if (this.#here >= HERE_BYTES) this.#worker ??= this.#start();
    return this.#ready;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#lose(new LowtideError('interrupted', 'the thread that hashes has been stopped'));
    await worker?.terminate();
  }

  #ask(parts: readonly Uint8Array<ArrayBuffer>[]): Promise<readonly Hashed[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Hashed[]>();
    const buffers = [...new Set(parts.map(({ buffer }) => buffer))];
    const places = parts.flatMap(({ buffer, byteOffset, length }) => [
      buffers.indexOf(buffer),
      byteOffset,
      length,
    ]);
    const question: HashQuestion = { id: this.#nextId++, buffers, places };
    const worker = this.#worker!;
    worker.ref();
    this.#asked.set(question.id, { places, resolve, reject });
    worker.postMessage(question, buffers);
    return promise;
  }

  #start(): Worker {
    // Beside this file, with its ending: .ts here, .js where it has been emitted.
    const script = new URL(import.meta.url.replace(/hashing(\.\w+)$/, 'hash-thread$1'));
    const worker = new Worker(script, {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      resourceLimits: THREAD_MEMORY,
    });
    worker.once('message', () => {
      this.#ready = this.#worker === worker;
      worker.on('message', (answer: HashAnswer) => this.#settle(answer));
    });
    worker.unref();
    const lost = (why: string): void => {
      if (this.#worker === worker)
        this.#lose(new LowtideError('crashed', `the thread that hashes has ended: ${why}`));
    };
    worker.on('error', (error) => lost(messageOf(error)));
    worker.on('messageerror', (error) => lost(messageOf(error)));
    worker.on('exit', (code) => lost(`exit ${code}`));
    return worker;
  }

  #settle({ id, buffers, digests }: HashAnswer): void {
    const asked = this.#asked.get(id);
    // Refused meanwhile, when it was stopped.
    if (asked === undefined) return;
    const { places, resolve } = asked;
    this.#asked.delete(id);
    if (this.#asked.size === 0) this.#worker?.unref();
    const hashed: Hashed[] = [];
    for (let at = 0; at * PLACE < places.length; at++) {
      const [buffer, offset, length] = places.slice(at * PLACE, (at + 1) * PLACE) as [number, number, number];
      const digest = digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES);
      hashed.push({ bytes: new Uint8Array(buffers[buffer]!, offset, length), digest });
    }
    resolve(hashed);
  }

  /** What it was asked is gone with it, memory included; what is asked next gets another thread. */
  #lose(error: LowtideError): void {
    this.#worker = null;
    this.#ready = false;
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
  }
}

function isWorthIt(part: Uint8Array): part is Uint8Array<ArrayBuffer> {
  return part.length > WORTH_A_THREAD && part.buffer instanceof ArrayBuffer;
}
