import { checkKeyring, parseKeyring, type SignedKeyring } from '../format/keyring.ts';
import { checkManifest, parseManifest, type SignedManifest } from '../format/manifest.ts';
import { findClient } from '../ledger/clients.ts';
import { type CopyPhaseChange, findCopy, oweCopy, setPhase } from '../ledger/copies.ts';
import { claimDomains } from '../ledger/domains.ts';
import { appendHistory } from '../ledger/history.ts';
import type { Database } from '../ledger/ledger.ts';
import { putOffer } from '../ledger/offers.ts';
import { addSnapshot, findFork, findSnapshot } from '../ledger/snapshots.ts';
import { LowtideError } from '../model/errors.ts';
import type { Wishes } from '../model/exchange.ts';
import { type ClientId, shortId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
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
 * @throws LowtideError `not-enrolled`, `forbidden`, `damaged-manifest`, `wrong-signature`, `damaged-keyring`,
 *   `bad-schedule`, `bad-zone`: then nothing was kept
 */
export async function receiveOffer(
  parts: CollectorParts,
  caller: ClientId,
  offer: { manifest: Uint8Array; keyring: Uint8Array; wishes: Wishes; address: string | null },
): Promise<Received> {
  const signed = await authentic(parts, caller, offer.manifest);
  const keyring = namedKeyring(signed, offer.keyring);
  parseWindows(offer.wishes.transfer, offer.wishes.zone);
  const domains = keyring.keyring.epochs.map(({ domain }) => domain);
  await claimDomains(parts.ledger, caller, domains);
  await parts.depot.putKeyring(keyring);
  await alarmOnFork(parts, signed);
  const behind = !(await baseIsComing(parts, signed));
  if (!(await record(parts, signed, offer, behind))) return { kind: 'known', signed };
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
function namedKeyring(signed: SignedManifest, bytes: Uint8Array): SignedKeyring {
  const keyring = parseKeyring(bytes);
  if (keyring.hash !== signed.manifest.keyring || keyring.keyring.client !== signed.manifest.client) {
    throw new LowtideError('damaged-keyring', 'the keyring is not the one that the manifest names');
  }
  checkKeyring(keyring);
  return keyring;
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

async function baseIsComing(
  { ledger, depot, center }: CollectorParts,
  signed: SignedManifest,
): Promise<boolean> {
  const { base } = signed.manifest;
  if (base === null) return true;
  const copy = await findCopy(ledger.db, base, center.id);
  if (copy?.phase === 'safe') return await depot.hasManifest(base);
  return copy?.phase === 'waiting' || copy?.phase === 'in-transit' || copy?.phase === 'held';
}

/** False if there is nothing left to collect. */
async function record(
  parts: CollectorParts,
  signed: SignedManifest,
  offer: { manifest: Uint8Array; wishes: Wishes; address: string | null },
  behind: boolean,
): Promise<boolean> {
  const { ledger, center, world } = parts;
  const now = world.clock.now();
  const { client, job } = signed.manifest;
  const { bytes: newBytes, blocks: newBlocks } = offer.wishes;
  const fresh = await ledger.transaction(async (db) => {
    const copy = await findCopy(db, signed.id, center.id);
    if (copy?.phase === 'safe' || copy?.phase === 'void') return null;
    await addSnapshot(db, signed, { newBytes, newBlocks, packGroup: null, knownAt: now });
    await oweCopy(db, signed.id, center.id, now);
    const { manifest, wishes, address } = offer;
    await putOffer(db, { snapshot: signed.id, client, manifest, wishes, offeredAt: now });
    await notePlace(db, { snapshot: signed.id, center: center.id }, behind, now);
    if (copy !== null) return false;
    const details = { center: center.id, client, address, bytes: newBytes };
    await appendHistory(db, signed.id, 'offered', now, details);
    return true;
  });
  if (fresh === true)
    world.monitor.event({ kind: 'reception', client, job, snapshot: signed.id, bytes: newBytes });
  return fresh !== null;
}

/** One that is being sent, and is offered again meanwhile, goes on being sent. */
async function notePlace(
  db: Database,
  copy: Pick<CopyPhaseChange, 'snapshot' | 'center'>,
  behind: boolean,
  now: UnixMillis,
): Promise<void> {
  if (behind) return setPhase(db, { ...copy, phase: 'behind', code: 'base-unknown', until: null }, now);
  const known = await findCopy(db, copy.snapshot, copy.center);
  if (known?.phase === 'in-transit') return;
  await setPhase(db, { ...copy, phase: 'waiting', code: '', until: null }, now);
}
