import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { cutsOf, groupsOf, keystream } from '../scripts/golden/chunks.ts';
import { Cutter } from '../src/backup/read/chunker.ts';
import { cutRuleOf } from '../src/backup/read/gear.ts';
import { plainGear } from '../src/world/threads/gear-kernel.ts';
import { Sequencer } from '../src/backup/chunks/sequencer.ts';
import { deriveDomainKeys } from '../src/format/domain-keys.ts';
import { hashOf } from '../src/format/test-support.ts';
import type { ChunkDigest } from '../src/model/ids.ts';
import { limits } from '../src/model/limits.ts';

interface ChunkVectors {
  domainKey: string;
  valid: {
    name: string;
    data: 'keystream' | 'zeros';
    length: number;
    min: number;
    average: number;
    max: number;
    cuts: number[];
  }[];
}

interface GroupVectors {
  min: number;
  run: number;
  average: number;
  lengths: number[];
  blocks: number[][];
}

const vectors = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`golden/${name}.json`, import.meta.url), 'utf8'));

describe('golden vectors: chunks', () => {
  const { domainKey, valid } = vectors('chunks') as ChunkVectors;
  const { gear } = deriveDomainKeys(Buffer.from(domainKey, 'hex'));

  for (const { name, data, length, min, average, max, cuts } of valid) {
    it(`F11-F13: ${name}`, () => {
      const bytes = data === 'zeros' ? Buffer.alloc(length) : keystream(length);
      if (length < 1 << 20) assert.deepEqual(cutsOf(bytes, gear, { min, average, max }), cuts);
      const rule = cutRuleOf({
        ...limits,
        chunk_bytes_min: min,
        chunk_bytes_average: average,
        chunk_bytes_max: max,
      });
      const cutter = new Cutter(rule, 0);
      cutter.feed(plainGear.find(bytes, 0, gear, rule), 0, length);
      const found: number[] = [];
      for (let cut = cutter.next(true); cut !== null; cut = cutter.next(true)) found.push(cut);
      assert.deepEqual(found, cuts);
    });
  }

  it('F15: which chunks share a block', () => {
    const { lengths, blocks, ...bounds } = vectors('groups') as GroupVectors;
    assert.deepEqual(groupsOf(lengths, bounds), blocks);
    const sequencer = new Sequencer({
      ...limits,
      chunk_bytes_min: bounds.min,
      block_plain_bytes: bounds.run,
      block_run_bytes_average: bounds.average,
    });
    const zeros = new Uint8Array(Math.max(...lengths));
    const numberOf = new Map<string, number>();
    for (const [n, length] of lengths.entries()) {
      const digest = hashOf(Buffer.from(`chunk ${n}`)) as ChunkDigest;
      numberOf.set(digest, n);
      sequencer.store(digest, zeros.subarray(0, length), () => () => {});
    }
    sequencer.flush();
    const found = sequencer.takeClosed().map((job) => job.chunks.map(({ digest }) => numberOf.get(digest)!));
    assert.deepEqual(found, blocks);
  });
});
