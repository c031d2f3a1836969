import { PackedKeys } from '../../backup/chunks/packed-keys.ts';
import { SHARED_GROUP } from '../../collect/receiving.ts';
import { blocksNewIn, refsPageLoader } from '../../depot/refs-pages.ts';
import { pagesOf } from '../../format/refs.ts';
import { parseManifest, type SignedManifest } from '../../format/manifest.ts';
import { appendHistory } from '../../ledger/history.ts';
import { receiptedBases } from '../../ledger/newest.ts';
import { basesOffered, listOffers } from '../../ledger/offers.ts';
import { drainable, findSnapshot, setPackGroup, spooledBytes, stillOwed } from '../../ledger/snapshots.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { MINUTE_MS } from '../../model/time.ts';
import type { RelayParts } from './parts.ts';

/** A pack is written anew to be rid of what is dead in it, unless more than this share of it is alive. */
const MOSTLY_ALIVE = 3 / 4;

export interface RelayUsage {
  /** Of everything in the store. */
  readonly bytes: number;
  /** Of what is in custody, at most: what two snapshots share counts twice. */
  readonly custody: number;
}

export async function relayUsage({ depot, ledger }: RelayParts): Promise<RelayUsage> {
  const { bytes } = await depot.usage();
  return { bytes, custody: await spooledBytes(ledger.db) };
}

/**
 * Lets go of what every center owed has receipted: from then on its blocks are a cache, and its manifest stays only as
 * the base of what may come. Idempotent. True if anything was let go.
 */
export async function letGo(parts: RelayParts): Promise<boolean> {
  const { ledger, depot, face, world } = parts;
  const rows = await drainable(ledger.db, face.id);
  for (const row of rows) {
    await ledger.transaction(async (db) => {
      await setPackGroup(db, row.id, null);
      await appendHistory(db, row.id, 'freed', world.clock.now(), { center: face.id, bytes: row.new_bytes });
    });
    await depot.unpin(row.id);
    world.monitor.event({ kind: 'freed', snapshot: row.id, bytes: row.new_bytes });
  }
  return rows.length > 0;
}

/** To find manifests that nothing needs costs a look at every job, and they are small: it is done no more often. */
const OLD_MANIFESTS_MS = 10 * MINUTE_MS;

/** Manifests that nothing needs any more. What was left when the program ended goes after its next start. */
export class OldManifests {
  readonly #parts: RelayParts;
  #due = true;
  #nextAt = -Infinity;

  constructor(parts: RelayParts) {
    this.#parts = parts;
  }

  /**
   * @param more something was let go
   * @returns in how many ms it must be called again; null if it need not
   */
  async drop(more: boolean): Promise<number | null> {
    this.#due ||= more;
    if (!this.#due) return null;
    const { clock } = this.#parts.world;
    const wait = this.#nextAt - clock.monotonic();
    if (wait > 0) return wait;
    await dropOldManifests(this.#parts);
    this.#due = false;
    this.#nextAt = clock.monotonic() + OLD_MANIFESTS_MS;
    return null;
  }
}

/** What stays: everything still owed, the newest receipted snapshot of each job, and the bases of these and of offers. */
async function dropOldManifests({ depot, ledger, face }: RelayParts): Promise<void> {
  const keep = new Set<SnapshotId>();
  for (const row of await stillOwed(ledger.db, face.id)) {
    keep.add(row.id);
    if (row.base !== null) keep.add(row.base);
  }
  for (const base of await basesOffered(ledger.db)) keep.add(base);
  for (const { id } of await receiptedBases(ledger.db, face.id)) keep.add(id);
  for (const id of await depot.snapshots()) {
    if (!keep.has(id) && (await findSnapshot(ledger.db, id)) !== null) await depot.removeManifest(id);
  }
}

/** Drops what nobody needs, oldest first. */
export async function freeStore(parts: RelayParts, enough: number): Promise<void> {
  if (enough <= 0) return;
  const live = await liveBlocks(parts);
  if (live === null) return;
  // What is pinned is in custody and stays in any case; that it is alive spares the condemning.
  const options = { threshold: MOSTLY_ALIVE, enough };
  await parts.depot.compactGroup(SHARED_GROUP, (id) => live.has(id), options);
}

/** Blocks in custody or on their way into it, and pages of refs of the bases. Null if nobody can tell which those are. */
async function liveBlocks(parts: RelayParts): Promise<PackedKeys | null> {
  const { depot, ledger } = parts;
  const live = new PackedKeys();
  for await (const signed of depot.manifests()) {
    if ('error' in signed) continue;
    const held = ((await findSnapshot(ledger.db, signed.id))?.pack_group ?? null) !== null;
    if (held && !(await addNew(parts, signed, live))) return null;
    if (!held) await addPages(parts, signed, live);
  }
  for (const { manifest, received } of await listOffers(ledger.db)) {
    if (received > 0) await addNew(parts, parseManifest(manifest), live);
  }
  return live;
}

/** What of a snapshot is not in its base. False if some of its pages cannot be read. */
async function addNew(
  { depot, world }: RelayParts,
  signed: SignedManifest,
  live: PackedKeys,
): Promise<boolean> {
  const { base } = signed.manifest;
  const lean = base !== null && (await depot.hasManifest(base)) ? await depot.manifest(base) : null;
  try {
    for await (const refs of blocksNewIn(depot, world.limits, signed, lean)) {
      for (const ref of refs) live.add(ref.id);
    }
    return true;
  } catch (error) {
    if (isLowtideError(error)) return false;
    throw error;
  }
}

async function addPages(
  { depot, world }: RelayParts,
  signed: SignedManifest,
  live: PackedKeys,
): Promise<void> {
  try {
    const load = refsPageLoader(depot, world.limits);
    for await (const page of pagesOf(signed.manifest.refs, load)) live.add(page);
  } catch (error) {
    if (!isLowtideError(error)) throw error;
  }
}
