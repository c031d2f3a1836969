import { parseManifest } from '../format/manifest.ts';
import { setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { listOffers, type Offer } from '../ledger/offers.ts';
import { hexOf } from '../model/bytes.ts';
import { Bell } from '../model/bell.ts';
import { isLowtideError } from '../model/errors.ts';
import type { ClientId, OrderId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { CenterConditions, Grant, Outcome, PlannerEvent, Reason, Reasons } from '../schedule/plan.ts';
import { newPlanner, type PlannerState, step } from '../schedule/planner.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { ClientFace } from './client-face.ts';
import { type ActiveOrder, OrderBook } from './order-book.ts';
import type { CollectorParts, Conditions } from './parts.ts';
import { WriterPool } from './receiving.ts';

const NEVER = new AbortController().signal;

/**
 * The collection program (SEED 212, fig. 5): hears offers, asks the planner, orders clients one after another to send,
 * receives, receipts. Faces down; knows nothing of what is above.
 */
export class Collector {
  readonly parts: CollectorParts;
  readonly book = new OrderBook();
  readonly writers: WriterPool;
  #conditions: Conditions;
  #planner: PlannerState;
  #reasons: Reasons;
  #nextChange: UnixMillis | null = null;
  readonly #bell = new Bell();
  /** Ledger writes that follow from the planner's decisions, in order. */
  #journal: Promise<void> = Promise.resolve();

  private constructor(parts: CollectorParts, conditions: Conditions) {
    this.parts = parts;
    this.#conditions = conditions;
    this.writers = new WriterPool(parts.depot);
    const now = parts.world.clock.now();
    this.#planner = newPlanner(plannerConditions(conditions), now);
    this.#reasons = step(this.#planner, { kind: 'tick' }, now).reasons;
  }

  /** Takes up the collection queue from the ledger: what was offered before a restart need not be offered again. */
  static async start(parts: CollectorParts, conditions: Conditions): Promise<Collector> {
    const collector = new Collector(parts, conditions);
    for (const offer of await listOffers(parts.ledger.db)) await collector.#takeUp(offer);
    return collector;
  }

  get conditions(): Conditions {
    return this.#conditions;
  }

  setConditions(conditions: Conditions): void {
    this.tell({ kind: 'conditions', conditions: plannerConditions(conditions) });
    this.#conditions = conditions;
  }

  /** What one client may do here. `address` is shown in the history. */
  apiFor(client: ClientId, address: string | null): CenterApi {
    return new ClientFace(this, client, address);
  }

  /** Runs the planning loop until `stop`; then every order ends, what arrived is durable, and writers are closed. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#endIdleOrders();
      this.tell({ kind: 'tick' });
      await this.#sleep(stop);
    }
    this.book.endAll();
    while (this.book.busy) await this.#bell.wait(NEVER);
    await this.#journal;
    await this.writers.close();
  }

  /** Why each outstanding snapshot is where it is. */
  reasons(): readonly Reason[] {
    return [...this.#reasons];
  }

  reasonFor(snapshot: SnapshotId): Reason | null {
    return this.#reasons.get(snapshot) ?? null;
  }

  queue(offer: Offer): void {
    const { manifest } = parseManifest(offer.manifest);
    this.tell({
      kind: 'offered',
      offer: {
        snapshot: offer.snapshot,
        client: offer.client,
        job: `${manifest.instance}/${manifest.job}`,
        sequence: manifest.sequence,
        bytes: Math.max(0, offer.wishes.bytes - offer.received),
        windows: parseWindows(offer.wishes.transfer, offer.wishes.zone),
        offeredAt: offer.offeredAt,
      },
    });
  }

  /** The only way to the planner. Carries out what it grants. */
  tell(event: PlannerEvent): void {
    const result = step(this.#planner, event, this.parts.world.clock.now());
    this.#planner = result.state;
    this.#nextChange = result.nextChange;
    this.#reasons = result.reasons;
    for (const grant of result.grants) this.#carryOut(grant);
    if (event.kind !== 'tick') this.#bell.ring();
  }

  /** Ends an order once; the planner gets its stream back. */
  endOrder(order: ActiveOrder, outcome: Outcome, code: string): void {
    if (!this.book.remove(order)) return;
    order.stop.abort(code);
    if (outcome !== 'committed') {
      this.book.send(order.client, { kind: 'stop', order: order.id, code });
      this.#record(() => this.#recordEnd(order, outcome, code));
    }
    this.tell({ kind: 'ended', snapshot: order.snapshot, outcome });
  }

  /** Called by every request of an order when it starts. */
  begin(client: ClientId, id: OrderId): ActiveOrder {
    const order = this.book.find(client, id);
    if (!order.accepted) {
      order.accepted = true;
      this.tell({ kind: 'started', snapshot: order.snapshot });
    }
    order.calls++;
    order.lastActivity = this.parts.world.clock.monotonic();
    return order;
  }

  /** Called by every request of an order when it is done: an order that was told to stop ends with its last call. */
  settle(order: ActiveOrder): void {
    order.calls--;
    order.lastActivity = this.parts.world.clock.monotonic();
    if (order.stop.signal.aborted && order.calls === 0)
      this.endOrder(order, 'paused', String(order.stop.signal.reason));
  }

  async #takeUp(offer: Offer): Promise<void> {
    try {
      this.queue(offer);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      const message = `the queued snapshot ${offer.snapshot.slice(0, 12)} cannot be planned: ${error.message}`;
      this.parts.world.monitor.event({ kind: 'alarm', code: error.code, message });
    }
  }

  #carryOut(grant: Grant): void {
    if (grant.kind === 'start') return this.#startOrder(grant);
    const order = this.book.ofSnapshot(grant.snapshot);
    if (order === null) return;
    order.stop.abort(grant.code);
    if (order.calls === 0) this.endOrder(order, 'paused', grant.code);
  }

  /** S3 of fig. 5. The order goes out once the ledger has it, unless it was stopped meanwhile. */
  #startOrder({ snapshot, client, until }: Grant & { kind: 'start' }): void {
    const { world } = this.parts;
    const id = hexOf(world.random.bytes(16)) as OrderId;
    const order: ActiveOrder = {
      id,
      client,
      snapshot,
      until,
      stop: new AbortController(),
      accepted: false,
      received: 0,
      calls: 0,
      lastActivity: world.clock.monotonic(),
    };
    this.book.add(order);
    this.#record(async () => {
      if (order.stop.signal.aborted) return;
      await this.#recordStart(order);
      this.book.send(client, { kind: 'send', order: id, snapshot, until });
    });
  }

  async #recordStart({ id, snapshot, client, until }: ActiveOrder): Promise<void> {
    const { world, ledger, center } = this.parts;
    const now = world.clock.now();
    await ledger.transaction(async (db) => {
      await appendHistory(db, snapshot, 'ordered', now, { center: center.id, client });
      await setPhase(db, { snapshot, center: center.id, phase: 'in-transit', code: 'running', until }, now);
    });
    world.monitor.event({ kind: 'ordered', client, snapshot, order: id });
  }

  async #recordEnd(order: ActiveOrder, outcome: Outcome, code: string): Promise<void> {
    const { world, ledger, center } = this.parts;
    const { snapshot } = order;
    const what = outcome === 'failed' ? 'failed' : 'paused';
    const now = world.clock.now();
    const details = { center: center.id, client: order.client, bytes: order.received, code };
    await ledger.transaction(async (db) => {
      await appendHistory(db, snapshot, what, now, details);
      await setPhase(db, { snapshot, center: center.id, phase: 'waiting', code, until: null }, now);
    });
    world.monitor.event({ kind: 'paused', snapshot, order: order.id, code, bytes: order.received });
  }

  #record(work: () => Promise<void>): void {
    this.#journal = this.#journal.then(work).catch((error: unknown) => {
      const code = isLowtideError(error) ? error.code : 'crashed';
      this.parts.world.monitor.event({
        kind: 'alarm',
        code,
        message: `the ledger could not be written: ${String(error)}`,
      });
    });
  }

  /** A client that accepted an order and sends nothing must not keep a stream. */
  #endIdleOrders(): void {
    const { world } = this.parts;
    const oldest = world.clock.monotonic() - world.limits.order_idle_ms;
    for (const order of this.book.all()) {
      if (order.lastActivity <= oldest) this.endOrder(order, 'failed', 'order-idle');
    }
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
}

function plannerConditions(conditions: Conditions): CenterConditions {
  return { windows: parseWindows(conditions.windows, conditions.zone), streams: conditions.streams };
}
