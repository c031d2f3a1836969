import { refsPageLoader } from '../../depot/refs-pages.ts';
import { PackedKeys } from '../../backup/chunks/packed-keys.ts';
import { walkRefs } from '../../format/refs.ts';
import { copiesOf, setPhase } from '../../ledger/copies.ts';
import { appendHistory } from '../../ledger/history.ts';
import { unfinishedRuns, updateJob } from '../../ledger/jobs.ts';
import { listLosses } from '../../ledger/losses.ts';
import { receiptedBases } from '../../ledger/newest.ts';
import {
  drainable,
  findSnapshot,
  setPackGroup,
  spooledSnapshots,
  stillOwed,
} from '../../ledger/snapshots.ts';
import { supersededCopies } from '../../ledger/superseded.ts';
import type { SnapshotRow } from '../../ledger/tables.ts';
import { bytesText } from '../../model/bytes-text.ts';
import { LowtideError } from '../../model/errors.ts';
import { type CenterId, shortId, type SnapshotId } from '../../model/ids.ts';
import { DAY_MS } from '../../model/time.ts';
import { closeAt } from '../../uplink/closing.ts';
import { type AgentParts, META_GROUP } from './parts.ts';
import { dropLoss } from './loss-notes.ts';

/** So long it can be listed what was lost with a relay. */
const LOSSES_KEPT_MS = 90 * DAY_MS;

/** Bytes of data blocks in the spool. Trees and refs are the base: a cache outside the quota (DESIGN 2). */
export async function spoolBytes(parts: AgentParts): Promise<number> {
  const all = await parts.depot.usage();
  const meta = await parts.depot.usage(META_GROUP);
  return all.bytes - meta.bytes;
}

/**
 * Bytes that a new backup may spool.
 * @throws LowtideError `quota-full`: nothing spooled is ever dropped to make room
 */
export async function spoolRoom(parts: AgentParts): Promise<number> {
  const { spoolBytes: quota } = parts.settings;
  const used = await spoolBytes(parts);
  const least = parts.world.limits.chunk_bytes_max;
  if (quota - used >= least) return quota - used;
  throw new LowtideError(
    'quota-full',
    `the spool holds ${bytesText(used)} of ${bytesText(quota)} and nothing uncollected is dropped: wait for collection, or raise the quota`,
  );
}

/**
 * Frees what nobody is owed any more (SEED fig. 7, S3): the data blocks of receipted snapshots. Idempotent: a crash
 * anywhere is made up for by the next call. True if anything was freed: then call `dropOldBases`.
 */
export async function drain(parts: AgentParts): Promise<boolean> {
  const { db } = parts.ledger;
  await closeSuperseded(parts);
  const rows = await drainable(db);
  for (const row of rows) await freeSnapshot(parts, row, 'freed');
  if (rows.length === 0) return false;
  await db
    .updateTable('jobs')
    .set({ last_code: '', last_message: '' })
    .where('last_code', '=', 'quota-full')
    .execute();
  return true;
}

async function freeSnapshot(
  parts: AgentParts,
  row: SnapshotRow,
  what: 'freed' | 'discarded',
): Promise<number> {
  const { depot, ledger, world } = parts;
  const bytes = await depot.dropGroup(row.pack_group!);
  await ledger.transaction(async (db) => {
    await setPackGroup(db, row.id, null);
    await appendHistory(db, row.id, what, world.clock.now(), { bytes });
  });
  world.monitor.event({ kind: 'freed', snapshot: row.id, bytes });
  return bytes;
}

/**
 * Drops manifests and pages that are no base any more. What stays: everything spooled or still owed (a relay may have it
 * in custody, and lose it), the newest receipted snapshot of each job, the bases of these, and what tells which files were
 * lost with a relay. Never while a backup is being taken: its pages are nobody's yet.
 */
export async function dropOldBases(parts: AgentParts): Promise<void> {
  const { depot, ledger, identity, world } = parts;
  if ((await unfinishedRuns(ledger.db)).length > 0) return;
  const keep = new Set<SnapshotId>();
  for (const row of [...(await spooledSnapshots(ledger.db)), ...(await stillOwed(ledger.db))]) {
    keep.add(row.id);
    if (row.base !== null) keep.add(row.base);
  }
  for (const { id, instance } of await receiptedBases(ledger.db))
    if (instance === identity.instance) keep.add(id);
  for (const id of await toldOfLosses(parts)) keep.add(id);
  const live = new PackedKeys();
  const load = refsPageLoader(depot, world.limits);
  const old: SnapshotId[] = [];
  for await (const signed of depot.manifests()) {
    // Nobody can tell which pages are its.
    if ('error' in signed) return;
    const known = (await findSnapshot(ledger.db, signed.id)) !== null;
    if (known && !keep.has(signed.id)) {
      old.push(signed.id);
      continue;
    }
    for await (const step of walkRefs(signed.manifest.refs, load)) {
      if (step.kind === 'page') live.add(step.ref.id);
      else for (const ref of step.refs) live.add(ref.id);
    }
  }
  for (const id of old) await depot.removeManifest(id);
  await depot.compactGroup(META_GROUP, (id) => live.has(id));
}

/** What was lost with relays of late, each with the snapshots that it leans on, up to one that a center has. */
async function toldOfLosses(parts: AgentParts): Promise<SnapshotId[]> {
  const { ledger, world } = parts;
  const told: SnapshotId[] = [];
  for (const { snapshot, at } of await listLosses(ledger.db)) {
    if (world.clock.now() - at > LOSSES_KEPT_MS) {
      await dropLoss(parts, snapshot);
      continue;
    }
    for (let next: SnapshotId | null = snapshot; next !== null && !told.includes(next);) {
      told.push(next);
      const safe = (await copiesOf(ledger.db, next)).some(({ phase }) => phase === 'safe');
      next = safe ? null : ((await findSnapshot(ledger.db, next))?.base ?? null);
    }
  }
  return told;
}

/**
 * A snapshot that can never be closed at a center, because its base was lost there or its own blocks were lost here:
 * once a later complete snapshot of its job is safe at that center, its owner closes it there with a signed void record.
 */
async function closeSuperseded(parts: AgentParts): Promise<void> {
  for (const { id, center } of await supersededCopies(parts.ledger.db)) {
    await closeCopies(parts, id, [center], 'it cannot be closed, and a later snapshot is safe');
    await alarmIfNowhere(parts, id);
  }
}

/** What lies above may have said falsely that it cannot be closed: nobody must lose a snapshot without a word. */
async function alarmIfNowhere({ ledger, world }: AgentParts, id: SnapshotId): Promise<void> {
  const copies = await copiesOf(ledger.db, id);
  const row = await findSnapshot(ledger.db, id);
  if (row === null || row.pack_group === null || copies.some(({ phase }) => phase !== 'void')) return;
  const message = `snapshot ${shortId(id)} of ${row.job} is at no center, and is given up because a later one is safe`;
  world.monitor.event({ kind: 'alarm', code: 'not-collected', message });
}

/** Other centers may still get it: a snapshot leaves the spool once it is owed to none. */
async function closeCopies(
  parts: AgentParts,
  snapshot: SnapshotId,
  centers: readonly CenterId[],
  reason: string,
): Promise<void> {
  const { depot, ledger, identity, world } = parts;
  const { client, instance, signingKey } = identity;
  const now = world.clock.now();
  await closeAt({ world, depot, client, instance, signingKey }, snapshot, centers, reason);
  await ledger.transaction(async (db) => {
    for (const center of centers) {
      await setPhase(db, { snapshot, center, phase: 'void', code: 'voided', until: null }, now);
    }
    await appendHistory(db, snapshot, 'voided', now, { code: reason });
  });
  world.monitor.event({ kind: 'voided', snapshot, code: reason });
}

/**
 * The owner gives up a spooled snapshot by name (promise P1), and with it the later ones of its job, which lean on it.
 * The next snapshot of the job has no base. Never while a backup is being taken, which may lean on it.
 * @throws LowtideError `wrong-state` if it is not in the spool
 */
export async function discardSpooled(parts: AgentParts, id: SnapshotId): Promise<readonly SnapshotId[]> {
  const { ledger, identity } = parts;
  const spooled = await spooledSnapshots(ledger.db);
  const first = spooled.find((row) => row.id === id);
  if (first === undefined)
    throw new LowtideError('wrong-state', `snapshot ${shortId(id)} is not in the spool`);
  const doomed = spooled.filter(
    (row) => row.instance === identity.instance && row.job === first.job && row.sequence >= first.sequence,
  );
  await updateJob(ledger.db, first.job, { full_needed: 1 });
  for (const row of doomed.toReversed()) {
    const centers = (await copiesOf(ledger.db, row.id)).map(({ center }) => center);
    await closeCopies(parts, row.id, centers, 'discarded by its owner');
    await freeSnapshot(parts, row, 'discarded');
  }
  await dropOldBases(parts);
  return doomed.map((row) => row.id);
}
