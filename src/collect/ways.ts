import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { QueuedOffer } from './past.ts';

interface Way {
  /** By whom it is planned now. */
  client: ClientId;
  /** What each said that can bring it, with the hours and sizes of its own. */
  readonly offers: Map<ClientId, QueuedOffer>;
}

/** Who offers what: a snapshot may be had from its client and from relays, and is collected once. */
export class Ways {
  readonly #ways = new Map<SnapshotId, Way>();

  /** @returns by whom it was planned until now, if that was somebody else; the caller decides whether that changes */
  offered(offer: QueuedOffer): ClientId | null {
    const { snapshot, client } = offer;
    const known = this.#ways.get(snapshot);
    if (known === undefined) {
      this.#ways.set(snapshot, { client, offers: new Map([[client, offer]]) });
      return null;
    }
    known.offers.set(client, offer);
    return known.client === client ? null : known.client;
  }

  /** From now on it is planned by this way. */
  take({ snapshot, client }: QueuedOffer): void {
    const way = this.#ways.get(snapshot);
    if (way !== undefined) way.client = client;
  }

  forget(snapshot: SnapshotId): void {
    this.#ways.delete(snapshot);
  }

  /**
   * A client has gone: what it offered counts no more, except to wait for it where nobody else can bring that.
   * @returns what was planned by it
   */
  leave(client: ClientId): SnapshotId[] {
    const planned: SnapshotId[] = [];
    for (const [snapshot, way] of this.#ways) {
      if (way.client === client) planned.push(snapshot);
      else way.offers.delete(client);
    }
    return planned;
  }

  /** This client can bring nothing of it. */
  withdraw(snapshot: SnapshotId, client: ClientId): void {
    this.#ways.get(snapshot)?.offers.delete(client);
  }

  /** By whom it is planned. */
  clientOf(snapshot: SnapshotId): ClientId | null {
    return this.#ways.get(snapshot)?.client ?? null;
  }

  /** As it is planned now. */
  planned(snapshot: SnapshotId): QueuedOffer | null {
    const way = this.#ways.get(snapshot);
    return way?.offers.get(way.client) ?? null;
  }

  /** Every snapshot, by the way by which it is planned. */
  allPlanned(): QueuedOffer[] {
    return [...this.#ways.values()].flatMap(({ client, offers }) => offers.get(client) ?? []);
  }

  /** What somebody else has offered last who is there; null if nobody has. */
  another(snapshot: SnapshotId, isOnline: (client: ClientId) => boolean): QueuedOffer | null {
    const way = this.#ways.get(snapshot);
    if (way === undefined) return null;
    const others = [...way.offers.values()].filter(({ client }) => client !== way.client && isOnline(client));
    return others.at(-1) ?? null;
  }
}
