import type { SealedBlock } from '../format/block.ts';
import { parseManifest } from '../format/manifest.ts';
import { copiesOf } from '../ledger/copies.ts';
import { findClient } from '../ledger/clients.ts';
import { leavingsBelow } from '../ledger/leavings.ts';
import { enrollMembers, speaksFor } from '../ledger/members.ts';
import { isPeer } from '../ledger/readers.ts';
import { addReceived, findOffer } from '../ledger/offers.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type {
  CopyQuery,
  CopyRecord,
  CopyState,
  Hello,
  KnownClient,
  Member,
  Order,
  Page,
  Welcome,
  Wishes,
} from '../model/exchange.ts';
import type { BlockId, CenterId, ClientId, DomainKeyId, OrderId, SnapshotId } from '../model/ids.ts';
import { untilStopped } from '../model/stopping.ts';
import type { CenterApi, CommitAnswer, DeclineReason } from '../protocol/center-api.ts';
import { bringBase } from './base-above.ts';
import { caching } from './caching.ts';
import type { Collector } from './collector.ts';
import { baseUnknown, commitOrder } from './committing.ts';
import { placeOf } from './conditions.ts';
import { copyPage, statesOf } from './copy-pages.ts';
import { vouchedAbove } from './own-copy.ts';
import { takeWordsOfLeaving } from './leaving.ts';
import { queuedOffer } from './past.ts';
import { bringKeyrings } from './keyrings.ts';
import { type ActiveOrder, orderEnded } from './order-book.ts';
import { clientPage, keyringPage } from './reading.ts';
import { receiveBlocks } from './receiving.ts';
import { receiveOffer } from './reception.ts';
import { welcome } from './sessions.ts';
import { makeRoom, takeStock } from './taking-stock.ts';
import { closeStranded, withdrawSnapshot } from './withdrawing.ts';

/**
 * What a collector offers to one client. Whatever it is asked, it answers about this client's own things only; a relay's
 * are those of its subtree too.
 */
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
    await this.#refusePeer();
    const request = { manifest, keyring, wishes, address: this.#address };
    const { signed, kind } = await receiveOffer(parts, this.#client, request);
    if (kind === 'behind') {
      this.#collector.queue.drop(signed.id);
      await closeStranded(parts, this.#client, signed.id);
    }
    await this.#collector.meet(this.#client);
    const offer = kind === 'queued' ? await queuedOffer(parts, signed.id) : null;
    // New wishes count at once, also while it is being sent (S42).
    if (offer !== null) this.#collector.queue.put(offer);
    return await statesOf(this.#collector, await copiesOf(parts.ledger.db, signed.id));
  }

  async enroll(members: readonly Member[]): Promise<readonly Uint8Array[]> {
    const { ledger, world, center, above } = this.#collector.parts;
    this.#checkMachines(members);
    const relay = await findClient(ledger.db, this.#client);
    if (relay === null) throw new LowtideError('not-enrolled', 'this client is not enrolled here');
    const nodes = [center.id, ...(above?.path() ?? [])];
    const news = await ledger.transaction((db) =>
      enrollMembers(db, relay, members, world.clock.now(), nodes),
    );
    if (news) this.#collector.parts.above?.changed();
    return await leavingsBelow(ledger.db, relay.id, members);
  }

  async left(words: readonly Uint8Array[]): Promise<void> {
    this.#checkMachines(words);
    await takeWordsOfLeaving(this.#collector, words, this.#client);
  }

  async *orders(stop: AbortSignal): AsyncIterable<Order> {
    const place = await placeOf(this.#collector.parts, this.#client, this.#address);
    await this.#collector.meet(this.#client);
    const session = this.#collector.openSession(place);
    try {
      yield { kind: 'news' };
      yield* untilStopped(session.queue, stop);
    } finally {
      this.#collector.closeSession(session);
    }
  }

  async missing(id: OrderId, ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    this.#checkCount(ids);
    return await this.#overBase(id, async (order) => {
      const client = await this.#owner(order);
      const present = await this.#collector.parts.depot.has(await this.#domains(client), ids);
      const missing = ids.filter((block) => !present.has(block));
      const stored = await this.#storedAbove(order, client, missing);
      return missing.filter((block) => !stored.has(block));
    });
  }

  async stored(client: ClientId, ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    this.#checkCount(ids);
    const { depot, above, ledger } = this.#collector.parts;
    if (!(await speaksFor(ledger.db, this.#client, client))) return [];
    if (above === null) {
      const present = await depot.has(await this.#domains(client), ids);
      return ids.filter((id) => present.has(id));
    }
    const centers = above.centers().map(({ id }) => id);
    const stored = await above.stored(client, centers, ids);
    return ids.filter((id) => stored.has(id));
  }

  async *blocks(id: OrderId, from: AsyncIterable<SealedBlock>): AsyncIterable<readonly BlockId[]> {
    const order = this.#collector.orders.begin(this.#client, id);
    // Whoever stops reading the acknowledgements has gone.
    let failure: string | null = 'interrupted';
    order.streams++;
    try {
      await takeStock(this.#collector, order);
      yield* this.#receive(order, from);
      failure = null;
      if (order.stop.signal.aborted) throw orderEnded(order);
    } catch (error) {
      failure = codeOf(error);
      throw error;
    } finally {
      order.streams--;
      this.#collector.orders.settle(order, failure);
    }
  }

  async commit(id: OrderId): Promise<CommitAnswer> {
    const closed = this.#collector.book.committedBy(this.#client, id);
    if (closed !== null) return await commitOrder(this.#collector, closed, null);
    return await this.#overBase(id, async (order) => {
      const domains = await this.#domains(await this.#owner(order));
      const from = { order, domains, address: this.#address };
      return await commitOrder(this.#collector, order.snapshot, from);
    });
  }

  /** As if it had begun and failed: the snapshot waits a while (or until it is offered again, R36), and its stream is free now. */
  async decline(id: OrderId, why: DeclineReason): Promise<void> {
    const { orders, queue } = this.#collector;
    const order = orders.begin(this.#client, id);
    orders.settle(order, `declined-${why}`);
    if (why === 'not-here') queue.notHere(order.snapshot, this.#client);
  }

  async clients(after: ClientId | null): Promise<Page<KnownClient>> {
    return await clientPage(this.#collector.parts, this.#client, after);
  }

  async keyrings(client: ClientId, after: string | null): Promise<Page<Uint8Array>> {
    return await keyringPage(this.#collector.parts, this.#client, client, after);
  }

  async copies(query: CopyQuery): Promise<Page<CopyRecord>> {
    return await copyPage(this.#collector, this.#client, query);
  }

  async *fetch(scope: SnapshotId, ids: readonly BlockId[], stop: AbortSignal): AsyncIterable<SealedBlock> {
    this.#checkCount(ids);
    const { depot, above } = this.#collector.parts;
    const owner = await this.#collector.owners.of(this.#client, scope);
    const domains = await this.#domainsToKeep(owner);
    const own = await depot.has(domains, ids);
    const wanted = ids.filter((id) => own.has(id));
    const lacking = new Set(above === null ? [] : ids);
    const over = this.#collector.restoring(this.#client);
    try {
      for await (const read of depot.read(wanted, stop)) {
        if (!('bytes' in read)) continue;
        lacking.delete(read.id);
        yield read;
      }
      if (above === null || lacking.size === 0) return;
      const { writers, parts } = this.#collector;
      const passing = { above, writers, limits: parts.world.limits, domains };
      yield* caching(passing, above.fetch(scope, [...lacking], stop));
    } finally {
      over();
    }
  }

  async withdraw(id: SnapshotId, record: Uint8Array, centers: readonly CenterId[]): Promise<void> {
    const { parts } = this.#collector;
    for (const snapshot of await withdrawSnapshot(parts, this.#client, id, { record, centers })) {
      this.#collector.queue.drop(snapshot);
    }
  }

  /** Everything else takes an order, which is given to who offers something. */
  async #refusePeer(): Promise<void> {
    if (!(await isPeer(this.#collector.parts.ledger.db, this.#client))) return;
    throw new LowtideError(
      'forbidden',
      'a center that was let in as a peer may read here, and bring nothing',
    );
  }

  /** One request that the center answers by work of its own. */
  async #within<T>(id: OrderId, work: (order: ActiveOrder) => Promise<T>): Promise<T> {
    const order = this.#collector.orders.begin(this.#client, id);
    let failure: string | null = null;
    try {
      return await this.#collector.orders.working(order, () => work(order));
    } catch (error) {
      failure = codeOf(error);
      throw error;
    } finally {
      this.#collector.orders.settle(order, failure);
    }
  }

  /**
   * One that needs the base of its snapshot here. A relay gets what it lacks of it from above.
   * @throws LowtideError `base-unknown`: then the order is over, and the snapshot is not waited for
   */
  async #overBase<T>(id: OrderId, work: (order: ActiveOrder) => Promise<T>): Promise<T> {
    let snapshot: SnapshotId | null = null;
    try {
      return await this.#within(id, async (order) => {
        snapshot = order.snapshot;
        order.base ??= this.#bringBase(order);
        if (await order.base) return await work(order);
        if (order.stop.signal.aborted) throw orderEnded(order);
        throw baseUnknown();
      });
    } catch (error) {
      // It can never be closed: what leans on nothing must come instead.
      if (snapshot !== null && isLowtideError(error, 'base-unknown')) {
        this.#collector.queue.drop(snapshot);
      }
      throw error;
    }
  }

  /** A center has it or does not: its commit says so. */
  async #bringBase(order: ActiveOrder): Promise<boolean> {
    const { parts, writers } = this.#collector;
    const { above } = parts;
    const offer = above === null ? null : await findOffer(parts.ledger.db, order.snapshot);
    if (above === null || offer === null) return true;
    const domains = await this.#domains(await this.#owner(order));
    const signed = parseManifest(offer.manifest);
    const room = async (): Promise<void> => await makeRoom(above, order);
    return await bringBase(parts, writers, { signed, domains, stop: order.stop.signal, room });
  }

  async *#receive(order: ActiveOrder, from: AsyncIterable<SealedBlock>): AsyncGenerator<readonly BlockId[]> {
    const collector = this.#collector;
    yield* receiveBlocks(collector.writers, {
      from,
      domains: await this.#domains(await this.#owner(order)),
      world: collector.parts.world,
      stop: order.stop.signal,
      onBlock: (bytes) => collector.orders.arrived(order, bytes),
      working: (work) => collector.orders.working(order, work),
      onDurable: (bytes) => this.#onDurable(order, bytes),
    });
  }

  async #onDurable(order: ActiveOrder, bytes: number): Promise<void> {
    const { ledger, world } = this.#collector.parts;
    order.received += bytes;
    order.durable = { at: world.clock.now(), monotonic: world.clock.monotonic() };
    await addReceived(ledger.db, order.snapshot, bytes, order.durable.at);
    await takeStock(this.#collector, order);
  }

  #checkCount(ids: readonly BlockId[]): void {
    const { ids_per_message: most } = this.#collector.parts.world.limits;
    if (ids.length > most) throw new LowtideError('too-large', `ask for at most ${most} blocks at once`);
  }

  #checkMachines(told: readonly unknown[]): void {
    const { page_rows: most } = this.#collector.parts.world.limits;
    if (told.length > most) throw new LowtideError('too-large', `tell of at most ${most} machines at once`);
  }

  /** Whose snapshot an order is about. */
  async #owner({ snapshot }: ActiveOrder): Promise<ClientId> {
    const row = await findSnapshot(this.#collector.parts.ledger.db, snapshot);
    if (row === null) throw new LowtideError('wrong-state', 'this snapshot is not on offer any more');
    return row.client;
  }

  /** What need not come because every center has it. Of a client that frees on custody, everything must come. */
  async #storedAbove(
    { snapshot, needed }: ActiveOrder,
    client: ClientId,
    ids: readonly BlockId[],
  ): Promise<ReadonlySet<BlockId>> {
    const { parts } = this.#collector;
    const asked = ids.filter((id) => !needed.has(id));
    if (parts.above === null || asked.length === 0) return new Set();
    const offer = await findOffer(parts.ledger.db, snapshot);
    if (offer === null || offer.wishes.freeAfter === 'custody') return new Set();
    return await vouchedAbove(parts, snapshot, client, asked);
  }

  /** At a relay also of one that nothing came from yet: what is kept of it would not be found otherwise. */
  async #domainsToKeep(client: ClientId): Promise<ReadonlySet<DomainKeyId>> {
    const { parts } = this.#collector;
    const known = await this.#domains(client);
    if (known.size > 0 || parts.above === null) return known;
    await bringKeyrings(parts, client);
    return await this.#domains(client);
  }

  /** The key domains that are a client's: blocks of others do not exist for it. */
  async #domains(client: ClientId): Promise<ReadonlySet<DomainKeyId>> {
    const domains = new Set<DomainKeyId>();
    for (const { keyring } of await this.#collector.parts.depot.keyrings(client)) {
      for (const { domain } of keyring.epochs) domains.add(domain);
    }
    return domains;
  }
}

const codeOf = (error: unknown): string => (isLowtideError(error) ? error.code : 'crashed');
