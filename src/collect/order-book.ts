import { AsyncQueue } from '../model/async-queue.ts';
import { LowtideError } from '../model/errors.ts';
import type { Order } from '../model/exchange.ts';
import type { BlockId, ClientId, OrderId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { ClientPlace } from './parts.ts';
import { RateWatch } from './rate-watch.ts';

/** One order that a client was given and that has not ended. Lives in memory: after a restart there are none. */
export interface ActiveOrder {
  readonly id: OrderId;
  readonly client: ClientId;
  readonly snapshot: SnapshotId;
  readonly until: UnixMillis | null;
  /** Aborts when the order must end; the reason is a code. */
  readonly stop: AbortController;
  /** The client has made its first call. */
  accepted: boolean;
  /** One of its calls failed: it ends as failed, not as paused. */
  failed: boolean;
  /** Blocks that a commit named: their client must send them, whatever is above. */
  readonly needed: Set<BlockId>;
  /** Whether the base is here, once that was asked. */
  base: Promise<boolean> | null;
  /** Bytes a second that it may send; null: as fast as it goes. */
  rate: number | null;
  /** At a relay: bytes that may come under it, which its first stream finds out; null: whatever comes. */
  announced: number | null;
  /** There is room for them. */
  admitted: boolean;
  /** Bytes that came under this order, and those of them that are durable. */
  arrived: number;
  received: number;
  /** Bytes that were to come under it; null until its first stream. */
  owed: number | null;
  /** When the planner was told of them last, by the monotonic clock. */
  reportedAt: number;
  /** When the last of them were, by both clocks; null if there were none. */
  durable: { readonly at: UnixMillis; readonly monotonic: number } | null;
  /** When the client made its first call, by the monotonic clock; null until then. */
  beganAt: number | null;
  /** The lowest rate that it has had; null if it never had one. */
  lowestRate: number | null;
  /** Calls under way: an order ends when it was stopped and this is 0. */
  calls: number;
  /** Of these, streams of blocks. */
  streams: number;
  /** Work of the center's own under way: while there is any, nobody waits for the client. */
  working: number;
  /** By the monotonic clock. */
  lastActivity: number;
}

export function newOrder(
  grant: Pick<ActiveOrder, 'id' | 'client' | 'snapshot' | 'until' | 'rate'>,
  monotonicNow: number,
): ActiveOrder {
  return {
    ...grant,
    stop: new AbortController(),
    accepted: false,
    failed: false,
    needed: new Set(),
    base: null,
    announced: null,
    admitted: false,
    arrived: 0,
    received: 0,
    owed: null,
    reportedAt: monotonicNow,
    durable: null,
    beganAt: null,
    lowestRate: grant.rate,
    calls: 0,
    streams: 0,
    working: 0,
    lastActivity: monotonicNow,
  };
}

/** The connection of one client that is listening for orders. */
export interface Session {
  readonly client: ClientId;
  readonly place: ClientPlace;
  readonly queue: AsyncQueue<Order>;
  /** Since when it has been connected, however often it has opened a new session meanwhile. */
  readonly since: UnixMillis;
}

/** Orders that were committed are remembered for a repeated commit, this many of them. */
const COMMITTED_MAX = 1000;

/** Who is listening, and which orders are under way. */
export class OrderBook {
  readonly #orders = new Map<OrderId, ActiveOrder>();
  readonly #sessions = new Map<ClientId, Session>();
  readonly #watches = new Map<ClientId, RateWatch>();
  readonly #committed = new Map<OrderId, Pick<ActiveOrder, 'client' | 'snapshot'>>();

  /** The newest session of a client takes over; the one before is told to end. */
  openSession(place: ClientPlace, now: UnixMillis): Session {
    const { client } = place;
    const before = this.#sessions.get(client);
    before?.queue.end();
    const session = { client, place, queue: new AsyncQueue<Order>(), since: before?.since ?? now };
    this.#sessions.set(client, session);
    return session;
  }

  /** True if `session` was the client's newest: the client is offline now. */
  closeSession(session: Session): boolean {
    session.queue.end();
    if (this.#sessions.get(session.client) !== session) return false;
    this.#sessions.delete(session.client);
    return true;
  }

  /** Of these clients, or of all: they are told to end. */
  endSessions(clients: readonly ClientId[] = [...this.#sessions.keys()]): void {
    for (const client of clients) this.#sessions.get(client)?.queue.end();
  }

  send(client: ClientId, order: Order): void {
    this.#sessions.get(client)?.queue.push(order);
  }

  sessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  /** Null if it is not listening. */
  placeOf(client: ClientId): ClientPlace | null {
    return this.#sessions.get(client)?.place ?? null;
  }

  isOnline(client: ClientId): boolean {
    return this.#sessions.has(client);
  }

  add(order: ActiveOrder): void {
    this.#orders.set(order.id, order);
  }

  /** False if it had ended before. */
  remove(order: ActiveOrder): boolean {
    return this.#orders.delete(order.id);
  }

  /** @throws LowtideError `order-ended`, also if it was told to stop, and also for another client's order: nobody learns which orders there are */
  find(client: ClientId, id: OrderId): ActiveOrder {
    const order = this.#orders.get(id);
    if (order === undefined || order.client !== client) {
      throw new LowtideError('order-ended', 'this order has ended: wait for the next one');
    }
    if (order.stop.signal.aborted) throw orderEnded(order);
    return order;
  }

  /** Snapshots that are coming, or may begin to. */
  admitted(): SnapshotId[] {
    return this.all().flatMap(({ admitted, snapshot }) => (admitted ? [snapshot] : []));
  }

  ofSnapshot(snapshot: SnapshotId): ActiveOrder | null {
    for (const order of this.#orders.values()) if (order.snapshot === snapshot) return order;
    return null;
  }

  /** Outlives orders and sessions: a new one of either is no new allowance. */
  watchOf(client: ClientId): RateWatch {
    const watch = this.#watches.get(client) ?? new RateWatch();
    this.#watches.set(client, watch);
    return watch;
  }

  /** What a client may send under all its orders together, bytes a second; null: as fast as it goes. */
  rateOf(client: ClientId): number | null {
    let sum = 0;
    for (const order of this.#orders.values()) {
      if (order.client !== client) continue;
      if (order.rate === null) return null;
      sum += order.rate;
    }
    return sum;
  }

  all(): readonly ActiveOrder[] {
    return [...this.#orders.values()];
  }

  /** Its receipt may be asked for again: the answer can be lost (protocol R13). */
  rememberCommitted({ id, client, snapshot }: ActiveOrder): void {
    this.#committed.set(id, { client, snapshot });
    const [oldest] = this.#committed.keys();
    if (this.#committed.size > COMMITTED_MAX && oldest !== undefined) this.#committed.delete(oldest);
  }

  /** The snapshot that this order of the client's has committed, or null. */
  committedBy(client: ClientId, id: OrderId): SnapshotId | null {
    const order = this.#committed.get(id);
    return order?.client === client ? order.snapshot : null;
  }
}

export function orderEnded(order: ActiveOrder): LowtideError {
  const code = String(order.stop.signal.reason);
  return new LowtideError('order-ended', `this order has ended (${code}): wait for the next one`);
}
