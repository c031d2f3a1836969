import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { patiently } from './patience.ts';

const CHUNK_BYTES = 16 * 1024;
const CHUNKS = 400;
const AHEAD_BYTES_MAX = 256 * 1024;

const patience = {
  idle_ms: 5000,
  bytes_per_second_min: 0,
  late: () => new Error('late'),
  broken: () => new Error('broken'),
};

/** Counts what was taken out of it. */
function counted(): { readonly stream: Readable; readonly taken: () => number } {
  let made = 0;
  const stream = new Readable({
    highWaterMark: CHUNK_BYTES,
    read() {
      this.push(made === CHUNKS ? null : Buffer.alloc(CHUNK_BYTES, made++));
    },
  });
  return { stream, taken: () => made * CHUNK_BYTES - stream.readableLength };
}

test('while the reader is at work no more than a bound comes in ahead of it', async () => {
  const { stream, taken } = counted();
  let read = 0;
  let most = 0;
  for await (const chunks of patiently(stream, patience)) {
    for (const chunk of chunks) {
      assert.equal(chunk[0], (read / CHUNK_BYTES) % 256);
      read += chunk.length;
    }
    for (let turn = 0; turn < 40; turn++) await setImmediate();
    most = Math.max(most, taken() - read);
  }
  assert.equal(read, CHUNKS * CHUNK_BYTES);
  assert.ok(most > CHUNK_BYTES, `${most} bytes ahead`);
  assert.ok(most <= AHEAD_BYTES_MAX + CHUNK_BYTES, `${most} bytes ahead`);
});

test('of many bytes, what comes in one turn of the event loop is given at once', async () => {
  const stream = new Readable({ read() {} });
  const reading = patiently(stream, patience);
  const first = reading.next();
  for (let at = 0; at < 5; at++) stream.push(Buffer.alloc(CHUNK_BYTES, at));
  assert.deepEqual(
    (await first).value?.map((chunk: Uint8Array) => chunk[0]),
    [0, 1, 2, 3, 4],
  );
  stream.push(null);
  assert.equal((await reading.next()).done, true);
});

test('who is stopped gets nothing more, not even what is here already', async () => {
  const { stream } = counted();
  const stop = new AbortController();
  const reading = async (): Promise<number> => {
    let turns = 0;
    for await (const _ of patiently(stream, { ...patience, stop: stop.signal })) {
      for (let turn = 0; turn < 40; turn++) await setImmediate();
      if (++turns === 3) stop.abort(new Error('stopped'));
    }
    return turns;
  };
  await assert.rejects(reading(), /stopped/);
  assert.equal(stream.isPaused(), true);
});
