import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isLowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import {
  blockFrame,
  decodeBlock,
  decodeIds,
  encodeIds,
  END_FRAME,
  errorFrame,
  idsFrame,
  readFrames,
  type Side,
} from './frames.ts';

const block = (bytes: Uint8Array) => ({
  id: createHash('sha256').update(bytes).digest('hex') as BlockId,
  bytes,
});

/** In chunks of one size, three at once. */
async function* cutInto(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array[]> {
  for (let at = 0; at < bytes.length; at += 3 * size) {
    const [second, third, end] = [at + size, at + 2 * size, at + 3 * size];
    yield [bytes.subarray(at, second), bytes.subarray(second, third), bytes.subarray(third, end)];
  }
}

async function read(
  bytes: Uint8Array,
  size: number,
  max = 1 << 20,
  side: Side = 'below',
): Promise<Uint8Array[]> {
  return await Array.fromAsync(readFrames(cutInto(bytes, size), max, side), (frame) => new Uint8Array(frame));
}

test('blocks come out as they went in, however the stream is cut into chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 400 }),
      async (payloads, size) => {
        const blocks = payloads.map(block);
        const stream = Buffer.concat([...blocks.flatMap(blockFrame), END_FRAME]);
        assert.deepEqual((await read(stream, size)).map(decodeBlock), blocks);
      },
    ),
  );
});

test('ids come out as they went in; a list that is cut inside an id is refused', () => {
  const ids = ['ab'.repeat(32), '01'.repeat(32)] as BlockId[];
  assert.deepEqual(decodeIds(encodeIds(ids)), ids);
  assert.deepEqual(decodeIds(encodeIds([])), []);
  assert.throws(() => decodeIds(encodeIds(ids).subarray(1)), { code: 'bad-request' });
});

test('a stream that stops anywhere before its end frame was cut', async () => {
  await assert.rejects(read(END_FRAME.subarray(1), 2, 100, 'above'), { code: 'center-unreachable' });
  const stream = Buffer.concat([idsFrame(['ab'.repeat(32) as BlockId]), END_FRAME]);
  for (let length = 0; length < stream.length; length++) {
    await assert.rejects(read(stream.subarray(0, length), 7), { code: 'bad-request' });
  }
});

test('what follows the end frame is not looked at', async () => {
  assert.deepEqual(await read(Buffer.concat([END_FRAME, Buffer.from('garbage')]), 5), []);
});

test('an error frame is thrown with its code; nothing in its message can forge output', async () => {
  const stream = errorFrame('order-ended', 'a\u001b[2Jb\nc');
  await assert.rejects(read(stream, 3, 100, 'above'), { code: 'order-ended', message: 'a?[2Jb?c' });
  await assert.rejects(read(stream, 3), { code: 'bad-request', message: 'the client gave up: a?[2Jb?c' });
  const unknown = Buffer.from('{"code":"from-the-future","message":"x"}');
  const head = Buffer.alloc(4);
  head.writeUInt32BE(0x80000000 + unknown.length);
  await assert.rejects(read(Buffer.concat([head, unknown]), 9, 100, 'above'), {
    code: 'bad-answer',
    message: 'x',
  });
});

test('a frame is not read beyond what is allowed, whatever it announces (faults 7, 45)', async () => {
  let taken = 0;
  async function* endless(): AsyncGenerator<Uint8Array[]> {
    yield [Buffer.from('7fffffff', 'hex')];
    for (;;) {
      taken += 1000;
      yield [new Uint8Array(1000)];
    }
  }
  await assert.rejects(Array.fromAsync(readFrames(endless(), 4096, 'below')), { code: 'too-large' });
  assert.equal(taken, 0);
});

test('no bytes do anything but frames or a LowtideError', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
      try {
        await read(bytes, 9, 1000);
      } catch (error) {
        assert.ok(isLowtideError(error), String(error));
      }
    }),
  );
});
