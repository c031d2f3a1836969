import { isDeepStrictEqual } from 'node:util';
import { checkKeyring, parseKeyring, type SignedKeyring } from '../format/keyring.ts';
import { checkManifest, parseManifest, type SignedManifest } from '../format/manifest.ts';
import { findClient } from '../ledger/clients.ts';
import { copiesOf, oweCopy, setPhase } from '../ledger/copies.ts';
import { claimDomains } from '../ledger/domains.ts';
import { appendHistory } from '../ledger/history.ts';
import type { Database } from '../ledger/ledger.ts';
import { speaksFor } from '../ledger/members.ts';
import { findOffer, putOffer } from '../ledger/offers.ts';
import { addSnapshot, findFork, findSnapshot, setAnnounced } from '../ledger/snapshots.ts';
import type { ClientRow, CopyRow } from '../ledger/tables.ts';
import { equalBytes } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { Wishes } from '../model/exchange.ts';
import { type CenterId, type ClientId, shortId, type SnapshotId } from '../model/ids.ts';
import { parseWindows } from '../schedule/windows.ts';
import { isClosed, ownCopy } from './own-copy.ts';
import type { CollectorParts } from './parts.ts';
import { requireRoom } from './quota.ts';

export interface Received {
  readonly signed: SignedManifest;
  /**
   * `known`: receipted or void already, nothing to plan. `behind`: its base is not here and not on its way; a pull or
   * a snapshot without base must come first.
   */
  readonly kind: 'known' | 'behind' | 'queued';
}

interface Request {
  readonly manifest: Uint8Array;
  readonly keyring: Uint8Array;
  readonly wishes: Wishes;
  readonly address: string | null;
}

/**
 * Reception (SEED 211, fig. 4): checks a collection request and records it with its wishes. Durable when it resolves.
 * @param caller its client, or a relay in whose subtree that is
 * @throws LowtideError `not-enrolled`, `revoked`, `forbidden`, `damaged-manifest`, `wrong-signature`, `damaged-keyring`,
 *   `bad-schedule`, `bad-zone`, `quota-full`: then nothing was kept
 */
export async function receiveOffer(
  parts: CollectorParts,
  caller: ClientId,
  offer: Request,
): Promise<Received> {
  const signed = parseManifest(offer.manifest);
  const owner = await allowedOwner(parts, caller, signed);
  const copies = await copiesOf(parts.ledger.db, signed.id);
  const waits = await waitsHere(parts, caller, signed, offer, copies);
  if (!waits) checkManifest(signed, owner.instance_key);
  const keyring = namedKeyring(signed, offer.keyring);
  if (!waits) checkKeyring(keyring);
  parseWindows(offer.wishes.transfer, offer.wishes.zone);
  const own = copies.find(({ center }) => center === parts.center.id);
  if (own === undefined || !isClosed(parts, own.phase))
    await requireRoom(parts, parts.ledger.db, caller, signed.id, offer.wishes.bytes);
  if (!waits) await claimDomains(parts.ledger, keyring.keyring);
  await parts.depot.putKeyring(keyring);
  if (!waits) await alarmOnFork(parts, signed);
  const behind = !(await baseIsComing(parts, signed));
  const isRecorded = waits && !behind;
  if (!isRecorded && !(await record(parts, caller, signed, offer, behind))) {
    const { above } = parts;
    const more = above?.owed(offer.wishes.centers).some((id) => !copies.some(({ center }) => center === id));
    // What is in custody is owed to one more center.
    if (more === true) above?.changed();
    return { kind: 'known', signed };
  }
  if (behind) return { kind: 'behind', signed };
  // Begun with the first of its blocks, the thread would be ready after the first hundred megabytes of them.
  parts.world.work.prepareToHash?.(offer.wishes.bytes);
  return { kind: 'queued', signed };
}

/**
 * Offered again, byte for byte, with the same wishes by the same sender, as all that waits is after each hello: it was
 * checked when it came first, and there is nothing new to record.
 */
async function waitsHere(
  { ledger, center, above }: CollectorParts,
  caller: ClientId,
  { id }: SignedManifest,
  { manifest, wishes }: Request,
  copies: readonly CopyRow[],
): Promise<boolean> {
  const own = copies.find((copy) => copy.center === center.id);
  if (own?.phase !== 'in-transit' && (own?.phase !== 'waiting' || own.code !== '')) return false;
  const owed = above?.owed(wishes.centers) ?? [];
  if (owed.some((each) => !copies.some((copy) => copy.center === each))) return false;
  const known = await findOffer(ledger.db, id);
  if (known === null || known.client !== caller || !equalBytes(known.manifest, manifest)) return false;
  return isDeepStrictEqual(known.wishes, wishes);
}

async function allowedOwner(
  parts: CollectorParts,
  caller: ClientId,
  signed: SignedManifest,
): Promise<ClientRow> {
  const { db } = parts.ledger;
  if (!(await speaksFor(db, caller, signed.manifest.client))) {
    throw new LowtideError(
      'forbidden',
      "the manifest is another client's: a client offers its own snapshots only, a relay those of its subtree",
    );
  }
  const client = await findClient(db, signed.manifest.client);
  if (client === null) throw new LowtideError('not-enrolled', 'this client is not enrolled here');
  if (client.revoked_at !== null) {
    throw new LowtideError('revoked', `nothing more is taken from ${client.name}: it was shut out here`);
  }
  return client;
}

/** The keyring must be the one that the manifest names; whose it is is checked with the manifest's signature. */
function namedKeyring(signed: SignedManifest, bytes: Uint8Array): SignedKeyring {
  const keyring = parseKeyring(bytes);
  if (keyring.hash !== signed.manifest.keyring || keyring.keyring.client !== signed.manifest.client) {
    throw new LowtideError('damaged-keyring', 'the keyring is not the one that the manifest names');
  }
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

async function baseIsComing(parts: CollectorParts, signed: SignedManifest): Promise<boolean> {
  const { base } = signed.manifest;
  // A relay asks above when it is sent.
  if (base === null || parts.above !== null) return true;
  const phase = (await ownCopy(parts, parts.ledger.db, base))?.phase;
  if (phase === 'waiting' || phase === 'in-transit') return true;
  return await isBaseHere(parts, base);
}

/**
 * The base rule (DESIGN 4.6): whoever closes a delta vouches for all that is in its base. A center has it; a relay has
 * it in custody still, or every center that it was owed to has receipted it. Where custody is enough for its owner, the
 * word of the relay above is too.
 */
export async function isBaseHere(parts: CollectorParts, base: SnapshotId): Promise<boolean> {
  const { ledger, depot, center } = parts;
  if (!(await depot.hasManifest(base))) return false;
  const own = await ownCopy(parts, ledger.db, base);
  const closed = own !== null && own.phase !== 'void' && isClosed(parts, own.phase);
  if (parts.above === null) return closed;
  const row = await findSnapshot(ledger.db, base);
  if (row === null) return false;
  if (row.pack_group !== null) return closed;
  const copies = (await copiesOf(ledger.db, base)).filter((copy) => copy.center !== center.id);
  // What it never had itself it has got the receipts and the refs of.
  const held = closed && row.free_after === 'custody';
  return (
    (closed || copies.some(({ phase }) => phase === 'safe')) &&
    copies.every(({ phase, code }) => phase === 'safe' || code === 'released' || (phase === 'held' && held))
  );
}

/** False if there is nothing left to collect. */
async function record(
  parts: CollectorParts,
  caller: ClientId,
  signed: SignedManifest,
  offer: Request,
  behind: boolean,
): Promise<boolean> {
  const { ledger, center, world } = parts;
  const now = world.clock.now();
  const { client, job } = signed.manifest;
  const { bytes: newBytes, blocks: newBlocks, freeAfter, target, transfer, zone } = offer.wishes;
  const fresh = await ledger.transaction(async (db) => {
    const copy = await ownCopy(parts, db, signed.id);
    const travel = { transfer, zone };
    const facts = { newBytes, newBlocks, packGroup: null, knownAt: now, travel, freeAfter };
    await addSnapshot(db, signed, target === undefined ? facts : { ...facts, target });
    for (const owed of parts.above?.owed(offer.wishes.centers) ?? []) await oweCopy(db, signed.id, owed, now);
    if (copy !== null && isClosed(parts, copy.phase)) {
      if (!(await mustComeAgain(parts, db, copy))) return null;
      await setPhase(db, { ...copy, phase: 'waiting', code: '', until: null }, now);
    }
    await requireRoom(parts, db, caller, signed.id, newBytes);
    await setAnnounced(db, signed.id, offer.wishes);
    await oweCopy(db, signed.id, center.id, now);
    const { manifest, wishes, address } = offer;
    await putOffer(db, { snapshot: signed.id, client: caller, manifest, wishes, offeredAt: now });
    await notePlace(parts, db, signed.id, behind);
    if (copy !== null) return false;
    const details = { center: center.id, client: caller, address, bytes: newBytes };
    await appendHistory(db, signed.id, 'offered', now, details);
    return true;
  });
  if (fresh === true)
    world.monitor.event({ kind: 'reception', client, job, snapshot: signed.id, bytes: newBytes });
  return fresh !== null;
}

/**
 * A relay has let go of it, because every center that it owed it to had it; by now its owner wants it at another one, to
 * which the way by which it was to come there is gone.
 */
async function mustComeAgain(
  { above, center }: CollectorParts,
  db: Database,
  { snapshot, phase }: CopyRow,
): Promise<boolean> {
  if (above === null || phase !== 'held') return false;
  const row = await findSnapshot(db, snapshot);
  if (row === null || row.pack_group !== null) return false;
  const others = (await copiesOf(db, snapshot)).filter((copy) => copy.center !== center.id);
  return others.some((copy) => copy.phase === 'waiting');
}

/** One that is being sent, and is offered again meanwhile, goes on being sent. */
async function notePlace(
  parts: CollectorParts,
  db: Database,
  snapshot: SnapshotId,
  behind: boolean,
): Promise<void> {
  const copy: { snapshot: SnapshotId; center: CenterId } = { snapshot, center: parts.center.id };
  const now = parts.world.clock.now();
  if (behind) return setPhase(db, { ...copy, phase: 'behind', code: 'base-unknown', until: null }, now);
  if ((await ownCopy(parts, db, snapshot))?.phase === 'in-transit') return;
  await setPhase(db, { ...copy, phase: 'waiting', code: '', until: null }, now);
}
