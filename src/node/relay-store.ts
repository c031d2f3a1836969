import { PackedKeys } from '../backup/packed-keys.ts';
import { SHARED_GROUP } from '../collect/receiving.ts';
import { blocksNewIn, refsPageLoader } from '../depot/refs-pages.ts';
import { pagesOf } from '../format/refs.ts';
import { parseManifest, type SignedManifest } from '../format/manifest.ts';
import { appendHistory } from '../ledger/history.ts';
import { receiptedBases } from '../ledger/newest.ts';
import { basesOffered, listOffers } from '../ledger/offers.ts';
import { drainable, findSnapshot, setPackGroup, spooledBytes, stillOwed } from '../ledger/snapshots.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';
import { MINUTE_MS } from '../model/time.ts';
import type { RelayParts } from './relay-parts.ts';

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

/**
 * The store's bounds. To find out what may go costs a walk over all that is in custody, so it is tried only if more can
 * have become free since the last try.
 */
export class StoreRoom {
  readonly #parts: RelayParts;
  /** Bytes beyond the cache's bounds that the last try left, because they live or their packs are mostly alive. */
  #left = 0;
  /** How full the store was when nothing could go. */
  #full: RelayUsage | null = null;

  constructor(parts: RelayParts) {
    this.#parts = parts;
  }

  /** Keeps the cache within its bounds, give or take a pack, oldest first. */
  async trimCache(): Promise<void> {
    const { world } = this.#parts;
    const excess = await this.#excess();
    this.#left = Math.min(this.#left, Math.max(0, excess));
    if (excess < this.#left + world.limits.pack_bytes) return;
    await free(this.#parts, excess);
    this.#left = Math.max(0, await this.#excess());
  }

  /**
   * Whether blocks that pass by may be kept. They may displace older ones, but not faster than those are trimmed, and
   * never what custody needs.
   */
  async mayCache(): Promise<boolean> {
    const { settings, world, depot } = this.#parts;
    const { cacheBytes, storeBytes } = settings;
    const { bytes } = await depot.usage();
    if (cacheBytes === 0 || bytes >= storeBytes) return false;
    return (await this.#excess()) < this.#left + 2 * world.limits.pack_bytes;
  }

  /**
   * @throws LowtideError `store-full` if the store is full of what is in custody: before anything more is read, and no
   *   custody is given
   */
  async makeRoom(): Promise<void> {
    const { settings, world, face, depot } = this.#parts;
    const { storeBytes } = settings;
    const { bytes } = await depot.usage();
    if (bytes < storeBytes) return;
    const before = await relayUsage(this.#parts);
    const tried = this.#full?.bytes === before.bytes && this.#full.custody === before.custody;
    if (!tried) await free(this.#parts, bytes - storeBytes + world.limits.flush_bytes);
    const after = await relayUsage(this.#parts);
    this.#full = after;
    if (after.bytes < storeBytes) return;
    const message = `${face.name} holds ${mebibytes(after.bytes)} of ${mebibytes(storeBytes)} that it could not pass on yet: it takes more when it has`;
    if (!tried) world.monitor.event({ kind: 'alarm', code: 'store-full', message });
    throw new LowtideError('store-full', message);
  }

  /** Whether the next `makeRoom` would throw, as far as is known; what it holds, for people. */
  async fullness(): Promise<{ readonly holds: boolean; readonly text: string }> {
    const { storeBytes } = this.#parts.settings;
    const { bytes, custody } = await relayUsage(this.#parts);
    const full = this.#full;
    const holds = bytes >= storeBytes && full?.bytes === bytes && full.custody === custody;
    return {
      holds,
      text: `${mebibytes(bytes)} of ${mebibytes(storeBytes)}, ${mebibytes(custody)} of it in custody`,
    };
  }

  async #excess(): Promise<number> {
    const { bytes, custody } = await relayUsage(this.#parts);
    return bytes - custody - this.#parts.settings.cacheBytes;
  }
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

async function free(parts: RelayParts, enough: number): Promise<void> {
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
