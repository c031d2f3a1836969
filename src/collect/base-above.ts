import type { SealedBlock } from '../format/block.ts';
import { checkManifest, parseManifest, type SignedManifest } from '../format/manifest.ts';
import { openReceipt, type Receipt } from '../format/receipt.ts';
import { refsPageOf } from '../depot/refs-walk.ts';
import { findClient } from '../ledger/clients.ts';
import { copiesOf, markSafe, oweCopy } from '../ledger/copies.ts';
import { findOffer } from '../ledger/offers.ts';
import { addSnapshot, findSnapshot } from '../ledger/snapshots.ts';
import { isLowtideError } from '../model/errors.ts';
import type { CenterFace, CopyRecord } from '../model/exchange.ts';
import type { BlockId, DomainKeyId, SnapshotId } from '../model/ids.ts';
import { ownCopy } from './own-copy.ts';
import type { Above, CollectorParts } from './parts.ts';
import { receiveBlocks, type WriterPool } from './receiving.ts';
import { isBaseHere } from './reception.ts';

/** On whose behalf, and until when. */
export interface Bringing {
  readonly signed: SignedManifest;
  /** Of its client: pages of others are not taken. */
  readonly domains: ReadonlySet<DomainKeyId>;
  readonly stop: AbortSignal;
  /** Makes room for the snapshot on top: else it would be brought for nothing. */
  readonly room: () => Promise<void>;
}

interface Base {
  readonly signed: SignedManifest;
  /** Of every center that the snapshot on top of it is owed to. */
  readonly receipts: readonly { readonly receipt: Receipt; readonly bytes: Uint8Array }[];
}

/**
 * A relay that does not know the base of a snapshot which it is sent (its machine came from elsewhere, or the relay is new)
 * gets what it must have to close the snapshot over it: the base's manifest, the receipts of all centers owed, and its
 * pages of refs; none of its data. True if the base is here then; false if nobody above has all that, or says so now.
 * @throws LowtideError what the own disk says
 */
export async function bringBase(
  parts: CollectorParts,
  writers: WriterPool,
  bringing: Bringing,
): Promise<boolean> {
  const { above, ledger } = parts;
  const { base } = bringing.signed.manifest;
  if (base === null || above === null || (await isBaseHere(parts, base))) return true;
  const phase = (await ownCopy(parts, ledger.db, base))?.phase;
  // The commit will say if it has not come by then.
  if (phase === 'waiting' || phase === 'in-transit') return true;
  const centers = await centersOwed(parts, above, bringing.signed.id);
  if (centers === null) return false;
  await above.introduce();
  const found = await askFor(parts, above, bringing.signed, base, centers);
  if (found === null || bringing.stop.aborted) return false;
  await bringing.room();
  return await takeOver(parts, writers, above, bringing, found);
}

/** Null if there are none, or no way leads to one of them. */
async function centersOwed(
  { ledger, center }: CollectorParts,
  above: Above,
  snapshot: SnapshotId,
): Promise<readonly CenterFace[] | null> {
  const owed = (await copiesOf(ledger.db, snapshot)).filter(
    (copy) => copy.center !== center.id && copy.phase !== 'void' && copy.code !== 'released',
  );
  const faces = above.centers().filter(({ id }) => owed.some((copy) => copy.center === id));
  return faces.length === 0 || faces.length < owed.length ? null : faces;
}

/** Asks one way after another until every center's receipt is there. Nobody above is believed. */
async function askFor(
  parts: CollectorParts,
  above: Above,
  top: SignedManifest,
  base: SnapshotId,
  centers: readonly CenterFace[],
): Promise<Base | null> {
  const owner = await findClient(parts.ledger.db, top.manifest.client);
  if (owner === null) return null;
  let signed: SignedManifest | null = null;
  const receipts = new Map<CenterFace, Base['receipts'][number]>();
  for (let way = 0; receipts.size < centers.length; way++) {
    const page = await above.copies(way, { snapshots: [base], manifests: true });
    if (page === null) break;
    for (const row of page.rows) {
      if (row.snapshot !== base) continue;
      signed ??= manifestOf(row, top, owner.instance_key);
      const center = centers.find(({ id }) => id === row.center);
      const receipt = center === undefined ? null : receiptOf(row, top, center);
      if (center !== undefined && receipt !== null) receipts.set(center, receipt);
    }
  }
  if (signed === null || receipts.size < centers.length) return null;
  return { signed, receipts: [...receipts.values()] };
}

/** Null if it is not the owner's. */
function manifestOf(row: CopyRecord, top: SignedManifest, key: Uint8Array): SignedManifest | null {
  if (row.manifest === null) return null;
  try {
    const signed = parseManifest(row.manifest);
    if (signed.id !== row.snapshot || signed.manifest.client !== top.manifest.client) return null;
    checkManifest(signed, key);
    return signed;
  } catch (error) {
    if (isLowtideError(error)) return null;
    throw error;
  }
}

/** Null if it does not say that the center has it. */
function receiptOf(
  row: CopyRecord,
  top: SignedManifest,
  center: CenterFace,
): Base['receipts'][number] | null {
  if (row.phase !== 'safe' || row.receipt === null) return null;
  try {
    const receipt = openReceipt(row.receipt, center.receiptKey);
    const counts =
      receipt.kind === 'center' &&
      receipt.snapshot === row.snapshot &&
      receipt.client === top.manifest.client;
    return counts ? { receipt, bytes: row.receipt } : null;
  } catch (error) {
    if (isLowtideError(error)) return null;
    throw error;
  }
}

/** As a commit does, in the same order: pin, pages, manifest, then the ledger. */
async function takeOver(
  parts: CollectorParts,
  writers: WriterPool,
  above: Above,
  bringing: Bringing,
  { signed, receipts }: Base,
): Promise<boolean> {
  const { depot, ledger, world } = parts;
  await depot.pin(signed.id, signed.manifest.refs);
  const whole = await fetchPages(parts, writers, above, bringing, signed);
  if (whole) {
    await depot.putManifest(signed);
    const now = world.clock.now();
    await ledger.transaction(async (db) => {
      await addSnapshot(db, signed, { newBytes: 0, newBlocks: 0, packGroup: null, knownAt: now });
      for (const { receipt, bytes } of receipts) {
        const copy = { snapshot: signed.id, center: receipt.by };
        await oweCopy(db, copy.snapshot, copy.center, now);
        await markSafe(db, { ...copy, receipt: bytes, arrivedAt: receipt.receivedAt }, now);
      }
    });
  }
  const kept = (await findSnapshot(ledger.db, signed.id))?.pack_group ?? null;
  if (kept === null && (await findOffer(ledger.db, signed.id)) === null) await depot.unpin(signed.id);
  return whole && (await isBaseHere(parts, signed.id));
}

/** All pages of a snapshot's refs, level by level. False if some cannot be had now. */
async function fetchPages(
  parts: CollectorParts,
  writers: WriterPool,
  above: Above,
  bringing: Bringing,
  { id: scope, manifest }: SignedManifest,
): Promise<boolean> {
  const { depot, world } = parts;
  const { ids_per_message: most } = world.limits;
  const seen = new Set<BlockId>([manifest.refs.id]);
  for (let level = [...seen]; level.length > 0;) {
    const present = await depot.has(bringing.domains, level);
    const lacking = level.filter((id) => !present.has(id));
    for (let at = 0; at < lacking.length; at += most) {
      const some = lacking.slice(at, at + most);
      const got = await store(parts, writers, bringing, above.fetch(scope, some, bringing.stop));
      if (!some.every((id) => got.has(id))) return false;
    }
    const next: BlockId[] = [];
    for (const id of await childrenOf(parts, level)) {
      if (!seen.has(id)) next.push(id);
      seen.add(id);
    }
    level = next;
  }
  return true;
}

/** Ids of what is durable then. */
async function store(
  { world }: CollectorParts,
  writers: WriterPool,
  { domains, stop }: Bringing,
  from: AsyncIterable<SealedBlock>,
): Promise<ReadonlySet<BlockId>> {
  const stored = receiveBlocks(writers, {
    from,
    domains,
    world,
    stop,
    onBlock: () => {},
    working: (storing) => storing(),
    onDurable: async () => {},
  });
  return new Set((await Array.fromAsync(stored)).flat());
}

/** Of pages that are here. A block that is no page has none: the closure check will say so. */
async function childrenOf({ depot }: CollectorParts, pages: readonly BlockId[]): Promise<readonly BlockId[]> {
  const children: BlockId[] = [];
  for await (const read of depot.read(pages)) {
    if (!('bytes' in read)) continue;
    const page = refsPageOf(read.bytes);
    if (page.kind === 'inner') for (const { id } of page.children) children.push(id);
  }
  return children;
}
