import { dropPass } from '../ledger/clients.ts';
import { takeLeavings } from '../ledger/leavings.ts';
import { isMember, speaksFor } from '../ledger/members.ts';
import { offersOfLeft, setSender } from '../ledger/offers.ts';
import type { ClientId } from '../model/ids.ts';
import type { Collector } from './collector.ts';
import { forgetOwn } from './own-copy.ts';

/**
 * Takes over machines' signed words that they have left a node (format F62), this one or another.
 * @param caller whose word, or whose subtree's, it is; null for what the node above shows
 * @throws LowtideError `wrong-signature`, `bad-request`, `newer-format`: then none of them counts
 */
export async function takeWordsOfLeaving(
  collector: Collector,
  words: readonly Uint8Array[],
  caller: ClientId | null,
): Promise<void> {
  const { ledger, above, world } = collector.parts;
  const { news, ended } = await ledger.transaction(async (db) => {
    const isOurs = async (client: ClientId): Promise<boolean> =>
      caller === null ? await isMember(db, client) : await speaksFor(db, caller, client);
    const taken = await takeLeavings(db, words, isOurs);
    for (const { client, via } of taken.ended) if (client === via) await dropPass(db, client);
    return taken;
  });
  const here = ended.filter(({ client, via }) => client === via);
  for (const { client, name } of here) world.monitor.event({ kind: 'left', client, name });
  if (here.length > 0) await forgetOffersOfLeft(collector);
  collector.book.endSessions(here.map(({ client }) => client));
  const below = ended.filter(({ client, via }) => client !== via && via !== caller);
  collector.mustHearAnew(below.map(({ via }) => via));
  if (news) above?.changed();
}

/** What machines offered that have left this node since comes by another way, or is not waited for. */
export async function forgetOffersOfLeft({ parts, queue }: Collector): Promise<void> {
  const { ledger } = parts;
  for (const { snapshot, client } of await offersOfLeft(ledger.db)) {
    queue.notHere(snapshot, client);
    const other = queue.senderOf(snapshot);
    if (other === null) await forgetOwn(parts, snapshot);
    else await setSender(ledger.db, snapshot, other);
  }
}
