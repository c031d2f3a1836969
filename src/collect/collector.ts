import { endTransit } from '../ledger/copies.ts';
import { findOffer, type Offer, queuedOffers } from '../ledger/offers.ts';
import { sendersFor } from '../ledger/members.ts';
import { findSnapshot, passedBy } from '../ledger/snapshots.ts';
import { hexOf } from '../model/bytes.ts';
import { Bell } from '../model/bell.ts';
import { isLowtideError } from '../model/errors.ts';
import type { ClientId, OrderId, SnapshotId } from '../model/ids.ts';
import { SECOND_MS, type UnixMillis } from '../model/time.ts';
import { type Forecast, forecast, type ForecastAsk } from '../schedule/forecast.ts';
import {
  type Grant,
  type Outcome,
  type PlannerEvent,
  type Reason,
  type Reasons,
  type Step,
} from '../schedule/plan.ts';
import { newPlanner, type PlannerState, step } from '../schedule/planner.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { ClientFace } from './client-face.ts';
import { lineOf, plannedOffer, plannerConditions } from './conditions.ts';
import { Owners } from './known-above.ts';
import { type ActiveOrder, newOrder, OrderBook, type Session } from './order-book.ts';
import { OrderJournal } from './order-journal.ts';
import { forgetOwn } from './own-copy.ts';
import { OtherWork } from './other-work.ts';
import type { ClientPlace, CollectorParts, Conditions } from './parts.ts';
import { WriterPool } from './receiving.ts';
import { Ways } from './ways.ts';

/** A block on the slowest line that is worth a stream comes at this pace; the transport watches the bytes of it. */
const SLOWEST_BYTES_PER_SECOND = 8 * 1024;
/** Calls that are under way when the collector stops have this long to end by themselves. */
const LAST_CALLS_MS = 10 * SECOND_MS;

/**
 * The collection program (SEED 212, fig. 5): hears offers, asks the planner, orders clients one after another to send,
 * receives, receipts. Faces down; knows nothing of what is above.
 */
export class Collector {
  readonly parts: CollectorParts;
  readonly book = new OrderBook();
  readonly owners: Owners;
  readonly writers: WriterPool;
  readonly #journal: OrderJournal;
  #conditions: Conditions;
  #planner: PlannerState;
  #reasons: Reasons;
  #nextChange: UnixMillis | null = null;
  /** What the planner has still to be told, in order: an event may come up while another is carried out. */
  readonly #events: PlannerEvent[] = [];
  #telling = false;
  readonly #ways = new Ways();
  readonly #otherWork: OtherWork;
  readonly #bell = new Bell();
  /** Calls under way, those of orders that have ended included. */
  #calls = 0;
  readonly #callBell = new Bell();

  private constructor(parts: CollectorParts, conditions: Conditions) {
    this.parts = parts;
    this.#conditions = conditions;
    this.#otherWork = new OtherWork(parts, (event) => this.tell(event));
    this.owners = new Owners(parts);
    this.writers = new WriterPool(parts.depot);
    this.#journal = new OrderJournal(parts);
    const now = parts.world.clock.now();
    this.#planner = newPlanner(plannerConditions(conditions), now);
    this.#reasons = step(this.#planner, { kind: 'tick' }, now).reasons;
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
    for (const offer of await queuedOffers(ledger.db, center.id)) collector.#takeUp(offer);
    return collector;
  }

  get conditions(): Conditions {
    return this.#conditions;
  }

  /** They count at once (S48). @throws LowtideError `bad-schedule`, `bad-zone`: then the ones before stay */
  setConditions(conditions: Conditions): void {
    this.tell({ kind: 'conditions', conditions: plannerConditions(conditions) });
    this.#conditions = conditions;
    for (const { client, place } of this.book.sessions()) {
      this.tell({ kind: 'online', client, line: lineOf(conditions, place) });
    }
  }

  /** What one client may do here. `address` is shown in the history. */
  apiFor(client: ClientId, address: string | null): CenterApi {
    return new ClientFace(this, client, address);
  }

  /** Runs the planning loop until `stop`; then every order ends, what arrived is durable, and writers are closed. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#endIdleOrders();
      await this.#otherWork.watchSpace(this.#conditions);
      this.tell({ kind: 'tick' });
      await this.#sleep(stop);
    }
    this.book.endSessions();
    for (const order of this.book.all()) order.stop.abort('stopped');
    // Ends what nobody is calling in, and starts nothing any more.
    this.tell({ kind: 'conditions', conditions: { ...plannerConditions(this.#conditions), streams: 0 } });
    await this.#lastCalls();
    await this.#journal.settled();
    await this.writers.close();
  }

  /** Why each outstanding snapshot is where it is. */
  reasons(): readonly Reason[] {
    return [...this.#reasons];
  }

  /** Snapshots that are not collected yet. */
  get outstanding(): number {
    return this.#reasons.size;
  }

  reasonFor(snapshot: SnapshotId): Reason | null {
    return this.#reasons.get(snapshot) ?? null;
  }

  /** What is expected to happen (S70). Costs as much as the night that it plays: not for a large queue in passing. */
  forecast(ask: ForecastAsk): Forecast {
    return forecast(this.#planner, this.parts.world.clock.now(), ask);
  }

  /** The newest session of a client takes over; what the one before was ordered to do ends. */
  openSession(place: ClientPlace): Session {
    const { client } = place;
    if (this.book.isOnline(client)) this.tell({ kind: 'offline', client });
    const session = this.book.openSession(place);
    this.tell({ kind: 'online', client, line: lineOf(this.#conditions, place) });
    return session;
  }

  #lineOf(client: ClientId): string | null {
    return lineOf(this.#conditions, this.book.placeOf(client));
  }

  /** Somebody waits for bytes that this client fetches. Call what it answers when that is over. */
  restoring(client: ClientId): () => void {
    return this.#otherWork.restoring(this.#lineOf(client));
  }

  /** What it had offered goes by another way, if there is one. */
  closeSession(session: Session): void {
    const { client } = session;
    if (!this.book.closeSession(session)) return;
    this.tell({ kind: 'offline', client });
    for (const snapshot of this.#ways.leave(client)) this.#reroute(snapshot);
  }

  /** Something about snapshots of this client has changed that was not its own doing. */
  async news(client: ClientId): Promise<void> {
    const senders = await sendersFor(this.parts.ledger.db, client);
    for (const sender of senders) this.book.send(sender, { kind: 'news' });
  }

  /**
   * One that comes two ways (a roaming laptop, two relays) is collected from whoever offered it last, unless it is being
   * sent by another already.
   * @throws LowtideError `bad-schedule`, `bad-zone`
   */
  queue(offer: Offer): void {
    const before = this.#ways.offered(offer);
    if (before === null) return this.#plan(offer);
    if (this.book.ofSnapshot(offer.snapshot) === null) this.#redirect(offer);
  }

  #redirect(offer: Offer): void {
    this.#ways.take(offer);
    this.tell({ kind: 'withdrawn', snapshot: offer.snapshot });
    this.#plan(offer);
  }

  /** What is planned by a client that has gone comes by another way, if there is one, once its last call is over. */
  #reroute(snapshot: SnapshotId): void {
    const client = this.#ways.clientOf(snapshot);
    if (client === null || this.book.isOnline(client) || this.book.ofSnapshot(snapshot) !== null) return;
    const other = this.#ways.another(snapshot, (each) => this.book.isOnline(each));
    if (other !== null) this.#redirect(other);
  }

  /** Collects nothing more of it. */
  drop(snapshot: SnapshotId): void {
    this.#ways.forget(snapshot);
    this.tell({ kind: 'withdrawn', snapshot });
  }

  /** At a relay: what has come to all centers by another way while it was waited for here is nobody's to send any more. */
  async dropPassedBy(): Promise<void> {
    const { ledger, center } = this.parts;
    for (const snapshot of await passedBy(ledger.db, center.id)) {
      if (this.book.ofSnapshot(snapshot) !== null) continue;
      this.drop(snapshot);
      await forgetOwn(this.parts, snapshot);
    }
  }

  #plan(offer: Offer): void {
    this.tell({ kind: 'offered', offer: plannedOffer(offer, this.#lineOf(offer.client)) });
  }

  /**
   * The only way to the planner. Carries out what it grants: all of one answer before the next event, because what an
   * event brings about may be about grants that have not been carried out yet.
   */
  tell(event: PlannerEvent): void {
    this.#events.push(event);
    if (event.kind !== 'tick') this.#bell.ring();
    if (this.#telling) return;
    this.#telling = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        this.#carryOutAll(this.#step(next));
      }
    } finally {
      this.#telling = false;
    }
  }

  /** Ends an order once; the planner gets its stream back. */
  endOrder(order: ActiveOrder, outcome: Outcome, code: string): void {
    if (!this.book.remove(order)) return;
    order.stop.abort(code);
    if (outcome === 'committed') this.book.rememberCommitted(order);
    else {
      this.book.send(order.client, { kind: 'stop', order: order.id, code });
      this.#journal.ended(order, outcome, code);
    }
    this.tell({ kind: 'ended', snapshot: order.snapshot, outcome });
    if (outcome !== 'committed') this.#reroute(order.snapshot);
  }

  /**
   * Called by every request of an order when it starts.
   * @throws LowtideError `order-ended`
   */
  begin(client: ClientId, id: OrderId): ActiveOrder {
    const order = this.book.find(client, id);
    if (!order.accepted) {
      order.accepted = true;
      this.tell({ kind: 'started', snapshot: order.snapshot });
    }
    order.calls++;
    this.#calls++;
    this.touch(order);
    return order;
  }

  /**
   * Called by every request of an order when it is done. One that failed ends the order, because whoever made it does
   * not go on with it; one that was told to stop ends with its last call.
   * @param failure the code of what went wrong, or null
   */
  settle(order: ActiveOrder, failure: string | null): void {
    order.calls--;
    this.#calls--;
    this.touch(order);
    if (failure !== null && !order.stop.signal.aborted) {
      order.failed = true;
      order.stop.abort(failure);
    }
    const { aborted, reason } = order.stop.signal;
    if (aborted && order.calls === 0) {
      this.endOrder(order, order.failed ? 'failed' : 'paused', String(reason));
    }
    this.#callBell.ring();
  }

  /** A block has come. Whoever sends far more than it was granted takes it from others: it is stopped and waits. */
  arrived(order: ActiveOrder, bytes: number): void {
    this.touch(order);
    const { block_bytes_max, flush_bytes } = this.parts.world.limits;
    const slack = 2 * block_bytes_max + flush_bytes;
    if (!order.watch.came(bytes, order.rate, slack, order.lastActivity)) return;
    this.tell({ kind: 'misbehaved', client: order.client });
    if (!order.stop.signal.aborted) order.stop.abort('client-misbehaved');
  }

  touch(order: ActiveOrder): void {
    order.lastActivity = this.parts.world.clock.monotonic();
  }

  /** Work of the center's own in an order: the client is not to blame for the time that it takes. */
  async working<T>(order: ActiveOrder, work: () => Promise<T>): Promise<T> {
    order.working++;
    try {
      return await work();
    } finally {
      order.working--;
      this.touch(order);
    }
  }

  #takeUp(offer: Offer): void {
    try {
      this.queue(offer);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      const message = `the queued snapshot ${offer.snapshot.slice(0, 12)} cannot be planned: ${error.message}`;
      this.parts.world.monitor.event({ kind: 'alarm', code: error.code, message });
    }
  }

  #carryOutAll({ grants, rates }: Pick<Step<PlannerState>, 'grants' | 'rates'>): void {
    const granted = new Map(
      rates.map(({ snapshot, bytesPerSecond }) => [snapshot, wholeRate(bytesPerSecond)]),
    );
    for (const grant of grants) this.#carryOut(grant, granted.get(grant.snapshot) ?? null);
    for (const [snapshot, rate] of granted) {
      const order = this.book.ofSnapshot(snapshot);
      if (order === null || order.rate === rate) continue;
      order.rate = rate;
      this.book.send(order.client, { kind: 'rate', order: order.id, rate });
    }
  }

  #step(event: PlannerEvent): Step<PlannerState> {
    const result = step(this.#planner, event, this.parts.world.clock.now());
    this.#planner = result.state;
    this.#nextChange = result.nextChange;
    this.#reasons = result.reasons;
    return result;
  }

  #carryOut(grant: Grant, rate: number | null): void {
    if (grant.kind === 'start') return this.#startOrder(grant, rate);
    const order = this.book.ofSnapshot(grant.snapshot);
    if (order === null) return;
    order.stop.abort(grant.code);
    if (order.calls === 0) this.endOrder(order, 'paused', String(order.stop.signal.reason));
  }

  /** S3 of fig. 5. The order goes out once the ledger has it, unless it was stopped meanwhile. */
  #startOrder({ snapshot, client, until }: Grant & { kind: 'start' }, rate: number | null): void {
    const { random, clock } = this.parts.world;
    const id = hexOf(random.bytes(16)) as OrderId;
    const order = newOrder({ id, client, snapshot, until, rate }, clock.monotonic());
    this.book.add(order);
    this.#journal.began(order, () => {
      this.book.send(client, { kind: 'send', order: id, snapshot, until, rate: order.rate });
    });
  }

  /** A client that accepted an order and sends nothing must not keep a stream. */
  #endIdleOrders(): void {
    const now = this.parts.world.clock.monotonic();
    for (const order of this.book.all()) {
      const idle = order.working === 0 && now - order.lastActivity >= this.#idleMs(order);
      if (idle) this.endOrder(order, 'failed', 'order-idle');
    }
  }

  /** Between its calls a client has little to do; within a stream it may be sending one large block. */
  #idleMs({ streams }: ActiveOrder): number {
    const { order_idle_ms, block_bytes_max } = this.parts.world.limits;
    return order_idle_ms + (streams > 0 ? (block_bytes_max / SLOWEST_BYTES_PER_SECOND) * SECOND_MS : 0);
  }

  async #sleep(stop: AbortSignal): Promise<void> {
    const { clock, limits } = this.parts.world;
    const interval =
      this.book.all().length > 0
        ? Math.min(limits.plan_interval_ms, limits.order_idle_ms)
        : limits.plan_interval_ms;
    const untilChange = this.#nextChange === null ? interval : Math.max(0, this.#nextChange - clock.now());
    const over = new AbortController();
    const until = AbortSignal.any([stop, over.signal]);
    await Promise.race([this.#bell.wait(until), clock.sleep(Math.min(interval, untilChange), until)]);
    over.abort();
  }

  /** A client that reads no acknowledgement must not keep the center from stopping. */
  async #lastCalls(): Promise<void> {
    const over = new AbortController();
    const late = this.parts.world.clock.sleep(LAST_CALLS_MS, over.signal).then(() => over.abort());
    while (this.#calls > 0 && !over.signal.aborted) await this.#callBell.wait(over.signal);
    over.abort();
    await late;
  }
}

/** Whole bytes go over the wire. */
const wholeRate = (rate: number | null): number | null =>
  rate === null ? null : Math.max(0, Math.round(rate));
