import { passedBy } from '../ledger/owed.ts';
import { isLowtideError } from '../model/errors.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import { everMeet, parseWindows } from '../schedule/windows.ts';
import { plannedOffer } from './conditions.ts';
import type { OrderBook } from './order-book.ts';
import { forgetOwn } from './own-copy.ts';
import type { CollectorParts, Conditions } from './parts.ts';
import type { QueuedOffer } from './past.ts';
import type { Planning } from './planning.ts';
import { Ways } from './ways.ts';

export interface QueueParts {
  readonly book: OrderBook;
  readonly planning: Planning;
  /** The line by which a client comes; null for none, and for one that is not here. */
  readonly lineOf: (client: ClientId) => string | null;
  readonly conditions: () => Conditions;
}

/** What shall be collected, and from whom. */
export class Queue {
  readonly #parts: CollectorParts;
  readonly #around: QueueParts;
  readonly #ways = new Ways();

  constructor(parts: CollectorParts, around: QueueParts) {
    this.#parts = parts;
    this.#around = around;
  }

  /**
   * One that comes two ways (a roaming laptop, two relays) is collected from whoever offered it last, unless it is being
   * sent by another already, or the hours of that way never meet ours and those of the other do.
   * @throws LowtideError `bad-schedule`, `bad-zone`
   */
  put(offer: QueuedOffer): void {
    const planned = this.#ways.planned(offer.snapshot);
    if (this.#ways.offered(offer) === null) return this.#plan(offer);
    if (this.#around.book.ofSnapshot(offer.snapshot) !== null) return;
    if (planned === null || this.#isEverOpen(offer) || !this.#isEverOpen(planned)) this.#redirect(offer);
  }

  #isEverOpen({ wishes }: QueuedOffer): boolean {
    const { windows, zone } = this.#around.conditions();
    const now = this.#parts.world.clock.now();
    return everMeet(parseWindows(wishes.transfer, wishes.zone), parseWindows(windows, zone), now);
  }

  /** From the ledger, as it was before a restart. */
  takeUp(offers: readonly QueuedOffer[]): void {
    for (const offer of offers) {
      try {
        this.put(offer);
      } catch (error) {
        if (!isLowtideError(error)) throw error;
        const message = `the queued snapshot ${offer.snapshot.slice(0, 12)} cannot be planned: ${error.message}`;
        this.#parts.world.monitor.event({ kind: 'alarm', code: error.code, message });
      }
    }
  }

  #redirect(offer: QueuedOffer): void {
    this.#ways.take(offer);
    this.#around.planning.tell({ kind: 'withdrawn', snapshot: offer.snapshot });
    this.#plan(offer);
  }

  #plan(offer: QueuedOffer): void {
    const { lineOf, conditions } = this.#around;
    const planned = plannedOffer(offer, lineOf(offer.client), conditions());
    this.#around.planning.tell({ kind: 'offered', offer: planned });
  }

  /** Targets are others now (S69). */
  planAnew(): void {
    for (const offer of this.#ways.allPlanned()) this.#plan(offer);
  }

  /** A client has gone: what it had offered comes by another way, if there is one. */
  leave(client: ClientId): void {
    for (const snapshot of this.#ways.leave(client)) this.reroute(snapshot);
  }

  /** What is planned by a client that has gone comes by another way, if there is one, once its last call is over. */
  reroute(snapshot: SnapshotId): void {
    const { book } = this.#around;
    const client = this.#ways.clientOf(snapshot);
    if (client === null || book.isOnline(client) || book.ofSnapshot(snapshot) !== null) return;
    const other = this.#ways.another(snapshot, (each) => book.isOnline(each));
    if (other !== null) this.#redirect(other);
  }

  /**
   * Its client has nothing of it to send: it comes by another way, or is not waited for before it is offered again. What
   * comes after it must not wait for what may never come.
   */
  notHere(snapshot: SnapshotId, client: ClientId): void {
    this.#ways.withdraw(snapshot, client);
    if (this.#ways.clientOf(snapshot) !== client) return;
    const other = this.#ways.another(snapshot, (each) => this.#around.book.isOnline(each));
    if (other === null) this.drop(snapshot);
    else this.#redirect(other);
  }

  /** Whom it is planned to come from; null if it is not planned. */
  senderOf(snapshot: SnapshotId): ClientId | null {
    return this.#ways.clientOf(snapshot);
  }

  /** Collects nothing more of it. */
  drop(snapshot: SnapshotId): void {
    this.#ways.forget(snapshot);
    this.#around.planning.tell({ kind: 'withdrawn', snapshot });
  }

  /**
   * At a relay: what has come to all centers by another way while it was waited for here is nobody's to send any more. An
   * order for it is over, too, unless a call is under way: its client has nothing to send, and would be ordered again and again.
   */
  async dropPassedBy(): Promise<void> {
    const { ledger, center } = this.#parts;
    for (const snapshot of await passedBy(ledger.db, center.id)) {
      if ((this.#around.book.ofSnapshot(snapshot)?.calls ?? 0) > 0) continue;
      this.drop(snapshot);
      await forgetOwn(this.#parts, snapshot);
    }
  }
}
