import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { mappedAhead } from './ahead.ts';

const each = { weigh: () => 1, most: 1 };

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate();
}

test('results come in the order of the items, in whatever order they are ready', async () => {
  const delays = fc.array(fc.nat(5), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(delays, fc.nat(10), async (items, most) => {
      const slow = async (count: number): Promise<number> => {
        await turns(count);
        return count;
      };
      assert.deepEqual(await Array.fromAsync(mappedAhead(items, slow, { weigh: () => 1, most })), items);
    }),
    { numRuns: 50 },
  );
});

test('no more is asked for than the bound allows beyond what the reader has', async () => {
  let begun = 0;
  let read = 0;
  const source = Array.from({ length: 50 }, () => 3);
  const map = async (item: number): Promise<number> => {
    begun++;
    return item;
  };
  let most = 0;
  for await (const _ of mappedAhead(source, map, { weigh: (item) => item, most: 7 })) {
    read++;
    await turns(3);
    most = Math.max(most, begun - read);
  }
  assert.equal(read, 50);
  assert.equal(most, 3, 'the third is what reaches the bound of seven');
});

test('what goes wrong is thrown in its turn, whether the source or the work fails', async () => {
  async function* broken(): AsyncGenerator<number> {
    yield 1;
    yield 2;
    throw new Error('origin');
  }
  const seen: number[] = [];
  const reading = async (map: (item: number) => Promise<number>): Promise<void> => {
    for await (const item of mappedAhead(broken(), map, { weigh: () => 1, most: 9 })) {
      await turns(2);
      seen.push(item);
    }
  };
  await assert.rejects(
    reading(async (item) => item),
    /origin/,
  );
  assert.deepEqual(seen.splice(0), [1, 2]);
  const failing = async (item: number): Promise<number> => {
    if (item === 2) throw new Error('step');
    return item;
  };
  await assert.rejects(reading(failing), /step/);
  assert.deepEqual(seen, [1]);
});

test('who ends early waits for what is under way, and the source is closed', async () => {
  let closed = false;
  let underWay = 0;
  async function* endless(): AsyncGenerator<number> {
    try {
      for (let item = 0; ; item++) yield item;
    } finally {
      closed = true;
    }
  }
  const slow = async (item: number): Promise<number> => {
    underWay++;
    await turns(item === 0 ? 0 : 5);
    underWay--;
    return item;
  };
  for await (const _ of mappedAhead(endless(), slow, { ...each, most: 4 })) break;
  assert.equal(underWay, 0);
  await turns(1);
  assert.ok(closed);
});

test('who ends early does not wait for a source that keeps silent', async () => {
  async function* silent(): AsyncGenerator<number> {
    yield 1;
    await new Promise(() => {});
  }
  for await (const _ of mappedAhead(silent(), async (item) => item, { ...each, most: 4 })) break;
});
