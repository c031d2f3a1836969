import { noteConditions, type Written } from '../ledger/audit.ts';
import { setSeen } from '../ledger/clients.ts';
import { setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { isLowtideError, messageOf } from '../model/errors.ts';
import type { ClientId } from '../model/ids.ts';
import type { Outcome } from '../schedule/plan.ts';
import { type SeenStay, tellsPace, tellsStay } from '../schedule/seen.ts';
import type { ActiveOrder } from './order-book.ts';
import type { CollectorParts } from './parts.ts';
import { noteStay, noteTransfer, transferOf } from './past.ts';

/** Brings the beginnings and ends of orders, and of stays, into the ledger, one after another, in the order in which they happened. */
export class OrderJournal {
  readonly #parts: CollectorParts;
  #last: Promise<void> = Promise.resolve();

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  /** `recorded` is called once the ledger has it; not if the order was stopped before. */
  began(order: ActiveOrder, recorded: () => void): void {
    this.#record(async () => {
      if (order.stop.signal.aborted) return;
      await this.#recordStart(order);
      recorded();
    });
  }

  /** Of every end but a commit, which writes its own history. `recorded` is called once the ledger has it. */
  ended(
    order: ActiveOrder,
    outcome: Exclude<Outcome, 'committed'>,
    code: string,
    recorded: () => void,
  ): void {
    const at = this.#parts.world.clock.now();
    this.#record(async () => {
      await this.#recordEnd(order, outcome, code, at);
      recorded();
    });
  }

  /** What it came to on the wire, if that tells anything of its client. */
  sent(order: ActiveOrder): void {
    const transfer = transferOf(order);
    if (transfer === null || !tellsPace(transfer)) return;
    this.#record(() => noteTransfer(this.#parts, order.client, transfer));
  }

  /** A client was connected, and is not any more. */
  stayed(client: ClientId, stay: SeenStay): void {
    if (tellsStay(stay)) this.#record(() => noteStay(this.#parts, client, stay));
  }

  /** They are connected, or were until now. */
  seen(clients: readonly ClientId[]): void {
    const now = this.#parts.world.clock.now();
    if (clients.length > 0) this.#record(() => setSeen(this.#parts.ledger.db, clients, now));
  }

  /** What suits the node, in force from now on: what is new of that is kept, and told. */
  conditions(written: Written): void {
    const { ledger, world } = this.#parts;
    const now = world.clock.now();
    this.#record(async () => {
      for (const change of await noteConditions(ledger, written, now))
        world.monitor.event({ kind: 'changed', ...change });
    });
  }

  async settled(): Promise<void> {
    await this.#last;
  }

  async #recordStart({ id, snapshot, client, until }: ActiveOrder): Promise<void> {
    const { world, ledger, center } = this.#parts;
    const now = world.clock.now();
    await ledger.transaction(async (db) => {
      await appendHistory(db, snapshot, 'ordered', now, { center: center.id, client });
      await setPhase(db, { snapshot, center: center.id, phase: 'in-transit', code: 'running', until }, now);
    });
    world.monitor.event({ kind: 'ordered', client, snapshot, order: id });
  }

  async #recordEnd(
    order: ActiveOrder,
    outcome: Exclude<Outcome, 'committed'>,
    code: string,
    now: number,
  ): Promise<void> {
    const { world, ledger, center } = this.#parts;
    const { snapshot, client, received } = order;
    const what = outcome === 'failed' ? 'failed' : 'paused';
    await ledger.transaction(async (db) => {
      await appendHistory(db, snapshot, what, now, { center: center.id, client, bytes: received, code });
      // Whoever withdrew it has said what it is now.
      if (code === 'withdrawn') return;
      const phase = code === 'base-unknown' ? 'behind' : 'waiting';
      await setPhase(db, { snapshot, center: center.id, phase, code, until: null }, now);
    });
    world.monitor.event({ kind: 'paused', snapshot, order: order.id, code, bytes: received });
  }

  #record(work: () => Promise<void>): void {
    this.#last = this.#last.then(work).catch((error: unknown) => {
      const code = isLowtideError(error) ? error.code : 'crashed';
      const message = `the ledger could not be written: ${messageOf(error)}`;
      this.#parts.world.monitor.event({ kind: 'alarm', code, message });
    });
  }
}
