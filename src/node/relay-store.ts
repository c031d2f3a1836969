import { PackedKeys } from '../backup/packed-keys.ts';
import { SHARED_GROUP } from '../collect/receiving.ts';
import { blocksNewIn, refsPageLoader } from '../depot/refs-pages.ts';
import { walkRefs } from '../format/refs.ts';
import type { SignedManifest } from '../format/manifest.ts';
import { appendHistory } from '../ledger/history.ts';
import { listOffers } from '../ledger/offers.ts';
import {
  drainable,
  findSnapshot,
  instancesOf,
  receiptedBases,
  setPackGroup,
  spooledSnapshots,
} from '../ledger/snapshots.ts';
import { LowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';
import type { RelayParts } from './relay-parts.ts';

export interface RelayUsage {
  /** Of everything in the store. */
  readonly bytes: number;
  /** Of what is in custody, at most: what two snapshots share counts twice. */
  readonly custody: number;
}

export async function relayUsage({ depot, ledger }: RelayParts): Promise<RelayUsage> {
  const { bytes } = await depot.usage();
  const held = await spooledSnapshots(ledger.db);
  return { bytes, custody: held.reduce((sum, row) => sum + row.new_bytes, 0) };
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
  if (rows.length > 0) await dropOldManifests(parts);
  return rows.length > 0;
}

/** What stays: everything in custody, the newest receipted snapshot of each job, and the bases of these and of offers. */
async function dropOldManifests({ depot, ledger, face }: RelayParts): Promise<void> {
  const keep = new Set<SnapshotId>();
  for (const row of await spooledSnapshots(ledger.db)) {
    keep.add(row.id);
    if (row.base !== null) keep.add(row.base);
  }
  for (const { snapshot } of await listOffers(ledger.db)) {
    const base = (await findSnapshot(ledger.db, snapshot))?.base ?? null;
    if (base !== null) keep.add(base);
  }
  for (const instance of await instancesOf(ledger.db)) {
    for (const row of await receiptedBases(ledger.db, instance, face.id)) keep.add(row.id);
  }
  for await (const signed of depot.manifests()) {
    if ('error' in signed || keep.has(signed.id)) continue;
    if ((await findSnapshot(ledger.db, signed.id)) !== null) await depot.removeManifest(signed.id);
  }
}

/** Keeps the cache within its bounds, oldest packs first. */
export async function trimCache(parts: RelayParts): Promise<void> {
  const { bytes, custody } = await relayUsage(parts);
  await free(parts, bytes - custody - parts.settings.cacheBytes);
}

/**
 * @throws LowtideError `disk-full` if the store is full of what is in custody: before anything more is read, and no
 *   custody is given
 */
export async function makeRoom(parts: RelayParts): Promise<void> {
  const { storeBytes } = parts.settings;
  const { bytes } = await parts.depot.usage();
  if (bytes < storeBytes) return;
  await free(parts, bytes - storeBytes + parts.world.limits.flush_bytes);
  const after = await parts.depot.usage();
  if (after.bytes < storeBytes) return;
  throw new LowtideError(
    'disk-full',
    `${parts.face.name} holds ${after.bytes} of ${storeBytes} bytes that it could not pass on yet: it takes more when it has`,
  );
}

async function free(parts: RelayParts, enough: number): Promise<void> {
  if (enough <= 0) return;
  const live = await liveBlocks(parts);
  // What is pinned is in custody and stays in any case; that it is alive spares the condemning.
  await parts.depot.compactGroup(SHARED_GROUP, (id) => live.has(id), { threshold: 1 / 2, enough });
}

/** Blocks in custody, and pages of refs of the bases. */
async function liveBlocks({ depot, ledger, world }: RelayParts): Promise<PackedKeys> {
  const live = new PackedKeys();
  const load = refsPageLoader(depot, world.limits);
  for await (const signed of depot.manifests()) {
    if ('error' in signed) continue;
    const held = ((await findSnapshot(ledger.db, signed.id))?.pack_group ?? null) !== null;
    for await (const step of walkRefs(signed.manifest.refs, load)) if (step.kind === 'page') live.add(step.ref.id);
    if (!held) continue;
    const { base } = signed.manifest;
    const lean: SignedManifest | null =
      base !== null && (await depot.hasManifest(base)) ? await depot.manifest(base) : null;
    for await (const refs of blocksNewIn(depot, world.limits, signed, lean)) for (const ref of refs) live.add(ref.id);
  }
  return live;
}
