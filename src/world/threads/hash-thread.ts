/** What the thread of a HashThread runs: nothing but this, so that it costs little memory. Nobody else may import more than its types. */
import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { DIGEST_BYTES, PLACE } from './hash-places.ts';

/** Buffers go there and come back. */
export interface HashQuestion {
  readonly id: number;
  readonly buffers: readonly ArrayBuffer[];
  readonly places: readonly number[];
}

export interface HashAnswer {
  readonly id: number;
  readonly buffers: readonly ArrayBuffer[];
  /** Of each part in turn. */
  readonly digests: Uint8Array;
}

function answer({ id, buffers, places }: HashQuestion): HashAnswer {
  const count = places.length / PLACE;
  const digests = new Uint8Array(count * DIGEST_BYTES);
  for (let at = 0; at < count; at++) {
    const [buffer, offset, length] = places.slice(at * PLACE, (at + 1) * PLACE) as [number, number, number];
    const part = new Uint8Array(buffers[buffer]!, offset, length);
    digests.set(createHash('sha256').update(part).digest(), at * DIGEST_BYTES);
  }
  return { id, buffers, digests };
}

parentPort?.on('message', (question: HashQuestion) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  parentPort?.postMessage(answer(question), [...question.buffers]);
});
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
parentPort?.postMessage('ready');
