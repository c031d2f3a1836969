import { createHash } from 'node:crypto';
import type { BackupPlan, BackupResult } from '../backup/plan.ts';
import { takeBackup } from '../backup/take-backup.ts';
import { blocksNewIn } from '../depot/refs-pages.ts';
import type { SignedManifest } from '../format/manifest.ts';
import { oweCopy } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { endRun, jobMemory, startRun, updateJob } from '../ledger/jobs.ts';
import { addSnapshot, chainEnd } from '../ledger/snapshots.ts';
import type { RunRow, SnapshotRow } from '../ledger/tables.ts';
import { isLowtideError, LowtideError, messageOf } from '../model/errors.ts';
import type { Job } from '../model/jobs.ts';
import { pathKeyOf } from '../model/paths.ts';
import { type AgentParts, centersOwed, META_GROUP } from './agent-parts.ts';
import { spoolRoom } from './spool.ts';

/**
 * Takes one backup of a job into the spool (SEED 111, fig. 3 S2) and records whom it is owed to. The manifest in the
 * depot is the commit point; the ledger follows, and a restart between the two makes up for it (`finishRuns`).
 */
export async function takeJob(parts: AgentParts, job: Job, stop: AbortSignal): Promise<BackupResult> {
  const { world, ledger } = parts;
  const startedAt = world.clock.now();
  await jobMemory(ledger.db, job.name, startedAt);
  await updateJob(ledger.db, job.name, { last_tried: startedAt });
  try {
    const result = await takeIntoSpool(parts, job, stop);
    await updateJob(ledger.db, job.name, { last_code: '', last_message: '' });
    return result;
  } catch (error) {
    const code = isLowtideError(error) ? error.code : 'crashed';
    const message = messageOf(error);
    await updateJob(ledger.db, job.name, { last_code: code, last_message: message });
    world.monitor.event({ kind: 'take-failed', job: job.name, code, message });
    throw error;
  }
}

async function takeIntoSpool(parts: AgentParts, job: Job, stop: AbortSignal): Promise<BackupResult> {
  const { depot, ledger, identity, world } = parts;
  const room = await spoolRoom(parts);
  const end = await chainEnd(ledger.db, identity.instance, job.name);
  const sequence = (end?.sequence ?? 0) + 1;
  const run: RunRow = {
    pack_group: packGroupOf(identity.instance, job.name, sequence),
    job: job.name,
    instance: identity.instance,
    sequence,
    started_at: world.clock.now(),
  };
  const base = await baseFor(parts, job, end);
  const plan = backupPlan(parts, job, { run, end, base, room });
  await startRun(ledger.db, run);
  try {
    const result = await takeBackup(world, depot, plan, stop);
    await recordTaken(parts, result.signed, run, centersOwed(parts, job), base);
    const { signed, counts, storedBytes: spooled, complete } = result;
    const { files, bytes, problems } = counts;
    const partial = !complete;
    world.monitor.event({
      kind: 'taken',
      job: job.name,
      snapshot: signed.id,
      files,
      bytes,
      spooled,
      partial,
      problems,
    });
    return result;
  } catch (error) {
    await depot.dropGroup(run.pack_group);
    await endRun(ledger.db, run.pack_group);
    throw error;
  }
}

/** The same for the same place in a chain: so a lost ledger can find a snapshot's blocks again. */
export function packGroupOf(instance: string, job: string, sequence: number): string {
  return 'run-' + createHash('sha256').update(`${instance}/${job}/${sequence}`).digest('hex').slice(0, 16);
}

/** The job's previous snapshot, or none if a center needs everything again or it is not here any more (DESIGN 4.6). */
async function baseFor(parts: AgentParts, job: Job, end: SnapshotRow | null): Promise<SignedManifest | null> {
  const { depot, ledger, world } = parts;
  const memory = await jobMemory(ledger.db, job.name, world.clock.now());
  if (end === null || memory.full_needed === 1 || !(await depot.hasManifest(end.id))) return null;
  return await depot.manifest(end.id);
}

interface Place {
  readonly run: RunRow;
  readonly end: SnapshotRow | null;
  readonly base: SignedManifest | null;
  readonly room: number;
}

function backupPlan(parts: AgentParts, job: Job, { run, end, base, room }: Place): BackupPlan {
  const { identity, settings } = parts;
  const { keyring } = identity;
  return {
    client: identity.client,
    instance: identity.instance,
    signingKey: identity.signingKey,
    keys: keyring.keys.newest,
    keyStore: keyring.keys,
    keyring: keyring.signed.hash,
    job: job.name,
    sequence: run.sequence,
    previous: end?.id ?? null,
    base,
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

async function recordTaken(
  parts: AgentParts,
  signed: SignedManifest,
  run: RunRow,
  owed: readonly { id: Parameters<typeof oweCopy>[2] }[],
  base: SignedManifest | null,
): Promise<void> {
  const { depot, ledger, world } = parts;
  const size = { bytes: 0, blocks: 0 };
  for await (const refs of blocksNewIn(depot, world.limits, signed, base)) {
    size.blocks += refs.length;
    for (const ref of refs) size.bytes += ref.length;
  }
  const now = world.clock.now();
  const { takenAt, job } = signed.manifest;
  await ledger.transaction(async (db) => {
    const facts = { newBytes: size.bytes, newBlocks: size.blocks, packGroup: run.pack_group, knownAt: now };
    await addSnapshot(db, signed, facts);
    for (const center of owed) await oweCopy(db, signed.id, center.id, now);
    await appendHistory(db, signed.id, 'taken', takenAt, { bytes: size.bytes });
    await updateJob(db, job, { last_taken: run.started_at, ...(base === null && { full_needed: 0 }) });
    await endRun(db, run.pack_group);
  });
}

/**
 * After a restart: a run whose manifest was put is recorded, any other is swept; so are snapshots whose ledger row was
 * lost. Idempotent.
 */
export async function finishRuns(parts: AgentParts): Promise<void> {
  const { depot, ledger } = parts;
  const runs = await ledger.db.selectFrom('runs').selectAll().execute();
  const known = new Set(
    (await ledger.db.selectFrom('snapshots').select('id').execute()).map((row) => row.id),
  );
  for await (const signed of depot.manifests()) {
    if ('error' in signed || known.has(signed.id)) continue;
    await recoverSnapshot(parts, signed);
  }
  for (const run of runs) {
    const still = await ledger.db
      .selectFrom('runs')
      .select('job')
      .where('pack_group', '=', run.pack_group)
      .execute();
    if (still.length === 0) continue;
    await depot.dropGroup(run.pack_group);
    await endRun(ledger.db, run.pack_group);
  }
}

async function recoverSnapshot(parts: AgentParts, signed: SignedManifest): Promise<void> {
  const { depot, settings, world, ledger } = parts;
  const { instance, job, sequence, base, takenAt } = signed.manifest;
  if (instance !== parts.identity.instance) return;
  const known = (await settings.jobs()).find(({ name }) => name === job);
  const owed = known === undefined ? parts.upstreams.map(({ face }) => face) : centersOwed(parts, known);
  const baseManifest = base !== null && (await depot.hasManifest(base)) ? await depot.manifest(base) : null;
  if (base !== null && baseManifest === null) {
    throw new LowtideError(
      'damaged-manifest',
      `the spool lacks the base of snapshot ${signed.id.slice(0, 12)}`,
    );
  }
  await jobMemory(ledger.db, job, world.clock.now());
  const run = {
    pack_group: packGroupOf(instance, job, sequence),
    job,
    instance,
    sequence,
    started_at: takenAt,
  };
  await recordTaken(parts, signed, run, owed, baseManifest);
}
