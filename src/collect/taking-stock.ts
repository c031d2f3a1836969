import { findOffer, type Offer } from '../ledger/offers.ts';
import type { Collector } from './collector.ts';
import type { ActiveOrder } from './order-book.ts';
import type { Above } from './parts.ts';
import { requireRoom } from './quota.ts';

/**
 * How much is still to come under an order, and whether there is room: when a stream begins, and after each group of blocks
 * by what has come, whatever was said that would.
 * @throws LowtideError `store-full`, `quota-full`
 */
export async function takeStock({ parts, orders }: Collector, order: ActiveOrder): Promise<void> {
  const { db } = parts.ledger;
  const offer = await findOffer(db, order.snapshot);
  if (offer !== null) {
    orders.owes(order, offer.wishes.bytes - offer.received);
    if (parts.above !== null) await keepWithin(parts.above, order, offer);
  }
  await requireRoom(parts, db, order.client, order.snapshot, offer?.received ?? 0);
}

/** Room was made for what was announced: what was lost here and comes again may be more, and so may what is announced now. */
async function keepWithin(above: Above, order: ActiveOrder, { received, wishes }: Offer): Promise<void> {
  const more = wishes.bytes > (order.announced ?? 0) || received > wishes.bytes;
  order.announced = wishes.bytes;
  if (more || !order.admitted) await makeRoom(above, order);
}

/** @throws LowtideError `store-full` */
export async function makeRoom(above: Above, order: ActiveOrder): Promise<void> {
  await above.makeRoom({ snapshot: order.snapshot, admit: () => (order.admitted = true) });
}
