import type { SealedBlock } from '../format/block.ts';
import { copiesOf } from '../ledger/copies.ts';
import { addReceived, findOffer } from '../ledger/offers.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type {
  CopyQuery,
  CopyRecord,
  CopyState,
  Hello,
  Order,
  Page,
  Welcome,
  Wishes,
} from '../model/exchange.ts';
import type { BlockId, ClientId, DomainKeyId, OrderId, SnapshotId } from '../model/ids.ts';
import { untilStopped } from '../model/stopping.ts';
import type { CenterApi, CommitAnswer } from '../protocol/center-api.ts';
import type { Collector } from './collector.ts';
import { commitOrder } from './committing.ts';
import { copyPage, stateOf } from './copy-pages.ts';
import { type ActiveOrder, orderEnded } from './order-book.ts';
import { receiveBlocks } from './receiving.ts';
import { receiveOffer } from './reception.ts';
import { welcome } from './sessions.ts';
import { withdrawSnapshot } from './withdrawing.ts';

/** What a collector offers to one client. Whatever it is asked, it answers about this client's own things only. */
export class ClientFace implements CenterApi {
  readonly #collector: Collector;
  readonly #client: ClientId;
  readonly #address: string | null;

  constructor(collector: Collector, client: ClientId, address: string | null) {
    this.#collector = collector;
    this.#client = client;
    this.#address = address;
  }

  async hello(me: Hello): Promise<Welcome> {
    if (me.client !== this.#client)
      throw new LowtideError('forbidden', "this certificate is another client's");
    return await welcome(this.#collector, me, this.#address);
  }

  async offer(manifest: Uint8Array, keyring: Uint8Array, wishes: Wishes): Promise<readonly CopyState[]> {
    const { parts } = this.#collector;
    const request = { manifest, keyring, wishes, address: this.#address };
    const { signed, kind } = await receiveOffer(parts, this.#client, request);
    if (kind === 'behind') this.#collector.tell({ kind: 'withdrawn', snapshot: signed.id });
    const offer = kind === 'queued' ? await findOffer(parts.ledger.db, signed.id) : null;
    // New wishes count at once, also while it is being sent (S42).
    if (offer !== null) this.#collector.queue(offer);
    return (await copiesOf(parts.ledger.db, signed.id)).map((row) => stateOf(this.#collector, row));
  }

  async *orders(stop: AbortSignal): AsyncIterable<Order> {
    const session = this.#collector.openSession(this.#client);
    try {
      yield { kind: 'news' };
      yield* untilStopped(session.queue, stop);
    } finally {
      this.#collector.closeSession(session);
    }
  }

  async missing(id: OrderId, ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    const { depot, world } = this.#collector.parts;
    const { ids_per_message: most } = world.limits;
    if (ids.length > most) throw new LowtideError('too-large', `ask for at most ${most} blocks at once`);
    return await this.#within(id, async () => {
      const present = await depot.has(await this.#domains(), ids);
      return ids.filter((block) => !present.has(block));
    });
  }

  async *blocks(id: OrderId, from: AsyncIterable<SealedBlock>): AsyncIterable<readonly BlockId[]> {
    const order = this.#collector.begin(this.#client, id);
    // Whoever stops reading the acknowledgements has gone.
    let failure: string | null = 'interrupted';
    order.streams++;
    try {
      yield* this.#receive(order, from);
      failure = null;
      if (order.stop.signal.aborted) throw orderEnded(order);
    } catch (error) {
      failure = codeOf(error);
      throw error;
    } finally {
      order.streams--;
      this.#collector.settle(order, failure);
    }
  }

  async commit(id: OrderId): Promise<CommitAnswer> {
    const closed = this.#collector.book.committedBy(this.#client, id);
    if (closed !== null) return await commitOrder(this.#collector, closed, null);
    let snapshot: SnapshotId | null = null;
    try {
      return await this.#within(id, async (order) => {
        snapshot = order.snapshot;
        const from = { order, domains: await this.#domains(), address: this.#address };
        return await commitOrder(this.#collector, order.snapshot, from);
      });
    } catch (error) {
      // It can never be closed: what leans on nothing must come instead.
      if (snapshot !== null && isLowtideError(error, 'base-unknown')) {
        this.#collector.tell({ kind: 'withdrawn', snapshot });
      }
      throw error;
    }
  }

  async copies(query: CopyQuery): Promise<Page<CopyRecord>> {
    return await copyPage(this.#collector, this.#client, query);
  }

  async *fetch(scope: SnapshotId, ids: readonly BlockId[], stop: AbortSignal): AsyncIterable<SealedBlock> {
    const { depot, ledger } = this.#collector.parts;
    const snapshot = await findSnapshot(ledger.db, scope);
    if (snapshot?.client !== this.#client)
      throw new LowtideError('no-such-snapshot', 'there is no such snapshot here');
    const own = await depot.has(await this.#domains(), ids);
    const wanted = ids.filter((id) => own.has(id));
    for await (const read of depot.read(wanted, stop)) if ('bytes' in read) yield read;
  }

  async withdraw(id: SnapshotId, record: Uint8Array): Promise<void> {
    for (const snapshot of await withdrawSnapshot(this.#collector.parts, this.#client, id, record)) {
      this.#collector.tell({ kind: 'withdrawn', snapshot });
    }
  }

  /** One request that the center answers by work of its own. */
  async #within<T>(id: OrderId, work: (order: ActiveOrder) => Promise<T>): Promise<T> {
    const order = this.#collector.begin(this.#client, id);
    let failure: string | null = null;
    try {
      return await this.#collector.working(order, () => work(order));
    } catch (error) {
      failure = codeOf(error);
      throw error;
    } finally {
      this.#collector.settle(order, failure);
    }
  }

  async *#receive(order: ActiveOrder, from: AsyncIterable<SealedBlock>): AsyncGenerator<readonly BlockId[]> {
    const collector = this.#collector;
    yield* receiveBlocks(collector.writers, {
      from,
      domains: await this.#domains(),
      limits: collector.parts.world.limits,
      stop: order.stop.signal,
      onBlock: () => collector.touch(order),
      working: (work) => collector.working(order, work),
      onDurable: (bytes) => this.#onDurable(order, bytes),
    });
  }

  async #onDurable(order: ActiveOrder, bytes: number): Promise<void> {
    const { ledger, world } = this.#collector.parts;
    order.received += bytes;
    order.durableAt = world.clock.now();
    await addReceived(ledger.db, order.snapshot, bytes);
    const offer = await findOffer(ledger.db, order.snapshot);
    if (offer === null) return;
    const left = Math.max(0, offer.wishes.bytes - offer.received);
    this.#collector.tell({ kind: 'progress', snapshot: order.snapshot, bytes: left });
  }

  /** The key domains that are this client's: blocks of others do not exist for it. */
  async #domains(): Promise<ReadonlySet<DomainKeyId>> {
    const domains = new Set<DomainKeyId>();
    for (const { keyring } of await this.#collector.parts.depot.keyrings(this.#client)) {
      for (const { domain } of keyring.epochs) domains.add(domain);
    }
    return domains;
  }
}

const codeOf = (error: unknown): string => (isLowtideError(error) ? error.code : 'crashed');
