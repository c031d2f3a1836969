import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemorySource } from '../../test/support/memory-source.ts';
import { simulatedPlace } from '../../test/support/restore-places.ts';
import { blockIdOf, type SealedBlock } from '../format/block.ts';
import type { BlockSource } from '../format/block-source.ts';
import type { SnapshotId } from '../model/ids.ts';
import { MINUTE_MS, SECOND_MS } from '../model/time.ts';
import { BlockFetcher, type Fetched } from './block-fetcher.ts';
import { SourceCost } from './source-cost.ts';

const scope = 'ab'.repeat(32) as SnapshotId;
const place = simulatedPlace();
const { clock } = place.world;
const blocks: SealedBlock[] = Array.from({ length: 48 }, (_, at) => {
  const bytes = Buffer.alloc(1000, at);
  return { id: blockIdOf(bytes), bytes };
});
const ids = blocks.map(({ id }) => id);

/** Gives each block after so long; null never. */
function paced(firstMs: number | null, eachMs: number): MemorySource {
  const source = new MemorySource(new Map(blocks.map(({ id, bytes }) => [id, bytes])));
  const fetch = source.fetch.bind(source);
  source.fetch = async function* (...call) {
    if (firstMs === null) await new Promise(() => undefined);
    await clock.sleep(firstMs ?? 0);
    for await (const block of fetch(...call)) {
      await clock.sleep(eachMs);
      yield block;
    }
  };
  return source;
}

interface Named {
  readonly source: BlockSource;
  readonly cost?: SourceCost;
}

async function fetching(...sources: readonly Named[]): Promise<{
  readonly fetched: Fetched[];
  readonly from: readonly number[];
  readonly ms: number;
  readonly told: string[];
}> {
  const named = sources.map((each, at) => ({ ...each, name: `s${at + 1}` }));
  const fetcher = new BlockFetcher(place.world, scope, named, new AbortController().signal);
  const before = clock.monotonic();
  const fetched = await place.finish(Array.fromAsync(fetcher.fetch(ids)));
  const from = fetcher.usage().map(({ blocks: count }) => count);
  const told = fetcher.faults().map(({ code, message }) => `${code}: ${message}`);
  return { fetched, from, ms: clock.monotonic() - before, told };
}

const isWhole = (fetched: readonly Fetched[]): boolean =>
  fetched.length === ids.length && fetched.every(({ kind }) => kind === 'block');

describe('a source of blocks', () => {
  it('that never answers is left for the next one after seconds, and asked last from then on', async () => {
    const [silent, good] = [paced(null, 0), paced(20, 1)];
    const run = await fetching({ source: silent }, { source: good });
    assert.ok(isWhole(run.fetched));
    assert.deepEqual(run.from, [0, 48]);
    assert.ok(run.ms < 10 * SECOND_MS, `${run.ms} ms`);
    assert.equal(good.calls.length, 3);
    assert.deepEqual(run.told, [
      'slow-source: s1 was slow (it gave nothing for 5 s): s2 gave what was to come from it',
    ]);
  });

  it('that is slow is left in the middle of an answer, and what it gave is kept', async () => {
    const [slow, quick] = [paced(20, 2000), paced(20, 1)];
    const run = await fetching({ source: slow }, { source: quick });
    assert.ok(isWhole(run.fetched));
    assert.ok(run.from[0]! > 0 && run.from[0]! < 8, String(run.from));
    assert.match(run.told.join(), /^slow-source: s1 was slow \(.* a second\): s2 gave/);
    assert.ok(run.ms < 10 * SECOND_MS, `${run.ms} ms`);
  });

  it('that is slow is waited for when nobody else has anything', async () => {
    const empty = new MemorySource(new Map());
    const run = await fetching({ source: paced(20, 2000) }, { source: empty });
    assert.ok(isWhole(run.fetched));
    assert.deepEqual(run.from, [48, 0]);
    assert.deepEqual(run.told, [], 'nobody else gave anything');
  });

  it('that never answers and is the only one has failed after a while', async () => {
    const run = await fetching({ source: paced(null, 0) });
    assert.ok(
      run.fetched.every((each) => each.kind === 'lost' && /gave nothing for 120 s/.test(each.error.message)),
    );
    assert.ok(run.ms < 8 * MINUTE_MS, `${run.ms} ms`);
  });

  it('that was much cheaper in a restore before is asked first in the next one', async () => {
    const costs = [new SourceCost(), new SourceCost()] as const;
    const sources = [paced(20, 2000), paced(20, 1)] as const;
    await fetching({ source: sources[0], cost: costs[0] }, { source: sources[1], cost: costs[1] });
    const [slow, quick] = costs.map(({ known }) => new SourceCost(known));
    const run = await fetching({ source: sources[0], cost: slow! }, { source: sources[1], cost: quick! });
    assert.deepEqual(run.from, [0, 48]);
    assert.match(run.told.join(), /^slow-source: s1 was slow/, 'it is said also where it was not asked');
    assert.ok(run.ms < SECOND_MS, `${run.ms} ms`);
  });

  it('that is as good as another is asked in the order of the list', async () => {
    const run = await fetching({ source: paced(30, 2) }, { source: paced(20, 1) });
    assert.deepEqual([run.from, run.told], [[48, 0], []]);
  });

  it("is not blamed for its reader's time", async () => {
    const source = paced(20, 1);
    const cost = new SourceCost();
    const other = paced(20, 1);
    const named = [
      { name: 's1', source, cost },
      { name: 's2', source: other },
    ];
    const fetcher = new BlockFetcher(place.world, scope, named, new AbortController().signal);
    const reading = async (): Promise<void> => {
      for await (const each of fetcher.fetch(ids)) {
        assert.equal(each.kind, 'block');
        await clock.sleep(3 * SECOND_MS);
      }
    };
    await place.finish(reading());
    assert.equal(other.calls.length, 0);
    assert.ok(cost.known!.bytesPerSecond > 500_000, JSON.stringify(cost.known));
  });
});
