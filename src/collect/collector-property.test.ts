import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  Acknowledged,
  type ClientSnapshot,
  CollectKit,
  HandStream,
  type Listener,
  type TestClient,
} from '../../test/support/collect-kit.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { OrderId, SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../model/time.ts';
import type { RandomStream } from '../sim/random.ts';

const SEEDS = 12;
const EVENTS = 120;
const WINDOWS = ['any', 'any', 'any', '12:00-13:00', '12:00-12:20, 12:40-14:00', 'never', '13:00-15:00'];

/** Start grants that no `ended` has answered yet. */
class OpenGrants {
  /** Of the collector that runs now: one whose machine has crashed has nothing to say. */
  open = new Map<SnapshotId, number>();
  starts = 0;

  watch({ collector }: CollectKit): void {
    const open = new Map<SnapshotId, number>();
    this.open = open;
    const { book } = collector;
    const add = book.add.bind(book);
    book.add = (order) => {
      this.starts++;
      assert.ok(!open.has(order.snapshot), 'a second start before the first has ended');
      open.set(order.snapshot, this.starts);
      add(order);
    };
    const tell = collector.planning.tell.bind(collector.planning);
    collector.planning.tell = (event) => {
      if (event.kind === 'ended') {
        assert.ok(open.delete(event.snapshot), `an end without a start: ${event.outcome}`);
      }
      tell(event);
    };
  }
}

/** A client that does whatever comes into its head. */
class Wild {
  readonly client: TestClient;
  readonly #random: RandomStream;
  readonly snapshots: ClientSnapshot[] = [];
  listener: Listener | null = null;
  readonly #streams: HandStream[] = [];

  constructor(client: TestClient, random: RandomStream) {
    this.client = client;
    this.#random = random;
  }

  get #order(): { readonly order: OrderId; readonly snapshot: ClientSnapshot } | null {
    const sends = this.listener?.sends ?? [];
    if (sends.length === 0) return null;
    const { order, snapshot } = this.#random.pick(sends.slice(-3));
    return { order, snapshot: this.snapshots.find(({ id }) => id === snapshot)! };
  }

  async act(): Promise<void> {
    const acts = [
      () => this.#offer(),
      () => this.#offer(),
      () => this.#listen(),
      () => this.#listen(),
      () => this.#hangUp(),
      () => this.#missing(),
      () => this.#stream(),
      () => this.#stream(),
      () => this.#moreOfAStream(),
      () => this.#sendAll(),
      () => this.#commit(),
      () => this.#withdraw(),
    ];
    await this.#random
      .pick(acts)()
      .catch((error: unknown) => {
        if (!isLowtideError(error)) throw error;
      });
  }

  async #offer(): Promise<void> {
    const sequence = this.snapshots.length + 1;
    const base = this.#random.below(2) === 0 ? null : (this.snapshots.at(-1) ?? null);
    const old = this.#random.below(3) === 0 ? this.snapshots.at(-1) : undefined;
    const snapshot = old ?? (await this.client.snapshot({ sequence, base, data: [`${sequence}`, 'same'] }));
    if (old === undefined) this.snapshots.push(snapshot);
    await this.client.offer(snapshot, { transfer: this.#random.pick(WINDOWS) });
  }

  async #listen(): Promise<void> {
    this.listener = this.client.listen();
  }

  async #hangUp(): Promise<void> {
    this.listener?.hangUp();
  }

  async #missing(): Promise<void> {
    if (this.#order !== null) await this.client.api.missing(this.#order.order, []);
  }

  async #stream(): Promise<void> {
    const order = this.#order;
    if (order === null) return;
    const stream = new HandStream();
    this.#streams.push(stream);
    void new Acknowledged(this.client.api.blocks(order.order, stream)).done;
    stream.push(this.#random.pick(order.snapshot.blocks));
  }

  async #moreOfAStream(): Promise<void> {
    const stream = this.#streams.at(-1);
    const kind = this.#random.below(4);
    if (kind === 0) stream?.end();
    else if (kind === 1) stream?.fail(new LowtideError('center-unreachable', 'broke'));
    else if (kind === 2) stream?.push({ ...this.client.block('one'), id: this.client.block('two').id });
    else stream?.push(this.client.block('one'));
  }

  async #sendAll(): Promise<void> {
    const order = this.#order;
    if (order !== null) await this.client.send(order.order, order.snapshot);
  }

  async #commit(): Promise<void> {
    if (this.#order !== null) await this.client.api.commit(this.#order.order);
  }

  async #withdraw(): Promise<void> {
    const snapshot = this.snapshots.at(-1);
    if (snapshot === undefined || this.#random.below(2) === 0) return;
    await this.client.api.withdraw(snapshot.id, this.client.voidRecord(snapshot.id), []);
  }
}

it('S43: whatever clients and operators do, every start grant is answered by exactly one end', async (t) => {
  let starts = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const kit = await CollectKit.make({ seed, conditions: { streams: 1 + (seed % 3) } });
    const random = kit.simulation.stream('events');
    const grants = new OpenGrants();
    grants.watch(kit);
    const clients: Wild[] = [];
    for (const name of ['ann', 'ben', 'cid', 'dot']) clients.push(new Wild(await kit.client(name), random));
    for (let count = 0; count < EVENTS; count++) {
      const kind = random.below(12);
      if (kind < 7) await random.pick(clients).act();
      else if (kind < 10) await kit.pass(random.pick([1, SECOND_MS, 40 * SECOND_MS, 4 * MINUTE_MS]));
      else if (kind < 11) {
        const conditions = {
          windows: random.pick(WINDOWS),
          zone: 'UTC',
          streams: random.pick([0, 1, 2, 2, 3]),
        };
        kit.collector.setConditions(conditions);
      } else if (random.below(8) === 0) {
        await kit.crash();
        grants.watch(kit);
      }
    }
    for (const { listener } of clients) listener?.hangUp();
    await kit.pass(HOUR_MS);
    assert.deepEqual([...grants.open.keys()], [], `seed ${seed}: orders that nobody ended`);
    assert.deepEqual(kit.collector.book.all(), []);
    for (const { code } of kit.collector.planning.reasons()) assert.notEqual(code, 'running');
    starts += grants.starts;
  }
  t.diagnostic(`${starts} orders`);
  assert.ok(starts > SEEDS * 5, 'enough was ordered for the test to mean something');
});
