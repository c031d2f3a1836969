import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLowtideError, LowtideError, type ErrorCode } from '../model/errors.ts';
import { MINUTE_MS } from '../model/time.ts';
import type { World } from '../world/ports.ts';
import type { MessageFace } from './call.ts';
import { Network, type MethodKinds, type NetworkOptions } from './network.ts';
import { SimulatedNode } from './node.ts';
import { crashAt } from './operations.ts';
import { Simulation } from './simulation.ts';

interface Store {
  put(bytes: Uint8Array): Promise<{ length: number }>;
  slow(ms: number, stop: AbortSignal): Promise<string>;
  refuse(): Promise<void>;
  broken(): Promise<void>;
  count(to: number, stop: AbortSignal): AsyncIterable<number>;
  upload(name: string, from: AsyncIterable<Uint8Array>): AsyncIterable<string>;
}

const methods: MethodKinds<Store> = {
  put: 'call',
  slow: 'call',
  refuse: 'call',
  broken: 'call',
  count: 'stream',
  upload: 'stream',
};

class World1 {
  readonly simulation = new Simulation({ seed: 1 });
  readonly network: Network;
  readonly ann = new SimulatedNode(this.simulation, { name: 'ann' });
  readonly center = new SimulatedNode(this.simulation, { name: 'center' });
  /** What the center did. */
  readonly log: string[] = [];
  readonly messages: MessageFace[] = [];
  store: Store | null = null;
  api: Store;

  constructor(options: NetworkOptions = {}) {
    this.network = new Network(this.simulation, { jitterMs: 0, latencyMs: 10, ...options });
    this.network.tamper((message) => void this.messages.push(message));
    this.store = makeStore(this.center.boot(), this.log);
    this.api = this.connected();
  }

  connected(): Store {
    return this.network.connect<Store>(this.ann.boot(), this.center, () => this.store, methods);
  }

  get elapsed(): number {
    return this.simulation.now - this.simulation.start;
  }
}

function makeStore({ clock }: World, log: string[]): Store {
  return {
    put: async (bytes) => {
      log.push(`put ${bytes.join(' ')}`);
      bytes.fill(0);
      return { length: bytes.length };
    },
    slow: async (ms, stop) => {
      await clock.sleep(ms, stop);
      log.push(`slow ${stop.aborted ? 'stopped' : 'done'}`);
      return 'slow';
    },
    refuse: async () => {
      throw new LowtideError('forbidden', 'not you');
    },
    broken: async () => {
      throw new TypeError('a defect');
    },
    async *count(to, stop) {
      try {
        for (let n = 1; n <= to && !stop.aborted; n++) {
          log.push(`count ${n}`);
          yield n;
        }
        if (to === 3) throw new LowtideError('order-ended', 'only three');
      } finally {
        log.push('count over');
      }
    },
    async *upload(name, from) {
      let total = 0;
      try {
        for await (const bytes of from) {
          total += bytes.length;
          log.push(`${name} ${total}`);
          yield `${name} ${total}`;
          if (name === 'picky' && total >= 3) return;
          if (name === 'choosy' && total >= 3) break;
        }
        yield `${name} all`;
      } catch (error) {
        log.push(`${name} ${isLowtideError(error) ? error.code : 'defect'}`);
        throw error;
      } finally {
        log.push(`${name} over`);
      }
    },
  };
}

const coded =
  (code: ErrorCode) =>
  (error: unknown): boolean => {
    assert.ok(isLowtideError(error, code), String(error));
    return true;
  };

async function collect<T>(from: AsyncIterable<T>, into: T[] = []): Promise<T[]> {
  for await (const item of from) into.push(item);
  return into;
}

async function* pieces(count: number, log: string[] = []): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < count; at++) {
      log.push(`piece ${at}`);
      yield Uint8Array.of(at);
    }
  } finally {
    log.push('pieces over');
  }
}

test('a call and its answer are messages: they take their time, and share no memory', async () => {
  const world = new World1();
  const bytes = Uint8Array.of(1, 2);
  const putting = world.api.put(bytes);
  bytes[0] = 9;
  assert.deepEqual(await world.simulation.finish(putting), { length: 2 });
  assert.deepEqual(world.log, ['put 1 2']);
  assert.deepEqual(bytes, Uint8Array.of(9, 2));
  assert.equal(world.elapsed, 20);
  assert.deepEqual(
    world.messages.map(({ from, to, kind, bytes }) => `${from} ${to} ${kind} ${bytes}`),
    ['ann center request 202', 'center ann answer 200'],
  );
});

test('a line carries its bytes a second, for all calls together', async () => {
  const world = new World1({ bytesPerSecond: 1000 });
  const puts = [world.api.put(new Uint8Array(1800)), world.api.put(new Uint8Array(2800))];
  await world.simulation.finish(Promise.all(puts));
  assert.equal(world.elapsed, 2000 + 3000 + 10 + 200 + 10);
});

test('a LowtideError comes over with its code; any other is a defect and fails the run', async () => {
  const world = new World1();
  await assert.rejects(world.simulation.finish(world.api.refuse()), coded('forbidden'));
  await assert.rejects(world.simulation.finish(world.api.broken()), /a defect/);
});

test('what no wire could carry is refused where it is sent', async () => {
  const world = new World1();
  await assert.rejects(world.api.put(new Map() as never), TypeError);
  await assert.rejects(world.api.put((() => 1) as never), TypeError);
});

test('a stream comes item by item; its sender is at most the window ahead of its reader', async () => {
  const world = new World1({ window: 2 });
  const reading = world.api.count(100, new AbortController().signal)[Symbol.asyncIterator]();
  assert.equal((await world.simulation.finish(reading.next())).value, 1);
  await world.simulation.run({ for: MINUTE_MS });
  assert.deepEqual(world.log, ['count 1', 'count 2', 'count 3']);
  assert.equal((await world.simulation.finish(reading.next())).value, 2);
  await world.simulation.run({ for: MINUTE_MS });
  assert.equal(world.log.at(-1), 'count 4');
  await world.simulation.finish(reading.return!());
  await world.simulation.run({ for: MINUTE_MS });
  assert.equal(world.log.at(-1), 'count over');
  assert.equal((await reading.next()).done, true);
});

test('an error of a stream comes after its items', async () => {
  const world = new World1();
  const items: number[] = [];
  const counting = collect(world.api.count(3, new AbortController().signal), items);
  await assert.rejects(world.simulation.finish(counting), coded('order-ended'));
  assert.deepEqual(items, [1, 2, 3]);
});

test('a stream goes up while another comes down', async () => {
  const world = new World1();
  const answers = await world.simulation.finish(collect(world.api.upload('a', pieces(3))));
  assert.deepEqual(answers, ['a 1', 'a 2', 'a 3', 'a all']);
});

test('a receiver that wants no more stops the sender, whether it goes on answering or not', async () => {
  for (const [name, last] of [
    ['picky', 'picky 3'],
    ['choosy', 'choosy all'],
  ] as const) {
    const world = new World1({ window: 1 });
    const sent: string[] = [];
    const answers = await world.simulation.finish(collect(world.api.upload(name, pieces(100, sent))));
    assert.equal(answers.at(-1), last);
    await world.simulation.run({ for: MINUTE_MS });
    assert.equal(sent.at(-1), 'pieces over');
    assert.ok(sent.length < 10, sent.join());
  }
});

test('a source that fails breaks the call: its caller gets the error, the other end a broken connection', async () => {
  const world = new World1();
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(1);
    await new Promise<void>((resolve) => void world.simulation.after(500, resolve));
    throw new LowtideError('disk-failed', 'the spool cannot be read');
  }
  await assert.rejects(
    world.simulation.finish(collect(world.api.upload('a', failing()))),
    coded('disk-failed'),
  );
  await world.simulation.run({ for: MINUTE_MS });
  assert.deepEqual(world.log, ['a 1', 'a center-unreachable', 'a over']);
});

test('an abort ends a stream quietly and interrupts a call, here at once and at the other end', async () => {
  const world = new World1();
  const stop = new AbortController();
  const slow = world.api.slow(MINUTE_MS, stop.signal);
  const counted = collect(world.api.count(1e9, stop.signal));
  world.simulation.after(1000, () => stop.abort());
  await assert.rejects(world.simulation.finish(slow), coded('interrupted'));
  assert.equal(world.elapsed, 1000);
  assert.ok((await world.simulation.finish(counted)).length > 10);
  await world.simulation.run({ for: 1000 });
  assert.ok(world.log.includes('slow stopped'));
  assert.equal(world.log.filter((line) => line === 'count over').length, 1);
  assert.deepEqual(await collect(world.api.count(5, stop.signal)), []);
});

test('a machine on which nothing runs cannot be reached', async () => {
  const world = new World1();
  world.store = null;
  await assert.rejects(world.simulation.finish(world.api.refuse()), coded('center-unreachable'));
  world.center.crash();
  await assert.rejects(world.simulation.finish(world.api.refuse()), coded('center-unreachable'));
});

test('a crash of the other end breaks its calls; the next one finds the new incarnation', async () => {
  const world = new World1();
  const stop = new AbortController().signal;
  const slow = world.api.slow(MINUTE_MS, stop);
  const upload = collect(world.api.upload('a', pieces(1e9)));
  world.simulation.after(1000, () => {
    world.center.crash();
    world.store = makeStore(world.center.boot(), world.log);
  });
  const settled = await world.simulation.finish(Promise.allSettled([slow, upload]));
  for (const each of settled)
    assert.ok(each.status === 'rejected' && coded('center-unreachable')(each.reason));
  assert.equal(world.elapsed, 1010);
  assert.equal(await world.simulation.finish(world.api.slow(1, stop)), 'slow');
});

test('a crash of the caller breaks its calls at the other end, and it never hears of them', async () => {
  const world = new World1();
  let heard = false;
  const hear = (): void => void (heard = true);
  async function* pausing(): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(1);
    await new Promise(() => {});
  }
  collect(world.api.upload('a', pausing())).then(hear, hear);
  world.api.slow(MINUTE_MS, new AbortController().signal).then(hear, hear);
  await world.simulation.run({ for: 1000 });
  world.ann.crash();
  await world.simulation.run({ for: 1000 });
  assert.deepEqual(world.log.filter((line) => !/\d/.test(line)).sort(), [
    'a center-unreachable',
    'a over',
    'slow stopped',
  ]);
  assert.equal(heard, false);
});

test('on a dead line messages wait; if it lives again in time nothing is lost, else the calls break', async () => {
  for (const [cutMs, answer] of [
    [50_000, 'good'],
    [70_000, 'center-unreachable'],
  ] as const) {
    for (const [from, to] of [
      ['ann', 'center'],
      ['center', 'ann'],
    ] as const) {
      const world = new World1();
      world.network.cut(from, to);
      world.simulation.after(cutMs, () => world.network.heal(from, to));
      const put = world.api.put(Uint8Array.of(1)).then(
        () => 'good',
        (error: unknown) => (isLowtideError(error) ? error.code : 'defect'),
      );
      assert.equal(await world.simulation.finish(put), answer);
      assert.equal(world.elapsed, answer === 'good' ? cutMs + (from === 'ann' ? 20 : 10) : 60_000);
      await world.simulation.run({ for: 2 * MINUTE_MS });
      assert.equal(world.log.length, from === 'ann' && answer !== 'good' ? 0 : 1);
      await world.simulation.finish(world.api.put(Uint8Array.of(2)));
    }
  }
});

test('a line that dies while messages are on it keeps them, and a reset breaks at once', async () => {
  const world = new World1();
  const put = world.api.put(Uint8Array.of(1));
  await world.simulation.run({ for: 5 });
  world.network.part('ann', 'center');
  await world.simulation.run({ for: 1000 });
  assert.deepEqual(world.log, []);
  world.network.join('ann', 'center');
  await world.simulation.finish(put);
  const slow = world.api.slow(MINUTE_MS, new AbortController().signal);
  world.simulation.after(100, () => world.network.reset('ann', 'center'));
  await assert.rejects(world.simulation.finish(slow), coded('center-unreachable'));
});

test('a suspended machine loses its connections when it sleeps longer than their timeout', async () => {
  const world = new World1();
  const slow = world.api.slow(30 * MINUTE_MS, new AbortController().signal);
  await world.simulation.run({ for: 1000 });
  world.ann.suspend();
  await world.simulation.run({ for: 10 * MINUTE_MS });
  assert.deepEqual(world.log, ['slow stopped'], 'the center has noticed');
  world.ann.resume();
  await assert.rejects(world.simulation.finish(slow), coded('center-unreachable'));
  assert.deepEqual(await world.simulation.finish(world.api.put(Uint8Array.of(1))), { length: 1 });
});

test('an answer may be lost after the effect, and a request before it', async () => {
  for (const [kind, done] of [
    ['answer', 1],
    ['request', 0],
  ] as const) {
    const world = new World1();
    const lift = world.network.tamper((message) => (message.kind === kind ? 'lose' : undefined));
    await assert.rejects(
      world.simulation.finish(world.api.put(Uint8Array.of(1))),
      coded('center-unreachable'),
    );
    assert.equal(world.log.length, done);
    lift();
    await world.simulation.finish(world.api.put(Uint8Array.of(1)));
    assert.equal(world.log.length, done + 1);
  }
});

test('a request may arrive again, much later: its effect comes twice, its answer once', async () => {
  const world = new World1();
  world.network.tamper(({ kind }) => (kind === 'request' ? { againAfterMs: 5 * MINUTE_MS } : undefined));
  await world.simulation.finish(world.api.put(Uint8Array.of(1, 2)));
  assert.deepEqual(world.log, ['put 1 2']);
  await world.simulation.run({ for: 10 * MINUTE_MS });
  assert.deepEqual(world.log, ['put 1 2', 'put 1 2']);
  assert.equal(world.messages.filter(({ kind }) => kind === 'answer').length, 1);
});

test('each message is an operation of its sender, which may crash before or after it', async () => {
  const expected = [
    ['before', 0, []],
    ['after', 0, ['put 1']],
    ['before', 1, ['put 1']],
    ['after', 1, ['put 1']],
  ] as const;
  for (const [when, index, log] of expected) {
    const world = new World1();
    world.simulation.observe(crashAt(index, when));
    const put = world.api.put(Uint8Array.of(1));
    put.catch(() => {});
    await world.simulation.run({ for: MINUTE_MS });
    assert.deepEqual(world.log, log, `${when} ${index}`);
    assert.deepEqual([world.ann.running, world.center.running], index === 0 ? [false, true] : [true, false]);
    if (index === 1 && when === 'after') assert.deepEqual(await put, { length: 1 });
    else if (index === 1) await assert.rejects(put, coded('center-unreachable'));
  }
});
