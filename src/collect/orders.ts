import { hexOf } from '../model/bytes.ts';
import { Bell } from '../model/bell.ts';
import { bytesText } from '../model/bytes-text.ts';
import { LowtideError } from '../model/errors.ts';
import type { ClientId, OrderId } from '../model/ids.ts';
import { SECOND_MS } from '../model/time.ts';
import type { Grant, Outcome } from '../schedule/plan.ts';
import type { World } from '../world/ports.ts';
import { type ActiveOrder, newOrder, type OrderBook } from './order-book.ts';
import type { OrderJournal } from './order-journal.ts';
import type { CollectorParts } from './parts.ts';
import type { Grants, Planning } from './planning.ts';

/** A block on the slowest line that is worth a stream comes at this pace; the transport watches the bytes of it. */
const SLOWEST_BYTES_PER_SECOND = 8 * 1024;
/** The planner hears of an order under way so often: well before its last block, so that a line is not idle after it (S58). */
const REPORT_MS = SECOND_MS;
/** Calls that are under way when the collector stops have this long to end by themselves. */
const LAST_CALLS_MS = 10 * SECOND_MS;

export interface OrdersParts {
  readonly book: OrderBook;
  readonly planning: Planning;
  readonly journal: OrderJournal;
  /** Told of an order that ended before its snapshot was closed. */
  readonly unfinished: (order: ActiveOrder) => void;
}

/** Orders from grant to end: each gets its calls, is watched, and ends once. */
export class Orders {
  readonly #world: World;
  readonly #journal: OrderJournal;
  readonly #around: OrdersParts;
  /** Calls under way, those of orders that have ended included. */
  #calls = 0;
  readonly #callBell = new Bell();

  constructor(parts: CollectorParts, around: OrdersParts) {
    this.#world = parts.world;
    this.#journal = around.journal;
    this.#around = around;
  }

  carryOut({ grants, rates }: Grants): void {
    const { book } = this.#around;
    const granted = new Map(
      rates.map(({ snapshot, bytesPerSecond }) => [snapshot, wholeRate(bytesPerSecond)]),
    );
    for (const grant of grants) {
      if (grant.kind === 'start') this.#start(grant, granted.get(grant.snapshot) ?? null);
      else this.#stop(grant);
    }
    for (const [snapshot, rate] of granted) {
      const order = book.ofSnapshot(snapshot);
      if (order === null || order.rate === rate) continue;
      order.rate = rate;
      if (rate !== null) order.lowestRate = Math.min(order.lowestRate ?? Infinity, rate);
      book.send(order.client, { kind: 'rate', order: order.id, rate });
    }
  }

  #stop({ snapshot, code }: Grant & { kind: 'stop' }): void {
    const order = this.#around.book.ofSnapshot(snapshot);
    if (order === null) return;
    order.stop.abort(code);
    if (order.calls === 0) this.end(order, 'paused', String(order.stop.signal.reason));
  }

  /** S3 of fig. 5. The order goes out once the ledger has it, unless it was stopped meanwhile. */
  #start({ snapshot, client, until }: Grant & { kind: 'start' }, rate: number | null): void {
    const { random, clock } = this.#world;
    const { book } = this.#around;
    const id = hexOf(random.bytes(16)) as OrderId;
    const order = newOrder({ id, client, snapshot, until, rate }, clock.monotonic());
    book.add(order);
    this.#journal.began(order, () => {
      book.send(client, { kind: 'send', order: id, snapshot, until, rate: order.rate });
    });
  }

  /** Ends an order once; the planner gets its stream back. */
  end(order: ActiveOrder, outcome: Outcome, code: string): void {
    const { book, planning, unfinished } = this.#around;
    if (!book.remove(order)) return;
    order.stop.abort(code);
    this.#journal.sent(order);
    if (outcome === 'committed') book.rememberCommitted(order);
    else {
      book.send(order.client, { kind: 'stop', order: order.id, code });
      // Its sender has asked already, before this was written: why it waits now would be old news for an hour.
      const news = (): void => book.send(order.client, { kind: 'news', snapshots: [order.snapshot] });
      this.#journal.ended(order, outcome, code, outcome === 'failed' ? news : () => undefined);
      // What arrived and was not made durable has to come again.
      this.#report(order, order.received);
    }
    planning.tell({ kind: 'ended', snapshot: order.snapshot, outcome });
    if (outcome !== 'committed') unfinished(order);
  }

  /**
   * Called by every request of an order when it starts.
   * @throws LowtideError `order-ended`
   */
  begin(client: ClientId, id: OrderId): ActiveOrder {
    const order = this.#around.book.find(client, id);
    if (!order.accepted) {
      order.accepted = true;
      order.beganAt = this.#world.clock.monotonic();
      this.#around.planning.tell({ kind: 'started', snapshot: order.snapshot });
    }
    order.calls++;
    this.#calls++;
    this.#touch(order);
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
    this.#touch(order);
    if (failure !== null && !order.stop.signal.aborted) {
      order.failed = true;
      order.stop.abort(failure);
    }
    const { aborted, reason } = order.stop.signal;
    if (aborted && order.calls === 0) {
      this.end(order, order.failed ? 'failed' : 'paused', String(reason));
    }
    this.#callBell.ring();
  }

  /**
   * A block has come. Whoever sends far more than it was granted takes it from others: it is stopped and waits.
   * @throws LowtideError `too-large` if more comes than was announced: room was made for that and for no more
   */
  arrived(order: ActiveOrder, bytes: number): void {
    this.#touch(order);
    order.arrived += bytes;
    this.#requireAnnounced(order);
    if (order.lastActivity - order.reportedAt >= REPORT_MS) this.#report(order, order.arrived);
    const { block_bytes_max, flush_bytes } = this.#world.limits;
    const slack = 2 * block_bytes_max + flush_bytes;
    const { client, lastActivity } = order;
    const { book, planning } = this.#around;
    if (!book.watchOf(client).came(bytes, book.rateOf(client), slack, lastActivity)) return;
    planning.tell({ kind: 'misbehaved', client });
    if (!order.stop.signal.aborted) order.stop.abort('client-misbehaved');
  }

  #requireAnnounced({ client, arrived, announced }: ActiveOrder): void {
    if (announced === null || arrived <= announced) return;
    this.#around.planning.tell({ kind: 'misbehaved', client });
    throw new LowtideError(
      'too-large',
      `more comes of this snapshot than the ${bytesText(announced)} that were announced: no more of it is taken in this order`,
    );
  }

  /** @param bytes of its snapshot that are not durable yet, as far as anybody can say */
  owes(order: ActiveOrder, bytes: number): void {
    order.owed = bytes + order.received;
    this.#report(order, order.arrived);
  }

  /** @param came bytes that need not come again */
  #report(order: ActiveOrder, came: number): void {
    if (order.owed === null) return;
    order.reportedAt = this.#world.clock.monotonic();
    const bytes = Math.max(0, order.owed - came);
    this.#around.planning.tell({ kind: 'progress', snapshot: order.snapshot, bytes });
  }

  #touch(order: ActiveOrder): void {
    order.lastActivity = this.#world.clock.monotonic();
  }

  /** Work of the center's own in an order: the client is not to blame for the time that it takes. */
  async working<T>(order: ActiveOrder, work: () => Promise<T>): Promise<T> {
    order.working++;
    try {
      return await work();
    } finally {
      order.working--;
      this.#touch(order);
    }
  }

  /** A client that accepted an order and sends nothing must not keep a stream. */
  endIdle(): void {
    const now = this.#world.clock.monotonic();
    for (const order of this.#around.book.all()) {
      const idle = order.working === 0 && now - order.lastActivity >= this.#idleMs(order);
      if (idle) this.end(order, 'failed', 'order-idle');
    }
  }

  /** Between its calls a client has little to do; within a stream it may be sending one large block. */
  #idleMs({ streams }: ActiveOrder): number {
    const { order_idle_ms, block_bytes_max } = this.#world.limits;
    return order_idle_ms + (streams > 0 ? (block_bytes_max / SLOWEST_BYTES_PER_SECOND) * SECOND_MS : 0);
  }

  /** Everything that happened is in the ledger; a client that reads no acknowledgement must not keep the center from stopping. */
  async lastCalls(): Promise<void> {
    const over = new AbortController();
    const late = this.#world.clock.sleep(LAST_CALLS_MS, over.signal).then(() => over.abort());
    while (this.#calls > 0 && !over.signal.aborted) await this.#callBell.wait(over.signal);
    over.abort();
    await late;
    await this.#journal.settled();
  }
}

/** Whole bytes go over the wire. */
const wholeRate = (rate: number | null): number | null =>
  rate === null ? null : Math.max(0, Math.round(rate));
