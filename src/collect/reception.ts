import { checkKeyring, parseKeyring, type SignedKeyring } from '../format/keyring.ts';
import { checkManifest, parseManifest, type SignedManifest } from '../format/manifest.ts';
import { findClient } from '../ledger/clients.ts';
import { findCopy, oweCopy, setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { putOffer } from '../ledger/offers.ts';
import { addSnapshot, findFork, findSnapshot } from '../ledger/snapshots.ts';
import { LowtideError } from '../model/errors.ts';
import type { Wishes } from '../model/exchange.ts';
import { type ClientId, shortId } from '../model/ids.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { CollectorParts } from './parts.ts';

export interface Received {
  readonly signed: SignedManifest;
  /**
   * `known`: receipted or void already, nothing to plan. `behind`: its base is not here and not on its way; a pull or
   * a snapshot without base must come first.
   */
  readonly kind: 'known' | 'behind' | 'queued';
}

/**
 * Reception (SEED 211, fig. 4): checks a collection request and records it with its wishes. Durable when it resolves.
 */
export async function receiveOffer(
  parts: CollectorParts,
  caller: ClientId,
  offer: { manifest: Uint8Array; keyring: Uint8Array; wishes: Wishes; address: string | null },
): Promise<Received> {
  const signed = await authentic(parts, caller, offer.manifest);
  await keepKeyring(parts, signed, offer.keyring);
  parseWindows(offer.wishes.transfer, offer.wishes.zone);
  const copy = await findCopy(parts.ledger.db, signed.id, parts.center.id);
  if (copy?.phase === 'safe' || copy?.phase === 'void') return { kind: 'known', signed };
  await alarmOnFork(parts, signed);
  const behind = !(await baseIsComing(parts, signed));
  await record(parts, signed, offer, behind);
  return { kind: behind ? 'behind' : 'queued', signed };
}

async function authentic(
  parts: CollectorParts,
  caller: ClientId,
  bytes: Uint8Array,
): Promise<SignedManifest> {
  const signed = parseManifest(bytes);
  const client = await findClient(parts.ledger.db, caller);
  if (client === null) throw new LowtideError('not-enrolled', 'this client is not enrolled here');
  if (signed.manifest.client !== caller) {
    throw new LowtideError(
      'forbidden',
      "the manifest is another client's: a client offers its own snapshots only",
    );
  }
  checkManifest(signed, client.instance_key);
  return signed;
}

/** The keyring must be the one that the manifest names; whose it is was checked with the manifest's signature. */
async function keepKeyring(parts: CollectorParts, signed: SignedManifest, bytes: Uint8Array): Promise<void> {
  const keyring: SignedKeyring = parseKeyring(bytes);
  if (keyring.hash !== signed.manifest.keyring || keyring.keyring.client !== signed.manifest.client) {
    throw new LowtideError('damaged-keyring', 'the keyring is not the one that the manifest names');
  }
  checkKeyring(keyring);
  await claimDomains(parts, keyring);
  await parts.depot.putKeyring(keyring);
}

/**
 * A key domain belongs to the client that named it first: otherwise a client could ask for the blocks of another by
 * writing that one's domain into its own keyring.
 */
async function claimDomains({ ledger }: CollectorParts, { keyring }: SignedKeyring): Promise<void> {
  for (const { domain } of keyring.epochs) {
    const fact = `domain/${domain}`;
    const owner = await ledger.fact(fact);
    if (owner === null) await ledger.setFact(fact, keyring.client);
    else if (owner !== keyring.client) {
      throw new LowtideError('forbidden', 'the keyring names a key domain that belongs to another client');
    }
  }
}

/** Two snapshots with one place in a chain: both are kept, and somebody must look (format F43). */
async function alarmOnFork(parts: CollectorParts, signed: SignedManifest): Promise<void> {
  const fork = await findFork(parts.ledger.db, signed);
  if (fork === null || (await findSnapshot(parts.ledger.db, signed.id)) !== null) return;
  const { client, job, sequence } = signed.manifest;
  parts.world.monitor.event({
    kind: 'alarm',
    code: 'sequence-fork',
    message: `client ${shortId(client)} has two snapshots number ${sequence} of job ${job}: ${shortId(fork.id)} and ${shortId(signed.id)}; both are kept`,
  });
}

async function baseIsComing(parts: CollectorParts, signed: SignedManifest): Promise<boolean> {
  const { base } = signed.manifest;
  if (base === null) return true;
  const copy = await findCopy(parts.ledger.db, base, parts.center.id);
  return copy !== null && copy.phase !== 'behind' && copy.phase !== 'void';
}

async function record(
  parts: CollectorParts,
  signed: SignedManifest,
  offer: { manifest: Uint8Array; wishes: Wishes; address: string | null },
  behind: boolean,
): Promise<void> {
  const { ledger, center, world } = parts;
  const now = world.clock.now();
  const { client, job } = signed.manifest;
  await ledger.transaction(async (db) => {
    const known = (await findSnapshot(db, signed.id)) !== null;
    const { bytes: newBytes, blocks: newBlocks } = offer.wishes;
    await addSnapshot(db, signed, { newBytes, newBlocks, packGroup: null, knownAt: now });
    await oweCopy(db, signed.id, center.id, now);
    await putOffer(db, {
      snapshot: signed.id,
      client,
      manifest: offer.manifest,
      wishes: offer.wishes,
      offeredAt: now,
    });
    const state = behind
      ? { phase: 'behind' as const, code: 'base-unknown' }
      : { phase: 'waiting' as const, code: '' };
    await setPhase(db, { snapshot: signed.id, center: center.id, ...state, until: null }, now);
    if (known) return;
    const details = { center: center.id, client, address: offer.address, bytes: newBytes };
    await appendHistory(db, signed.id, 'offered', now, details);
    world.monitor.event({ kind: 'reception', client, job, snapshot: signed.id, bytes: newBytes });
  });
}
