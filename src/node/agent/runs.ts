import type { SignedManifest } from '../../format/manifest.ts';
import { closesAt, parseVoid } from '../../format/void-record.ts';
import { setPhase } from '../../ledger/copies.ts';
import { endRun, jobMemory, unfinishedRuns } from '../../ledger/jobs.ts';
import { findSnapshot } from '../../ledger/snapshots.ts';
import type { RunRow } from '../../ledger/tables.ts';
import { isLowtideError, messageOf } from '../../model/errors.ts';
import { shortId } from '../../model/ids.ts';
import { type AgentParts, centersOwed, centersReached } from './parts.ts';
import { chainName } from './chain-name.ts';
import { packGroupOf, recordTaken, RUN_GROUP } from './recording.ts';

/**
 * A run that failed: as if it had never been. Its manifest may be there although putting it failed, so that goes first:
 * it must not speak of blocks that are gone.
 */
export async function abandonRun({ depot, ledger }: AgentParts, run: RunRow, chain: string): Promise<void> {
  for await (const signed of depot.manifests()) {
    if ('error' in signed) continue;
    const { instance, job, sequence } = signed.manifest;
    const same = instance === run.instance && job === chain && sequence === run.sequence;
    if (same && (await findSnapshot(ledger.db, signed.id)) === null) await depot.removeManifest(signed.id);
  }
  await depot.dropGroup(run.pack_group);
  await endRun(ledger.db, run.pack_group);
}

/**
 * Brings depot and ledger together: a run whose manifest was put is recorded, any other is swept. A ledger that was lost
 * is made anew from the manifests: what is in the spool is owed again, and its centers say what they have of it.
 */
export async function finishRuns(parts: AgentParts): Promise<void> {
  const { depot, ledger } = parts;
  const unknown: SignedManifest[] = [];
  let damaged = false;
  for await (const signed of depot.manifests()) {
    if ('error' in signed) {
      damaged = true;
      tellDamaged(parts, shortId(signed.id), signed.error);
    } else if ((await findSnapshot(ledger.db, signed.id)) === null) unknown.push(signed);
  }
  // The newest last: that is what a job's memory shall speak of.
  unknown.sort((a, b) => a.manifest.sequence - b.manifest.sequence);
  const groups = new Set(await depot.groups());
  for (const signed of unknown) {
    try {
      await recoverSnapshot(parts, signed, groups);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      damaged = true;
      tellDamaged(parts, shortId(signed.id), error);
    }
  }
  for (const run of await unfinishedRuns(ledger.db)) {
    await depot.dropGroup(run.pack_group);
    await endRun(ledger.db, run.pack_group);
  }
  // A group without a snapshot may be that of a damaged manifest, which its center may know.
  if (!damaged) await sweepGroups(parts);
}

async function recoverSnapshot(
  parts: AgentParts,
  signed: SignedManifest,
  groups: ReadonlySet<string>,
): Promise<void> {
  const { depot, settings, world, ledger, identity } = parts;
  const { instance, job: chain, sequence, takenAt } = signed.manifest;
  if (instance !== identity.instance) return;
  const jobs = await settings.jobs();
  const job = jobs.find((each) => chainName(identity.keyring.keys, each) === chain) ?? null;
  const name = job?.name ?? chain;
  const owed = job === null ? centersReached(parts.upstreams) : centersOwed(parts, job);
  const base = await baseOf(parts, signed);
  const group = packGroupOf(instance, chain, sequence);
  const spooled = groups.has(group) || (await needsNoData(parts, signed, base));
  await jobMemory(ledger.db, name, world.clock.now());
  const run = { pack_group: group, job: name, instance, sequence, started_at: takenAt };
  await recordTaken(parts, { signed, run, owed, base, job, packGroup: spooled ? group : null });
  const record = await depot.voidRecord(signed.id);
  if (record === null) return;
  const { voidRecord } = parseVoid(record);
  // It was given up, and its blocks were kept: that goes on until a later one is safe.
  for (const { id: center } of owed.filter(({ id }) => closesAt(voidRecord, id))) {
    const stuck = { phase: 'stuck', code: 'block-unavailable', until: null } as const;
    await setPhase(ledger.db, { snapshot: signed.id, center, ...stuck }, world.clock.now());
  }
}

/** Null also if it is not here any more: the snapshot is itself kept as a base only. */
async function baseOf({ depot }: AgentParts, { manifest }: SignedManifest): Promise<SignedManifest | null> {
  const { base } = manifest;
  return base !== null && (await depot.hasManifest(base)) ? await depot.manifest(base) : null;
}

/** One in which nothing was new has no pack group of its own. */
async function needsNoData(
  { depot }: AgentParts,
  signed: SignedManifest,
  base: SignedManifest | null,
): Promise<boolean> {
  if (base === null && signed.manifest.base !== null) return false;
  return (await depot.closure(signed, { base })).missing.length === 0;
}

/** Data blocks that no snapshot names, left by runs that a lost ledger knew of. */
async function sweepGroups({ depot, ledger }: AgentParts): Promise<void> {
  const rows = await ledger.db
    .selectFrom('snapshots')
    .select('pack_group')
    .where('pack_group', 'is not', null)
    .execute();
  const known = new Set(rows.map(({ pack_group }) => pack_group));
  for (const group of await depot.groups()) {
    if (group.startsWith(RUN_GROUP) && !known.has(group)) await depot.dropGroup(group);
  }
}

function tellDamaged({ world }: AgentParts, what: string, error: unknown): void {
  const code = isLowtideError(error) ? error.code : 'crashed';
  const message = `snapshot ${what} of the spool cannot be read: ${messageOf(error)}`;
  world.monitor.event({ kind: 'alarm', code, message });
}
