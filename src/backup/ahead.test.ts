import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusedAs } from '../format/test-support.ts';
import { ahead, Background } from './ahead.ts';
import { SlabPool } from './read/slabs.ts';

async function* counting(to: number, log: string[]): AsyncGenerator<number> {
  try {
    for (let i = 1; i <= to; i++) {
      log.push(`made ${i}`);
      yield i;
    }
  } finally {
    log.push('ended');
  }
}

test('gives all items in order, with so many made before they are asked for', async () => {
  const log: string[] = [];
  const background = new Background();
  const got: number[] = [];
  for await (const item of ahead(counting(5, log), 2, background)) {
    await Promise.resolve();
    got.push(item);
    log.push(`got ${item}`);
  }
  assert.deepEqual(got, [1, 2, 3, 4, 5]);
  assert.ok(
    log.indexOf('made 3') < log.indexOf('got 1') && log.indexOf('got 1') < log.indexOf('made 4'),
    String(log),
  );
});

test('a reader that leaves ends the source', async () => {
  const log: string[] = [];
  const background = new Background();
  for await (const item of ahead(counting(100, log), 3, background)) if (item === 2) break;
  await background.settled();
  assert.equal(log.at(-1), 'ended');
  assert.ok(!log.includes('made 7'), String(log));
});

test('an error comes in its turn, after the items before it', async () => {
  async function* failing(): AsyncGenerator<number> {
    yield 1;
    throw new Error('broken');
  }
  const got: number[] = [];
  await assert.rejects(async () => {
    for await (const item of ahead(failing(), 4, new Background())) got.push(item);
  }, /broken/);
  assert.deepEqual(got, [1]);
});

test('a slab goes to who waits for it when its last holder gives it back', async () => {
  const pool = new SlabPool(16, 2);
  const [first, second] = [await pool.take(), await pool.take()];
  const third = pool.take();
  first.hold();
  first.release();
  assert.equal(await Promise.race([third, Promise.resolve('waiting')]), 'waiting');
  first.release();
  assert.equal(await third, first);
  second.release();
  assert.equal(await pool.take(), second);
  assert.throws(() => {
    second.release();
    second.release();
  }, TypeError);
});

test('whoever waits for a slab of a closed pool is told', async () => {
  const pool = new SlabPool(16, 1);
  await pool.take();
  const waiting = pool.take();
  pool.close();
  await assert.rejects(waiting, refusedAs('interrupted'));
  await assert.rejects(pool.take(), refusedAs('interrupted'));
});
