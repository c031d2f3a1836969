import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ChunkDigest } from '../../model/ids.ts';
import { tinyLimits } from '../../model/limits.ts';
import { type BlockJob, Sequencer } from './sequencer.ts';

const limits = {
  ...tinyLimits,
  chunk_bytes_min: 1000,
  block_plain_bytes: 4000,
  block_run_bytes_average: 1e9,
};
const digestOf = (name: string | number): ChunkDigest => hash('sha256', String(name)) as ChunkDigest;
const noHold = (): (() => void) => () => undefined;

function storing(sequencer: Sequencer, name: string | number, length: number): readonly BlockJob[] {
  sequencer.store(digestOf(name), new Uint8Array(length).fill(length), noHold);
  return sequencer.takeClosed();
}

test('a chunk of at least the least length is a block alone, whatever run is open', () => {
  const sequencer = new Sequencer(limits);
  assert.deepEqual(storing(sequencer, 'small', 10), []);
  const [job] = storing(sequencer, 'large', 1000);
  assert.equal(job!.chunk, digestOf('large'));
  assert.deepEqual(job!.chunks, [{ digest: digestOf('large'), offset: 0, length: 1000 }]);
  assert.deepEqual(storing(sequencer, 'other', 999), []);
  sequencer.flush();
  const [run] = sequencer.takeClosed();
  assert.deepEqual(
    run!.chunks.map(({ offset, length }) => [offset, length]),
    [
      [0, 10],
      [10, 999],
    ],
  );
  assert.equal(run!.chunk, null);
  assert.equal(run!.payload.length, 1009);
  assert.deepEqual([run!.block, job!.block], [0, 1]);
});

test('a run is closed before a chunk that would make it too long', () => {
  const sequencer = new Sequencer(limits);
  for (let i = 0; i < 4; i++) assert.deepEqual(storing(sequencer, i, 999), []);
  const [run] = storing(sequencer, 'fifth', 5);
  assert.equal(run!.payload.length, 4 * 999);
  assert.equal(sequencer.openBytes, 5);
});

test('a run ends after a chunk whose digest says so, in proportion to its length', () => {
  const sequencer = new Sequencer({ ...limits, block_run_bytes_average: 2000, block_plain_bytes: 1e6 });
  let expected = 0;
  for (let i = 0; i < 500; i++) {
    const length = 1 + (i % 900);
    const ends = Number.parseInt(digestOf(i).slice(0, 8), 16) < (2 ** 32 * length) / 2000;
    if (ends) expected++;
    assert.equal(storing(sequencer, i, length).length, ends ? 1 : 0);
  }
  assert.ok(expected > 60);
});

test('a run is closed when too many records have passed it', () => {
  const sequencer = new Sequencer({ ...limits, inline_bytes_max: 40 });
  storing(sequencer, 'small', 10);
  for (let i = 0; i < 99; i++) sequencer.passed(1);
  assert.deepEqual(sequencer.takeClosed(), []);
  sequencer.passed(1);
  assert.equal(sequencer.takeClosed().length, 1);
});

test('a chunk is found at its place in this run, until it is forgotten', () => {
  const sequencer = new Sequencer(limits);
  storing(sequencer, 'a', 100);
  storing(sequencer, 'b', 1500);
  sequencer.flush();
  storing(sequencer, 'c', 7);
  storing(sequencer, 'd', 7);
  assert.deepEqual(sequencer.find(digestOf('a')), { block: 0, offset: 0 });
  assert.deepEqual(sequencer.find(digestOf('b')), { block: 1, offset: 0 });
  assert.deepEqual(sequencer.find(digestOf('d')), { block: 2, offset: 7 });
  assert.equal(sequencer.find(digestOf('e')), null);
  sequencer.forget();
  assert.equal(sequencer.find(digestOf('a')), null);
  assert.deepEqual(sequencer.find(digestOf('d')), { block: 2, offset: 7 });
});

test('every chunk is in exactly one block, with its bytes, and no block is too long', () => {
  const chunks = fc.array(fc.integer({ min: 1, max: 1600 }), { maxLength: 60 });
  fc.assert(
    fc.property(chunks, fc.integer({ min: 300, max: 5000 }), (lengths, average) => {
      const sequencer = new Sequencer({ ...limits, block_run_bytes_average: average });
      const jobs: BlockJob[] = [];
      const stored = lengths.map((length, name) => {
        const bytes = new Uint8Array(length).fill(name);
        const place = sequencer.store(digestOf(name), bytes, noHold);
        jobs.push(...sequencer.takeClosed());
        return { bytes, place };
      });
      sequencer.flush();
      jobs.push(...sequencer.takeClosed());
      assert.deepEqual(
        jobs.map(({ block }) => block).sort((a, b) => a - b),
        [...jobs.keys()],
      );
      for (const { bytes, place } of stored) {
        const { payload } = jobs.find(({ block }) => block === place.block)!;
        assert.deepEqual(
          Buffer.from(payload.subarray(place.offset, place.offset + bytes.length)),
          Buffer.from(bytes),
        );
      }
      for (const { payload, chunk } of jobs)
        assert.ok(chunk !== null || payload.length <= limits.block_plain_bytes);
      assert.equal(
        jobs.reduce((sum, { payload }) => sum + payload.length, 0),
        sequencer.plainBytes,
      );
    }),
    { numRuns: 60 },
  );
});
