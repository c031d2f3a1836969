import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { BlockSource } from '../format/block-source.ts';
import { blockIdOf, type SealedBlock } from '../format/block.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId, SnapshotId } from '../model/ids.ts';
import { tinyLimits } from '../model/limits.ts';
import { MemorySource } from '../../test/support/memory-source.ts';
import { type RestorePlace, simulatedPlace } from '../../test/support/restore-places.ts';
import { BlockFetcher, type Fetched } from './block-fetcher.ts';

const scope = 'ab'.repeat(32) as SnapshotId;
const blocks: SealedBlock[] = Array.from({ length: 40 }, (_, at) => {
  const bytes = Buffer.alloc(100 + at, at);
  return { id: blockIdOf(bytes), bytes };
});
const ids = blocks.map(({ id }) => id);
const all = (): MemorySource => new MemorySource(new Map(blocks.map(({ id, bytes }) => [id, bytes])));
const none = (): MemorySource => new MemorySource(new Map());
const unreachable = (): LowtideError => new LowtideError('center-unreachable', 'no route');

interface Fetching {
  readonly place: RestorePlace;
  readonly fetcher: BlockFetcher;
  readonly controller: AbortController;
  readonly fetch: (wanted?: readonly BlockId[]) => Promise<Fetched[]>;
}

function fetching(...sources: BlockSource[]): Fetching {
  const place = simulatedPlace();
  const controller = new AbortController();
  const named = sources.map((source, at) => ({ name: `s${at + 1}`, source }));
  const fetcher = new BlockFetcher(place.world, scope, named, controller.signal);
  const fetch = (wanted: readonly BlockId[] = ids): Promise<Fetched[]> =>
    place.finish(Array.fromAsync(fetcher.fetch(wanted)));
  return { place, fetcher, controller, fetch };
}

const got = (fetched: readonly Fetched[]): BlockId[] =>
  fetched.filter(({ kind }) => kind === 'block').map(({ id }) => id);

test('every block is answered once, asked for in batches, from the first source that has it', async () => {
  const [first, second] = [all(), all()];
  for (const id of ids.slice(0, 10)) first.blocks.delete(id);
  const { fetch, fetcher } = fetching(first, second);
  assert.deepEqual(got(await fetch()).sort(), [...ids].sort());
  assert.deepEqual(
    first.calls.map((call) => call.length),
    [16, 16, 8],
  );
  assert.ok(tinyLimits.ids_per_message === 16);
  assert.deepEqual(second.calls, [ids.slice(0, 10)]);
  assert.deepEqual(
    fetcher.usage().map(({ name, blocks: count }) => [name, count]),
    [
      ['s1', 30],
      ['s2', 10],
    ],
  );
  assert.equal(
    fetcher.usage()[1]?.bytes,
    blocks.slice(0, 10).reduce((sum, { bytes }) => sum + bytes.length, 0),
  );
  assert.deepEqual(fetcher.faults(), []);
});

test('a block that nobody has is told with what each source said', async () => {
  const [lacking, damaged, failing] = [none(), all(), all()];
  damaged.damage(ids[0]!);
  failing.failure = { after: 0, error: new LowtideError('disk-failed', 'it broke') };
  const { fetch } = fetching(lacking, damaged, failing);
  const lost = (await fetch()).filter((each) => each.kind === 'lost');
  assert.equal(lost.length, 1);
  assert.equal(lost[0]!.error.code, 'damaged-block');
  assert.match(
    lost[0]!.error.message,
    /^block \w{12} cannot be had: s1 lacks it; s2 has it damaged; s3 does not give it \(it broke\)$/,
  );
  const alone = await fetching().fetch(ids.slice(0, 1));
  assert.ok(alone[0]?.kind === 'lost' && alone[0].error.code === 'block-unavailable');
});

test('wrong bytes are never given on, and are asked of the next source', async () => {
  const [bad, good] = [all(), all()];
  bad.damage(ids[3]!);
  bad.blocks.set(ids[4]!, blocks[5]!.bytes);
  bad.blocks.set(ids[6]!, Buffer.alloc(tinyLimits.block_bytes_max + 65));
  const { fetch, fetcher } = fetching(bad, good);
  const fetched = await fetch();
  for (const each of fetched) assert.ok(each.kind === 'block' && blockIdOf(each.bytes) === each.id);
  assert.deepEqual(good.calls.flat(), [ids[3], ids[4], ids[6]]);
  assert.deepEqual(
    fetcher.faults().map(({ code, message }) => [code, message]),
    [['hash-mismatch', 's1 has 3 blocks damaged: verify it']],
  );
});

test('a source that fails with an error that passes is asked again after a while, from where it was', async () => {
  const source = all();
  let failures = 2;
  const fetch = source.fetch.bind(source);
  source.fetch = async function* (...call) {
    let given = 0;
    for await (const block of fetch(...call)) {
      yield block;
      if (++given === 3 && failures-- > 0) throw unreachable();
    }
  };
  const run = fetching(source);
  const before = run.place.world.clock.now();
  assert.deepEqual(got(await run.fetch()), ids);
  assert.deepEqual(
    source.calls.map((call) => call.length),
    [16, 13, 10, 16, 8],
  );
  assert.equal(source.given, 40);
  assert.ok(run.place.world.clock.now() - before >= 2 * tinyLimits.retry_ms_min);
});

test('an error that does not pass is not waited for', async () => {
  const [failing, good] = [all(), all()];
  failing.failure = { after: 0, error: new LowtideError('damaged-pack', 'it broke') };
  const run = fetching(failing, good);
  const before = run.place.world.clock.now();
  assert.equal(got(await run.fetch()).length, 40);
  assert.equal(run.place.world.clock.now(), before);
  assert.equal(failing.calls.length, 3);
});

test('three failures without a block are enough', async () => {
  const failing = all();
  failing.failure = { after: 0, error: unreachable() };
  const { fetch, fetcher } = fetching(failing);
  assert.equal(got(await fetch()).length, 0);
  assert.equal(got(await fetch()).length, 0);
  assert.equal(failing.calls.length, 3);
  assert.deepEqual(
    fetcher.faults().map(({ code, message }) => [code, message]),
    [['center-unreachable', 's1 failed 3 times, and was not asked again: no route']],
  );
});

test('an error that is none of ours is a failure of the source like any other', async () => {
  const odd: BlockSource = {
    // eslint-disable-next-line require-yield
    async *fetch() {
      throw new RangeError('odd');
    },
  };
  const { fetch, fetcher } = fetching(odd, all());
  assert.equal(got(await fetch()).length, 40);
  assert.equal(fetcher.faults()[0]?.code, 'block-unavailable');
});

test('a source that has not the snapshot at all is asked once, and is no fault', async () => {
  const empty = none();
  empty.failure = { after: 0, error: new LowtideError('no-such-snapshot', 'unknown here') };
  const { fetch, fetcher } = fetching(empty, all());
  assert.equal(got(await fetch()).length, 40);
  assert.deepEqual([empty.calls.length, fetcher.faults()], [1, []]);
});

test('blocks twice, or that nobody asked for, are left out; a source that sends them without end is left', async () => {
  let sent = 0;
  const endless: BlockSource = {
    async *fetch(_scope, wanted) {
      for (const id of wanted.slice(0, 3))
        yield* [id, id].map((each) => blocks.find((block) => block.id === each)!);
      for (;;) {
        sent++;
        const bytes = Buffer.from(`junk ${sent}`);
        yield { id: blockIdOf(bytes), bytes };
      }
    },
  };
  const { fetch, fetcher } = fetching(endless, all());
  assert.deepEqual(got(await fetch()).sort(), [...ids].sort());
  assert.ok(sent < 200, `${sent}`);
  assert.match(fetcher.faults()[0]!.message, /blocks that nobody asked for/);
});

test('who stops reading ends the source’s answer too', async () => {
  const source = all();
  const { fetcher } = fetching(source);
  for await (const fetched of fetcher.fetch(ids)) {
    assert.equal(fetched.id, ids[0]);
    break;
  }
  const { given } = source;
  assert.ok(given <= tinyLimits.ids_per_message, `${given} blocks for one that was read`);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assert.deepEqual([source.given, source.calls.length], [given, 1]);
});

test('blocks are hashed ahead of the reader up to a bound, and not again if their source has checked them', async () => {
  const { block_plain_bytes } = tinyLimits;
  const long = Array.from({ length: 12 }, (_, at) => new Uint8Array(block_plain_bytes).fill(at));
  const named = new Map(long.map((bytes) => [blockIdOf(bytes), bytes] as const));
  for (const checked of [false, true]) {
    const source = new MemorySource(named);
    const { fetcher, place } = fetching({ checked, fetch: (from, asked) => source.fetch(from, asked) });
    const { work } = place.world;
    const hashing = mock.method(work, 'sha256');
    let read = 0;
    let most = 0;
    const reading = async (): Promise<void> => {
      for await (const { kind } of fetcher.fetch([...named.keys()])) {
        assert.equal(kind, 'block');
        read++;
        most = Math.max(most, source.given - read);
      }
    };
    await place.finish(reading());
    assert.equal(read, long.length);
    assert.equal(hashing.mock.callCount(), checked ? 0 : long.length);
    assert.ok(most <= 3, `${most} blocks ahead`);
    hashing.mock.restore();
  }
});

test('a stop is answered with `interrupted`, in the middle of a batch and while waiting', async () => {
  const source = all();
  const { fetcher, controller } = fetching(source);
  const stopping = async (): Promise<void> => {
    for await (const fetched of fetcher.fetch(ids)) if (fetched.id === ids[5]) controller.abort();
  };
  await assert.rejects(stopping(), { code: 'interrupted' });
  assert.ok(source.given <= tinyLimits.ids_per_message);

  const failing = all();
  failing.failure = { after: 0, error: unreachable() };
  const waiting = fetching(failing);
  const fetched = waiting.fetch();
  waiting.controller.abort();
  await assert.rejects(fetched, { code: 'interrupted' });
});
