import { listClients } from '../ledger/clients.ts';
import { endTransit } from '../ledger/copies.ts';
import { heldOf } from '../ledger/holds.ts';
import { findOffer, queuedOffers } from '../ledger/offers.ts';
import { sendersFor } from '../ledger/members.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { Order } from '../model/exchange.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import { MINUTE_MS } from '../model/time.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { ClientFace } from './client-face.ts';
import { lineOf, plannerConditions } from './conditions.ts';
import { Foresight } from './foresight.ts';
import { heldBack } from './holding-back.ts';
import { Owners } from './known-above.ts';
import { forgetOffersOfLeft, takeWordsOfLeaving } from './leaving.ts';
import { withdrawSnapshot } from './withdrawing.ts';
import { OrderBook, type Session } from './order-book.ts';
import { OrderJournal } from './order-journal.ts';
import { Orders } from './orders.ts';
import { OtherWork } from './other-work.ts';
import type { ClientPlace, CollectorParts, Conditions } from './parts.ts';
import { habitEvent, pastOf, type QueuedOffer } from './past.ts';
import { Planning } from './planning.ts';
import { Queue } from './queue.ts';
import { WriterPool } from './receiving.ts';
import { isWatched, type Reading, WATCH_EVERY_MS } from './watches.ts';

/** The ledger hears so often who is connected. */
const SEEN_EVERY_MS = 5 * MINUTE_MS;

/**
 * The collection program (SEED 212, fig. 5): hears offers, asks the planner, orders clients one after another to send,
 * receives, receipts. Faces down; knows nothing of what is above.
 */
export class Collector {
  readonly parts: CollectorParts;
  readonly book = new OrderBook();
  readonly planning: Planning;
  readonly orders: Orders;
  readonly queue: Queue;
  readonly foresight: Foresight;
  readonly owners: Owners;
  readonly writers: WriterPool;
  /** Counts how often the way up has changed, and which one each relay below was told of. */
  #path = 0;
  readonly #toldPath = new Map<ClientId, number>();
  /** Relays below that machines have left without their knowing, until their next hello. */
  readonly #unaware = new Set<ClientId>();
  #conditions: Conditions;
  readonly #otherWork: OtherWork;
  readonly #journal: OrderJournal;
  /** Machines of which the planner knows what the ledger tells. */
  readonly #met = new Set<ClientId>();
  readonly #places = new Map<ClientId, ClientPlace>();
  /** When the ledger was told last who is connected, by the monotonic clock. */
  #seenAt = -Infinity;
  #running = false;
  #stopping = false;

  private constructor(parts: CollectorParts, conditions: Conditions) {
    const { book } = this;
    this.parts = parts;
    this.#conditions = conditions;
    this.planning = new Planning(parts.world.clock, conditions, (grants) => this.orders.carryOut(grants));
    this.foresight = new Foresight(parts, this.planning);
    this.#journal = new OrderJournal(parts);
    this.queue = new Queue(parts, {
      book,
      planning: this.planning,
      lineOf: (client) => this.#lineOf(client),
      conditions: () => this.#conditions,
    });
    this.orders = new Orders(parts, {
      book,
      planning: this.planning,
      journal: this.#journal,
      unfinished: ({ snapshot }) => this.queue.reroute(snapshot),
    });
    this.#otherWork = new OtherWork(parts, (event) => this.planning.tell(event));
    this.owners = new Owners(parts);
    this.writers = new WriterPool(parts.depot);
  }

  /** Takes up the collection queue from the ledger: what was offered before a restart need not be offered again. */
  static async start(parts: CollectorParts, conditions: Conditions): Promise<Collector> {
    const { ledger, center, world, depot } = parts;
    const collector = new Collector(parts, conditions);
    await endTransit(ledger.db, center.id, 'stopped', world.clock.now());
    // A commit that a crash met right after the receipt.
    for (const id of await depot.pins()) {
      const kept = (await findSnapshot(ledger.db, id))?.pack_group ?? null;
      if (kept === null && (await findOffer(ledger.db, id)) === null) await depot.unpin(id);
    }
    for (const row of await listClients(ledger.db)) {
      const { id, name, address } = row;
      collector.#places.set(id, { client: id, name, address });
      const held = heldOf(row, world.clock.now());
      if (held !== null) collector.planning.tell(heldBack(id, held));
    }
    collector.setConditions(conditions);
    await forgetOffersOfLeft(collector);
    const queued: QueuedOffer[] = [];
    for (const offer of await queuedOffers(ledger.db, center.id)) {
      await collector.meet(offer.client);
      queued.push({ ...offer, ...(await pastOf(parts, offer)) });
    }
    collector.queue.takeUp(queued);
    return collector;
  }

  get conditions(): Conditions {
    return this.#conditions;
  }

  /** They count at once (S48). @throws LowtideError `bad-schedule`, `bad-zone`: then the ones before stay */
  setConditions(conditions: Conditions): void {
    const planned = plannerConditions(conditions, this.#places.values());
    const { windows, zone } = conditions;
    const sameHours = windows === this.#conditions.windows && zone === this.#conditions.zone;
    this.planning.tell({ kind: 'conditions', conditions: planned });
    this.#conditions = conditions;
    this.#noteConditions();
    this.#otherWork.lookSoon();
    for (const { client, place } of this.book.sessions()) {
      this.planning.tell({ kind: 'online', client, line: lineOf(conditions, place) });
      if (!sameHours) this.book.send(client, { kind: 'policy', windows, zone });
    }
    this.queue.planAnew();
  }

  /** Tells the planner, once, how a client used to send here: call it before anything of it is planned. */
  async meet(client: ClientId): Promise<void> {
    if (this.#met.has(client)) return;
    this.#met.add(client);
    const event = await habitEvent(this.parts, client, this.#lineOf(client));
    if (event !== null) this.planning.tell(event);
  }

  /** What one client may do here. `address` is shown in the history. */
  apiFor(client: ClientId, address: string | null): CenterApi {
    return new ClientFace(this, client, address);
  }

  /** Runs the planning loop until `stop`; then every order ends, what arrived is durable, and writers are closed. */
  async run(stop: AbortSignal): Promise<void> {
    const { plan_interval_ms, order_idle_ms } = this.parts.world.limits;
    this.#running = true;
    this.#noteConditions();
    while (!stop.aborted) {
      this.orders.endIdle();
      this.#noteSeen();
      await this.#watch();
      this.planning.tell({ kind: 'tick' });
      void this.foresight.keepUp();
      const idle = this.book.all().length > 0 ? order_idle_ms : plan_interval_ms;
      const watched =
        this.planning.outstanding > 0 && isWatched(this.#conditions) ? WATCH_EVERY_MS : plan_interval_ms;
      await this.planning.pause(Math.min(plan_interval_ms, idle, watched), stop);
    }
    this.#stopping = true;
    this.#journal.seen(this.book.sessions().map(({ client }) => client));
    this.book.endSessions();
    for (const order of this.book.all()) order.stop.abort('stopped');
    // Ends what nobody is calling in, and starts nothing any more.
    const none = { ...plannerConditions(this.#conditions), streams: 0 };
    this.planning.tell({ kind: 'conditions', conditions: none });
    await this.#otherWork.end();
    await this.orders.lastCalls();
    await this.foresight.settled();
    await this.writers.close();
  }

  /** A machine that is connected for days must not look away. */
  #noteSeen(): void {
    const now = this.parts.world.clock.monotonic();
    if (now - this.#seenAt < SEEN_EVERY_MS) return;
    this.#seenAt = now;
    this.#journal.seen(this.book.sessions().map(({ client }) => client));
  }

  /** Programs may take their time: nobody waits for them here. */
  async #watch(): Promise<void> {
    const look = this.#otherWork.watch(this.#conditions);
    if ((this.#conditions.notWhile ?? []).length === 0) await look;
  }

  /** Of a node that runs: a command that only opens its folder puts nothing in force. */
  #noteConditions(): void {
    const { written } = this.#conditions;
    if (this.#running && written !== undefined) this.#journal.conditions(written);
  }

  /** What is measured is another thing now: it is looked at soon. */
  lookAgain(): void {
    this.#otherWork.lookSoon();
    this.planning.wake();
  }

  /** What is measured of the condition table, and what of it holds collecting. */
  get readings(): readonly Reading[] {
    return this.#otherWork.readings;
  }

  /** The newest session of a client takes over; what the one before was ordered to do ends. */
  openSession(place: ClientPlace): Session {
    const { client } = place;
    if (this.book.isOnline(client)) this.planning.tell({ kind: 'offline', client });
    this.#notePlace(place);
    const session = this.book.openSession(place, this.parts.world.clock.now());
    this.planning.tell({ kind: 'online', client, line: lineOf(this.#conditions, place) });
    const wasToldOther = (this.#toldPath.get(client) ?? this.#path) !== this.#path;
    if (wasToldOther || this.#unaware.has(client)) session.queue.end();
    return session;
  }

  /** It may have a rate of its own here, and not where it was last. */
  #notePlace(place: ClientPlace): void {
    const before = this.#places.get(place.client) ?? null;
    this.#places.set(place.client, place);
    const { rates } = this.#conditions;
    if (rates === undefined) return;
    const rateBefore = before === null ? null : rates.rateOf(before);
    if (rates.rateOf(place) === rateBefore) return;
    const conditions = plannerConditions(this.#conditions, this.#places.values());
    this.planning.tell({ kind: 'conditions', conditions });
  }

  closeSession(session: Session): void {
    const { client, since } = session;
    if (!this.book.closeSession(session)) return;
    // One that ends because the center stops says nothing of the client.
    if (!this.#stopping) {
      this.#journal.seen([client]);
      this.#journal.stayed(client, { from: since, until: this.parts.world.clock.now() });
    }
    this.planning.tell({ kind: 'offline', client });
    this.queue.leave(client);
  }

  #lineOf(client: ClientId): string | null {
    return lineOf(this.#conditions, this.book.placeOf(client));
  }

  /** Somebody waits for bytes that this client fetches. Call what it answers when that is over. */
  restoring(client: ClientId): () => void {
    return this.#otherWork.restoring(this.#lineOf(client));
  }

  /** Who is above has changed: the relays below must say hello again, to hear of it and to be asked whether that is a circle. */
  async greetRelays(): Promise<void> {
    this.#path++;
    const relays = (await listClients(this.parts.ledger.db)).filter(({ node }) => node !== null);
    this.book.endSessions(relays.map(({ id }) => id));
  }

  /** Relays below that do not know who has left them: they tell of their machines after a hello, and are answered that. */
  mustHearAnew(clients: readonly ClientId[]): void {
    for (const client of clients) this.#unaware.add(client);
    this.book.endSessions(clients);
  }

  /** A relay below is told now who is above, and tells of its machines next. */
  relayWelcomed(client: ClientId): void {
    this.#toldPath.set(client, this.#path);
    this.#unaware.delete(client);
  }

  /**
   * The owner of a snapshot has told the node above that it is closed.
   * @throws LowtideError as `withdrawSnapshot`
   */
  async closedAbove(snapshot: SnapshotId, record: Uint8Array): Promise<void> {
    const owner = (await findSnapshot(this.parts.ledger.db, snapshot))?.client;
    if (owner === undefined) return;
    const closed = await withdrawSnapshot(this.parts, owner, snapshot, { record, centers: [] });
    for (const each of closed) this.queue.drop(each);
  }

  /** The node above shows words of machines of this subtree that they have left. @throws LowtideError as `takeWordsOfLeaving` */
  async leftAbove(words: readonly Uint8Array[]): Promise<void> {
    await takeWordsOfLeaving(this, words, null);
  }

  /** Something about these snapshots of a client, or about any of them, has changed that was not its own doing. */
  async news(client: ClientId, snapshots?: readonly SnapshotId[]): Promise<void> {
    const senders = await sendersFor(this.parts.ledger.db, client);
    const order: Order = snapshots === undefined ? { kind: 'news' } : { kind: 'news', snapshots };
    for (const sender of senders) this.book.send(sender, order);
  }
}
