import type { BackupPlan, BackupResult } from '../../backup/plan.ts';
import { takeBackup } from '../../backup/take-backup.ts';
import type { SignedManifest } from '../../format/manifest.ts';
import type { CommandWorld } from '../../backup/command-sources.ts';
import { copiesOf } from '../../ledger/copies.ts';
import { jobMemory, startRun, unfinishedRuns, updateJob } from '../../ledger/jobs.ts';
import { chainEnd } from '../../ledger/snapshots.ts';
import type { RunRow, SnapshotRow } from '../../ledger/tables.ts';
import { type ErrorCode, isLowtideError, messageOf } from '../../model/errors.ts';
import type { Job } from '../../model/jobs.ts';
import { pathKeyOf } from '../../model/paths.ts';
import { type AgentParts, centersOwed, META_GROUP } from './parts.ts';
import { chainName } from './chain-name.ts';
import { withCommands, withHooks } from './job-programs.ts';
import { packGroupOf, recordTaken } from './recording.ts';
import { abandonRun, finishRuns } from './runs.ts';
import { spoolRoom } from './spool.ts';

/** A base whose refs cannot be read is of no use: then everything is taken again. */
const LOST_BASE: readonly ErrorCode[] = [
  'damaged-page',
  'damaged-block',
  'damaged-manifest',
  'block-unavailable',
  'no-key',
];

/**
 * Takes one backup of a job into the spool (SEED 111, fig. 3 S2) and records whom it is owed to. The manifest in the
 * depot is the commit point; the ledger follows, and `finishRuns` makes up for it if it does not.
 */
export async function takeJob(parts: AgentParts, job: Job, stop: AbortSignal): Promise<BackupResult> {
  const { world, ledger } = parts;
  const startedAt = world.clock.now();
  const { last_code: before } = await jobMemory(ledger.db, job.name, startedAt);
  await updateJob(ledger.db, job.name, { last_tried: startedAt });
  try {
    if ((await unfinishedRuns(ledger.db)).length > 0) await finishRuns(parts);
    const result = await withHooks(parts, job, stop, () => takeIntoSpool(parts, job, stop));
    await updateJob(ledger.db, job.name, { last_code: '', last_message: '' });
    return result;
  } catch (error) {
    const code = isLowtideError(error) ? error.code : 'crashed';
    const message = messageOf(error);
    await updateJob(ledger.db, job.name, { last_code: code, last_message: message });
    world.monitor.event({ kind: 'take-failed', job: job.name, code, message });
    // Nothing is dropped to make room, so somebody must hear of it; once is enough.
    if (code === 'quota-full' && before !== code) world.monitor.event({ kind: 'alarm', code, message });
    throw error;
  }
}

/** Where a new snapshot comes in its chain. */
interface Place {
  readonly chain: string;
  readonly sequence: number;
  /** The snapshot before in the chain, and its manifest if the new one may lean on it. */
  readonly previous: SnapshotRow | null;
  readonly base: SignedManifest | null;
}

async function takeIntoSpool(parts: AgentParts, job: Job, stop: AbortSignal): Promise<BackupResult> {
  const room = await spoolRoom(parts);
  const place = await placeFor(parts, job);
  const sources = await withCommands(parts, job, stop);
  const { run, result, base } = await takeAt(parts, job, { place, room, stop, sources }).finally(() =>
    sources.close(),
  );
  const { signed, counts, storedBytes: spooled, complete } = result;
  const owed = centersOwed(parts, job);
  await recordTaken(parts, { signed, run, owed, base, job, packGroup: run.pack_group });
  const { files, bytes, problems } = counts;
  const numbers = { files, bytes, spooled, partial: !complete, problems };
  parts.world.monitor.event({ kind: 'taken', job: job.name, snapshot: signed.id, ...numbers });
  return result;
}

interface Attempt {
  readonly place: Place;
  readonly room: number;
  readonly stop: AbortSignal;
  readonly sources: CommandWorld;
}

interface Taken {
  readonly run: RunRow;
  readonly result: BackupResult;
  /** What it leans on after all. */
  readonly base: SignedManifest | null;
}

/** Once more without a base if that turns out to be damaged. */
async function takeAt(parts: AgentParts, job: Job, attempt: Attempt): Promise<Taken> {
  const { ledger, world } = parts;
  const { place } = attempt;
  try {
    return await takeOnce(parts, job, attempt);
  } catch (error) {
    if (place.base === null || !isLowtideError(error, ...LOST_BASE)) throw error;
    const message = `the last snapshot of ${job.name} is damaged in the spool (${error.message}): everything is taken again`;
    world.monitor.event({ kind: 'alarm', code: error.code, message });
    await updateJob(ledger.db, job.name, { full_needed: 1 });
    return await takeOnce(parts, job, { ...attempt, place: { ...place, base: null } });
  }
}

async function takeOnce(parts: AgentParts, job: Job, attempt: Attempt): Promise<Taken> {
  const { depot, ledger, identity, world } = parts;
  const { place, room, stop, sources } = attempt;
  const { chain, sequence, base } = place;
  const { instance } = identity;
  const pack_group = packGroupOf(instance, chain, sequence);
  const run: RunRow = { pack_group, job: job.name, instance, sequence, started_at: world.clock.now() };
  await startRun(ledger.db, run);
  try {
    const plan = backupPlan(parts, job, { place, run, room });
    const roots = [...plan.roots, ...sources.paths];
    const result = await takeBackup(sources.world, depot, { ...plan, roots }, stop);
    return { run, result, base };
  } catch (error) {
    // What cannot be cleared away now is, before the next run: the ledger knows of it.
    await abandonRun(parts, run, chain).catch(() => undefined);
    throw error;
  }
}

/** A job that became private, or ceased to be, begins another chain: its numbers go on, and nothing leans across. */
async function placeFor(parts: AgentParts, job: Job): Promise<Place> {
  const { ledger, identity } = parts;
  const chain = chainName(identity.keyring.keys, job);
  const end = await chainEnd(ledger.db, identity.instance, job.name);
  const previous = end?.chain === chain ? end : null;
  const sequence = (end?.sequence ?? 0) + 1;
  return { chain, sequence, previous, base: previous === null ? null : await baseFor(parts, job, previous) };
}

/**
 * The job's previous snapshot (DESIGN 4.6); none if some center needs everything again, or was never owed that snapshot,
 * or it is not here any more.
 */
async function baseFor(parts: AgentParts, job: Job, previous: SnapshotRow): Promise<SignedManifest | null> {
  const { depot, ledger, world } = parts;
  const memory = await jobMemory(ledger.db, job.name, world.clock.now());
  if (memory.full_needed === 1) return null;
  const copies = await copiesOf(ledger.db, previous.id);
  const leanable = copies.filter(({ phase }) => !['behind', 'stuck', 'void'].includes(phase));
  const centers = new Set(leanable.map(({ center }) => center));
  if (!centersOwed(parts, job).every(({ id }) => centers.has(id))) return null;
  try {
    return await depot.manifest(previous.id);
  } catch (error) {
    if (isLowtideError(error, 'no-such-snapshot', 'damaged-manifest')) return null;
    throw error;
  }
}

function backupPlan(
  parts: AgentParts,
  job: Job,
  { place, run, room }: { place: Place; run: RunRow; room: number },
): BackupPlan {
  const { identity, settings } = parts;
  const { keyring } = identity;
  return {
    client: identity.client,
    instance: identity.instance,
    signingKey: identity.signingKey,
    keys: keyring.keys.newest,
    keyStore: keyring.keys,
    keyring: keyring.signed.hash,
    job: place.chain,
    sequence: place.sequence,
    previous: place.previous?.id ?? null,
    base: place.base,
    roots: job.paths.map(pathKeyOf),
    excludes: job.excludes,
    excludeCaches: job.excludeCaches,
    oneFileSystem: job.oneFileSystem,
    labels: job.private ? {} : { client: identity.name, roots: job.paths },
    host: settings.host,
    software: settings.software,
    spool: job.spool,
    dataGroup: run.pack_group,
    metaGroup: META_GROUP,
    quotaBytes: room,
    level: settings.compressionLevel,
  };
}
