/** What the thread of a HashThread runs: nothing but this, so that it costs little memory. Nobody else may import it. */
import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { DIGEST_BYTES, type HashAnswer, type HashQuestion, PLACE } from './hash-messages.ts';

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
