/**
 * What every Work must do.
 *
 *   workConformance(name, make)
 *
 * `make()` gives a Work; `close` is called after the test.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { isLowtideError } from '../../src/model/errors.ts';
import type { Work } from '../../src/world/ports.ts';
import { addTask, echoTask, failTask, refuseTask, reverseTask } from './tasks.ts';

export interface WorkUnderTest {
  readonly work: Work;
  close?(): Promise<void>;
}

export function workConformance(name: string, make: () => Promise<WorkUnderTest> | WorkUnderTest): void {
  const on = (what: string, run: (work: Work) => Promise<void>): void => {
    test(what, async () => {
      const made = await make();
      try {
        await run(made.work);
      } finally {
        await made.close?.();
      }
    });
  };
  describe(`Work: ${name}`, () => {
    on('there is at least one lane', async (work) => {
      assert.ok(Number.isInteger(work.lanes) && work.lanes >= 1);
    });

    on('a task answers', async (work) => {
      assert.equal(await work.run(addTask, { a: 2, b: 3 }), 5);
    });

    on('many at once all answer, each its own', async (work) => {
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, at) => work.run(addTask, { a: at, b: 1 })),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 200 }, (_, at) => at + 1),
      );
    });

    on('structures, bytes and bigints go in and come out', async (work) => {
      const given = {
        text: 'ä',
        big: 2n ** 70n,
        bytes: new Uint8Array([1, 2, 3]),
        none: null,
        list: [1, [2]],
      };
      assert.deepEqual(await work.run(echoTask, given), given);
    });

    on('the task works on a copy: what the caller keeps does not change', async (work) => {
      const bytes = new Uint8Array([1, 2, 3]);
      assert.deepEqual(await work.run(reverseTask, { bytes }), new Uint8Array([3, 2, 1]));
      assert.deepEqual(bytes, new Uint8Array([1, 2, 3]));
    });

    on('a buffer that is transferred is given up', async (work) => {
      const bytes = new Uint8Array([1, 2, 3]);
      const reversed = work.run(reverseTask, { bytes }, [bytes.buffer]);
      assert.deepEqual(await reversed, new Uint8Array([3, 2, 1]));
      assert.equal(bytes.byteLength, 0);
    });

    on('an error of the task is the caller’s, and the next task works', async (work) => {
      await assert.rejects(work.run(failTask, 'broken'), { message: 'broken' });
      assert.equal(await work.run(addTask, { a: 1, b: 1 }), 2);
    });

    on('a LowtideError comes out as one, with its code', async (work) => {
      await assert.rejects(work.run(refuseTask, null), (error) => {
        assert.ok(isLowtideError(error, 'damaged-block'), String(error));
        return error.message === 'the block is damaged';
      });
    });

    on('bytes are hashed, however many they are, and come back', async (work) => {
      const parts = [0, 1, 1000, 300_000].map((length) => new Uint8Array(length).fill(length % 251));
      const wanted = parts.map((bytes) => createHash('sha256').update(bytes).digest('hex'));
      const lengths = parts.map(({ length }) => length);
      const hashed = await work.sha256(parts);
      assert.deepEqual(
        hashed.map(({ digest }) => Buffer.from(digest).toString('hex')),
        wanted,
      );
      assert.deepEqual(
        hashed.map(({ bytes }) => bytes.length),
        lengths,
      );
      assert.deepEqual(await work.sha256([]), []);
    });

    on('what cannot be cloned is refused', async (work) => {
      await assert.rejects(
        work.run(echoTask, () => 1),
        { name: 'DataCloneError' },
      );
      assert.equal(await work.run(addTask, { a: 1, b: 1 }), 2);
    });
  });
}
