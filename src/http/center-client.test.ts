import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpCenter } from '../../test/support/http-center.ts';
import type { ClientShelf } from '../../test/support/memory-center.ts';
import type { SealedBlock } from '../format/block.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { CopyRecord, Hello, KnownClient, Order, Wishes } from '../model/exchange.ts';
import type { BlockId, CenterId, ClientId, OrderId, SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { CenterConnection } from './center-client.ts';
import type { Joined } from './join.ts';

let house: HttpCenter;
let ann: Joined;
let http: CenterConnection;
let shelf: ClientShelf;

before(async () => {
  house = await HttpCenter.start({}, { ids_per_message: 8, heartbeat_ms: 150 });
  ann = await house.join('ann');
  http = house.connect(ann);
});
after(async () => {
  http.close();
  await house.close();
});
beforeEach(() => {
  house.center.shelves.clear();
  house.center.trouble = null;
  shelf = house.center.shelf(ann.identity.client);
  shelf.order = order;
});

const order = '0f'.repeat(16) as OrderId;
const snapshot = 'ab'.repeat(32) as SnapshotId;
const never = new AbortController().signal;
const blockOf = (fill: number, length = 100): SealedBlock => {
  const bytes = new Uint8Array(length).fill(fill);
  return { id: createHash('sha256').update(bytes).digest('hex') as BlockId, bytes };
};
const blocks = Array.from({ length: 10 }, (_, at) => blockOf(at, 100 * (at + 1)));
const ids = blocks.map(({ id }) => id);
async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
const hello = (session: string | null): Hello => ({
  protocol: 1,
  client: ann.identity.client,
  instance: ann.identity.client as string as Hello['instance'],
  software: 'test',
  session,
  clock: 1_700_000_000_000,
});
const wishes: Wishes = {
  transfer: '00:00-03:00',
  zone: 'Asia/Tokyo',
  centers: [],
  freeAfter: 'centers',
  bytes: 2 ** 40,
  blocks: 12,
};
const copy = (digit: string, changes: Partial<CopyRecord> = {}): CopyRecord => ({
  snapshot: digit.repeat(64) as SnapshotId,
  center: house.authority.face.id,
  phase: 'safe',
  code: '',
  until: null,
  since: 5,
  holder: null,
  receipt: new Uint8Array([9]),
  manifest: null,
  hops: [],
  ...changes,
});

const knownClient = (digits: string): KnownClient => ({
  client: digits.repeat(16) as ClientId,
  name: `machine ${digits}`,
  role: 'relay',
  instanceKey: new Uint8Array(32).fill(5),
  node: 'cd'.repeat(16) as CenterId,
  pass: 'ef'.repeat(32),
  revoked: true,
  memberships: [{ membership: new Uint8Array([1]), name: 'there', via: digits.repeat(16) as ClientId }],
  left: [new Uint8Array([2])],
});

const members = ['ann', 'shop'].map((name, at) => ({ membership: new Uint8Array([at, 255]), name }));

/** What a call answers or throws, in a form that can be compared. */
async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    assert.ok(isLowtideError(error), String(error));
    return { thrown: error.code, message: error.message };
  }
}

async function firstOrders(api: CenterApi, count: number): Promise<Order[]> {
  const stop = new AbortController();
  const seen: Order[] = [];
  for await (const item of api.orders(stop.signal)) {
    seen.push(item);
    if (seen.length === count) stop.abort();
  }
  return seen;
}

/** Everything that can be asked for, in an order in which each answer depends on what went before. */
const calls: readonly ((api: CenterApi) => Promise<unknown>)[] = [
  (api) => api.hello(hello(null)),
  (api) => api.hello(hello('before')),
  (api) => api.hello(hello('stale')),
  (api) => api.hello({ ...hello(null), client: 'ab'.repeat(16) as Hello['client'] }),
  (api) => api.offer(new Uint8Array([1, 255, 0]), new Uint8Array(1000).fill(200), wishes),
  (api) => api.offer(new Uint8Array([0]), new Uint8Array([1]), wishes),
  (api) => firstOrders(api, 3),
  (api) => api.missing(order, ids.slice(0, 8)),
  (api) => api.missing(order, []),
  (api) => api.missing('00'.repeat(16) as OrderId, ids.slice(0, 1)),
  (api) => Array.fromAsync(api.blocks(order, each(blocks.slice(0, 7)))),
  (api) => Array.fromAsync(api.blocks(order, each([]))),
  (api) => Array.fromAsync(api.blocks('00'.repeat(16) as OrderId, each(blocks))),
  (api) => Array.fromAsync(api.blocks(order, each([{ ...blocks[8]!, id: ids[9]! }]))),
  (api) => api.missing(order, ids.slice(0, 8)),
  (api) => api.commit(order),
  (api) => Array.fromAsync(api.blocks(order, each(blocks.slice(7)))),
  (api) => api.commit(order),
  (api) => api.decline(order, 'not-here'),
  (api) => api.decline('00'.repeat(16) as OrderId, 'busy'),
  (api) => api.enroll([]),
  (api) => api.enroll(members),
  (api) => api.left([new Uint8Array([7]), new Uint8Array([8])]),
  (api) => api.stored(ann.identity.client, ids.slice(0, 8)),
  (api) => api.stored(ann.identity.client, ['ee'.repeat(32) as BlockId]),
  (api) => api.stored('1a'.repeat(16) as ClientId, ids.slice(0, 8)),
  (api) => api.clients(null),
  (api) => api.clients('1a'.repeat(16) as ClientId),
  (api) => api.keyrings(ann.identity.client, null),
  (api) => api.keyrings(ann.identity.client, 'more'),
  (api) => api.keyrings('1a'.repeat(16) as ClientId, null),
  (api) => api.copies({}),
  (api) => api.copies({ after: 'b'.repeat(64), manifests: true }),
  (api) => api.copies({ snapshots: ['c'.repeat(64) as SnapshotId] }),
  (api) => Array.fromAsync(api.fetch(snapshot, ids, never)),
  (api) => Array.fromAsync(api.fetch(snapshot, ['ee'.repeat(32) as BlockId], never)),
  (api) => Array.fromAsync(api.fetch(snapshot, [], never)),
  (api) => Array.fromAsync(api.fetch('00'.repeat(32) as SnapshotId, ids, never)),
  (api) => api.withdraw(snapshot, new Uint8Array([7]), []),
  (api) =>
    api.withdraw(snapshot, new Uint8Array([8]), ['ab'.repeat(16) as CenterId, house.authority.face.id]),
  (api) => api.withdraw('00'.repeat(32) as SnapshotId, new Uint8Array([7]), []),
];

async function runAll(connect: () => CenterApi): Promise<{ answers: unknown[]; shelf: unknown }> {
  house.center.shelves.clear();
  const fresh = house.center.shelf(ann.identity.client);
  fresh.order = order;
  fresh.needed = ids;
  fresh.snapshots.add(snapshot);
  fresh.clients = [knownClient('1a'), knownClient('2b')];
  fresh.keyrings = [new Uint8Array([1, 2]), new Uint8Array(1000).fill(7)];
  fresh.copies = [
    copy('a'),
    copy('b', { phase: 'waiting', code: 'window', until: 7, receipt: null }),
    copy('c', { phase: 'void', receipt: null, closing: new Uint8Array([7, 8]) }),
  ];
  fresh.orders.push(
    { kind: 'send', order, snapshot, until: null, rate: null },
    { kind: 'stop', order, code: 'window-closed' },
  );
  const api = connect();
  const answers: unknown[] = [];
  for (const call of calls) answers.push(await outcome(() => call(api)));
  const { offers, members, left: words, withdrawn, declined, blocks: held, open } = fresh;
  const left = { offers, members, words, withdrawn, declined, held: [...held], open };
  return { answers: plain(answers) as unknown[], shelf: plain(left) };
}

/** Buffers and arrays of bytes alike. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, item: unknown) => {
      if (item instanceof Uint8Array) return Buffer.from(item).toString('hex');
      const buffer = item as { type?: string; data?: number[] } | null;
      return buffer?.type === 'Buffer' ? Buffer.from(buffer.data ?? []).toString('hex') : item;
    }),
  );

test('the same calls give the same answers and leave the same things behind, direct and over HTTP', async () => {
  const overHttp = await runAll(() => http);
  const direct = await runAll(() => house.center.apiFor(ann.identity.client));
  assert.deepEqual(overHttp, direct);
  assert.equal(direct.answers.length, calls.length);
  assert.deepEqual(direct.answers[12], { thrown: 'order-ended', message: 'there is no such order' });
});

test('acknowledgements come while blocks are still going out', async () => {
  const seen: string[] = [];
  async function* slowly(): AsyncGenerator<SealedBlock> {
    for (const [at, block] of blocks.entries()) {
      // The fourth block goes out only once the first three are acknowledged.
      if (at === 3) await until(() => seen.includes('acknowledged'));
      seen.push('sent');
      yield block;
    }
  }
  for await (const durable of http.blocks(order, slowly())) {
    assert.ok(durable.length > 0);
    seen.push('acknowledged');
  }
  assert.equal(seen.indexOf('acknowledged'), 3);
  assert.equal(shelf.blocks.size, 10);
});

test('a window that closes mid-stream: what was taken is acknowledged, then order-ended; the connection serves on', async () => {
  shelf.appetite = 4;
  const taken: BlockId[] = [];
  const sending = (async () => {
    for await (const durable of http.blocks(order, each(blocks))) taken.push(...durable);
  })();
  await assert.rejects(sending, { code: 'order-ended' });
  assert.deepEqual(taken, ids.slice(0, 4));
  shelf.complains = false;
  assert.deepEqual((await Array.fromAsync(http.blocks(order, each(blocks)))).flat(), ids.slice(0, 4));
  assert.deepEqual(await http.missing(order, ids.slice(0, 8)), ids.slice(4, 8));
});

test('an endless source is stopped and closed when the center has enough', async () => {
  shelf.appetite = 5;
  let closed = false;
  let given = 0;
  async function* endless(): AsyncGenerator<SealedBlock> {
    try {
      for (;;) yield blockOf(given++ % 256, 50_000);
    } finally {
      closed = true;
    }
  }
  await assert.rejects(Array.fromAsync(http.blocks(order, endless())), { code: 'order-ended' });
  await until(() => closed);
  assert.ok(given < 500, `${given} blocks were read from the source`);
  assert.equal(shelf.open, 0);
});

test('a source that fails is what the caller hears of, and the center sees a stream that was cut', async () => {
  async function* failing(): AsyncGenerator<SealedBlock> {
    yield* blocks.slice(0, 2);
    throw new LowtideError('damaged-block', 'the spool is damaged');
  }
  await assert.rejects(Array.fromAsync(http.blocks(order, failing())), {
    code: 'damaged-block',
    message: 'the spool is damaged',
  });
  await until(() => shelf.open === 0);
});

test('a caller that stops listening ends the stream at the center too', async () => {
  shelf.snapshots.add(snapshot);
  for (const { id, bytes } of [blockOf(1, 2_000_000), blockOf(2, 2_000_000), blockOf(3, 2_000_000)])
    shelf.blocks.set(id, bytes);
  for await (const block of http.fetch(snapshot, [...shelf.blocks.keys()], never)) {
    assert.equal(block.bytes.length, 2_000_000);
    break;
  }
  await until(() => shelf.open === 0);
  for await (const durable of http.blocks(order, each(blocks))) {
    assert.deepEqual(durable, ids.slice(0, 3));
    break;
  }
  await until(() => shelf.open === 0);
});

test('stop ends orders and fetch quietly', async () => {
  assert.deepEqual(await firstOrders(http, 1), [{ kind: 'news' }]);
  await until(() => shelf.open === 0);
  shelf.snapshots.add(snapshot);
  assert.deepEqual(await Array.fromAsync(http.fetch(snapshot, ids, AbortSignal.abort())), []);
});

test('orders stay open through silence, by heartbeats', async () => {
  const stop = new AbortController();
  const seen: Order[] = [];
  const listening = (async () => {
    for await (const item of http.orders(stop.signal)) seen.push(item);
  })();
  await sleep(150 * 5);
  assert.equal(shelf.open, 1);
  stop.abort();
  await listening;
  assert.deepEqual(seen, [{ kind: 'news' }]);
});

test('a thousand blocks of every size arrive whole, and flow control holds the sender back', async () => {
  const many = Array.from({ length: 300 }, (_, at) => blockOf(at % 256, 1 + ((at * 7919) % 60_000)));
  const durable = (await Array.fromAsync(http.blocks(order, each(many)))).flat();
  assert.deepEqual(
    durable,
    many.map(({ id }) => id),
  );
  shelf.snapshots.add(snapshot);
  const wanted = [...new Set(durable)];
  const fetched = await Array.fromAsync(http.fetch(snapshot, wanted, never));
  assert.deepEqual(
    fetched.map(({ id }) => id),
    wanted,
  );
  for (const { id, bytes } of fetched) assert.equal(createHash('sha256').update(bytes).digest('hex'), id);
});

test('what is too much for one message is refused as such', async () => {
  await assert.rejects(http.missing(order, ids), { code: 'too-large' });
  const keyring = new Uint8Array(house.world.limits.keyring_bytes_max + 1);
  await assert.rejects(http.offer(new Uint8Array([1]), keyring, wishes));
  assert.equal(shelf.offers.length, 0);
});

test('an internal error is told to the operator and not to the client', async () => {
  house.center.trouble = new RangeError('/var/lib/secret is out of range');
  await assert.rejects(http.copies({}), (error) => {
    assert.ok(isLowtideError(error, 'crashed'));
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
  const alarm = house.world.monitor.events.findLast((event) => event.kind === 'alarm');
  assert.match(alarm?.message ?? '', /POST \/v1\/copies: .*secret/);
  house.center.trouble = new LowtideError('disk-full', 'no space left for /var/lib/secret');
  await assert.rejects(http.hello(hello(null)), {
    code: 'disk-full',
    message: 'there is no room on its disk',
  });
});

test('the center goes away: orders end, calls fail with center-unreachable, and work again when it is back', async () => {
  const other = await HttpCenter.start({ close_ms: 60_000 });
  const bob = await other.join('bob');
  const api = other.connect(bob);
  const listening = Array.fromAsync(api.orders(never));
  await until(() => other.center.shelf(bob.identity.client).open === 1);
  await other.server.close();
  assert.equal((await listening).length, 1);
  await assert.rejects(api.copies({}), (error) => {
    assert.ok(isLowtideError(error, 'center-unreachable'));
    assert.match(error.message, /127\.0\.0\.1:[0-9]+ cannot be reached: nothing listens there/);
    return true;
  });
  await other.restart();
  assert.deepEqual(await api.copies({}), { rows: [], next: null });
  api.close();
  await other.close();
});

async function until(happens: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (happens()) return;
    await sleep(5);
  }
  assert.fail('it never happened');
}
