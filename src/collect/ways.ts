import type { Offer } from '../ledger/offers.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';

interface Way {
  /** By whom it is planned now. */
  offer: Offer;
  /** Others that have offered it since they came. */
  readonly others: Set<ClientId>;
}

/** Who offers what: a snapshot may be had from its client and from relays, and is collected once. */
export class Ways {
  readonly #ways = new Map<SnapshotId, Way>();

  /** @returns by whom it was planned until now, if that was somebody else; the caller decides whether that changes */
  offered(offer: Offer): ClientId | null {
    const known = this.#ways.get(offer.snapshot);
    if (known === undefined) this.#ways.set(offer.snapshot, { offer, others: new Set() });
    else if (known.offer.client === offer.client) known.offer = offer;
    else {
      known.others.add(offer.client);
      return known.offer.client;
    }
    return null;
  }

  /** From now on it is planned by this way. */
  take(offer: Offer): void {
    const { others } = this.#ways.get(offer.snapshot) ?? { others: new Set<ClientId>() };
    const before = this.#ways.get(offer.snapshot)?.offer.client;
    if (before !== undefined) others.add(before);
    others.delete(offer.client);
    this.#ways.set(offer.snapshot, { offer, others });
  }

  forget(snapshot: SnapshotId): void {
    this.#ways.delete(snapshot);
  }

  /** @returns what was planned by it and may be had from another */
  leave(client: ClientId): { readonly offer: Offer; readonly other: ClientId }[] {
    const orphans: { offer: Offer; other: ClientId }[] = [];
    for (const { offer, others } of this.#ways.values()) {
      others.delete(client);
      const [other] = others;
      if (offer.client === client && other !== undefined) orphans.push({ offer, other });
    }
    return orphans;
  }
}
