import { checkKeyring, parseKeyring, type SignedKeyring } from '../format/keyring.ts';
import { claimDomains } from '../ledger/domains.ts';
import { isLowtideError } from '../model/errors.ts';
import type { Page } from '../model/exchange.ts';
import type { ClientId } from '../model/ids.ts';
import { rowsOf } from '../protocol/pages.ts';
import type { CollectorParts } from './parts.ts';

/** One page of a client's keyrings, oldest first; null if nobody is asked. */
export type AskKeyrings = (after: string | null) => Promise<Page<Uint8Array> | null>;

/**
 * Takes over the versions of a client's keyring that another node has and this one has not. What does not prove itself by its
 * signature is left out.
 * @returns all sound ones, those here before included, and how many are new
 * @throws LowtideError `damaged-keyring`, `forbidden` if one names a key domain that is another's
 */
export async function takeKeyrings(
  { depot, ledger }: Pick<CollectorParts, 'depot' | 'ledger'>,
  client: ClientId,
  ask: AskKeyrings,
): Promise<{ readonly sound: readonly SignedKeyring[]; readonly news: number }> {
  const here = new Map((await depot.keyrings(client)).map((ring) => [ring.hash, ring]));
  const come: SignedKeyring[] = [];
  for await (const bytes of rowsOf(ask)) {
    const ring = parseKeyring(bytes);
    if (ring.keyring.client === client && !here.has(ring.hash)) come.push(ring);
  }
  const all = [...here.values(), ...come].toSorted((a, b) => a.keyring.version - b.keyring.version);
  const sound = new Set(signedByKnown(client, all));
  const news = come.filter((ring) => sound.has(ring));
  for (const ring of news) {
    await claimDomains(ledger, ring.keyring);
    await depot.putKeyring(ring);
  }
  return { sound: [...sound], news: news.length };
}

/**
 * The versions that are signed by an instance which the client id names, or which a version before knows (format F72, F74).
 * @param rings in order of version
 */
function signedByKnown(client: ClientId, rings: readonly SignedKeyring[]): SignedKeyring[] {
  const trusted = new Set<string>([client]);
  return rings.filter((ring) => {
    const { signer, instances } = ring.keyring;
    if (!trusted.has(signer) || !isSigned(ring)) return false;
    for (const { id } of instances) trusted.add(id);
    return true;
  });
}

function isSigned(ring: SignedKeyring): boolean {
  try {
    checkKeyring(ring);
    return true;
  } catch (error) {
    if (isLowtideError(error, 'wrong-signature')) return false;
    throw error;
  }
}

/** At a relay: those of a client that nothing was collected of here. What is above may have none, or none that proves itself. */
export async function bringKeyrings(parts: CollectorParts, client: ClientId): Promise<void> {
  const { above } = parts;
  if (above === null) return;
  for (let way = 0, asked = true; asked; way++) {
    asked = false;
    try {
      const { sound } = await takeKeyrings(parts, client, async (after) => {
        const page = await above.keyrings(way, client, after);
        asked = page !== null;
        return page;
      });
      if (sound.length > 0) return;
    } catch (error) {
      if (!isLowtideError(error)) throw error;
    }
  }
}
