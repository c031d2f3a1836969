import { createHash } from 'node:crypto';
import { blocksNewIn } from '../../depot/refs-pages.ts';
import type { SignedManifest } from '../../format/manifest.ts';
import { oweCopy } from '../../ledger/copies.ts';
import { appendHistory } from '../../ledger/history.ts';
import { endRun, updateJob } from '../../ledger/jobs.ts';
import { addSnapshot } from '../../ledger/snapshots.ts';
import type { RunRow } from '../../ledger/tables.ts';
import type { CenterFace } from '../../model/exchange.ts';
import type { Job } from '../../model/jobs.ts';
import type { AgentParts } from './parts.ts';

/** The same for the same place in a chain: so a lost ledger can find a snapshot's blocks again. */
export function packGroupOf(instance: string, chain: string, sequence: number): string {
  const place = createHash('sha256').update(`${instance}/${chain}/${sequence}`).digest('hex');
  return RUN_GROUP + place.slice(0, 16);
}

/** Begins the name of every pack group that holds the data blocks of one snapshot. */
export const RUN_GROUP = 'run-';

export interface TakenSnapshot {
  readonly signed: SignedManifest;
  readonly run: RunRow;
  readonly owed: readonly CenterFace[];
  readonly base: SignedManifest | null;
  /** As it is configured; null if nobody knows any more. */
  readonly job: Job | null;
  /** Null if its data blocks have left the spool. */
  readonly packGroup: string | null;
}

/** Brings a snapshot whose manifest is in the depot into the ledger, and ends its run. Idempotent. */
export async function recordTaken(parts: AgentParts, taken: TakenSnapshot): Promise<void> {
  const { ledger, world } = parts;
  const { signed, run, owed, base, job, packGroup } = taken;
  const size = await sizeOf(parts, taken);
  const now = world.clock.now();
  const { takenAt } = signed.manifest;
  const facts = { newBytes: size.bytes, newBlocks: size.blocks, packGroup, knownAt: now, job: run.job };
  const own = job && {
    travel: { transfer: job.transfer, zone: job.zone },
    freeAfter: job.freeAfter,
    ...(job.target === undefined ? {} : { target: job.target }),
    label: job.paths.join(' '),
  };
  await ledger.transaction(async (db) => {
    await addSnapshot(db, signed, { ...facts, ...own });
    for (const center of owed) await oweCopy(db, signed.id, center.id, now);
    await appendHistory(db, signed.id, 'taken', takenAt, { bytes: size.bytes });
    await updateJob(db, run.job, { last_taken: run.started_at, ...(base === null && { full_needed: 0 }) });
    await endRun(db, run.pack_group);
  });
}

/** What has to travel, if it has not. */
async function sizeOf(
  { depot, world }: AgentParts,
  { signed, base, packGroup }: TakenSnapshot,
): Promise<{ bytes: number; blocks: number }> {
  const size = { bytes: 0, blocks: 0 };
  if (packGroup === null) return size;
  for await (const refs of blocksNewIn(depot, world.limits, signed, base)) {
    size.blocks += refs.length;
    for (const ref of refs) size.bytes += ref.length;
  }
  return size;
}
