import { findCopy, setPhase } from '../ledger/copies.ts';
import { updateJob } from '../ledger/jobs.ts';
import type { Database } from '../ledger/ledger.ts';
import { chainEnd, findSnapshot } from '../ledger/snapshots.ts';
import type { CopyRow } from '../ledger/tables.ts';
import type { ErrorCode } from '../model/errors.ts';
import type { CopyState } from '../model/exchange.ts';
import { shortId, type SnapshotId } from '../model/ids.ts';
import type { UplinkWork } from './parts.ts';

/** Codes of `stuck` that speak of the own spool: no answer of a center changes them, only a receipt does. */
const OWN_DAMAGE: Partial<Record<ErrorCode, true>> = {
  'damaged-block': true,
  'block-unavailable': true,
  'damaged-manifest': true,
  'damaged-keyring': true,
  'damaged-page': true,
};

export function isOwnDamage(code: string): code is ErrorCode {
  return Object.hasOwn(OWN_DAMAGE, code);
}

export function isDamagedHere({ phase, code }: Pick<CopyRow, 'phase' | 'code'>): boolean {
  return phase === 'stuck' && isOwnDamage(code);
}

/**
 * Takes over what the center says of a copy, except for what it has no say in: that it is safe (a receipt says that)
 * and that it is closed (its owner does: what is closed leaves the spool, promise P1).
 */
export async function noteState(work: UplinkWork, state: CopyState): Promise<void> {
  const { ledger, world, center } = work;
  const { phase, snapshot } = state;
  const own = await findCopy(ledger.db, snapshot, center.id);
  if (phase === 'safe' || own === null || state.center !== center.id || isDamagedHere(own)) return;
  if (phase === 'void' && (await work.depot.voidRecord(snapshot)) === null) {
    const message = `${center.name} says that snapshot ${shortId(snapshot)} was closed, which it was not: it stays in the spool`;
    work.alarms.raise(`copy ${snapshot}`, 'bad-answer', message);
    return;
  }
  const { code, until } = state;
  await setPhase(ledger.db, { snapshot, center: center.id, phase, code, until }, world.clock.now());
  if (phase === 'behind') await needEverything(ledger.db, snapshot);
}

/**
 * A snapshot cannot be closed at a center. Whatever leans on it cannot be either, so the next one of its job must have
 * no base; unless one without base has been taken since.
 */
export async function needEverything(db: Database, snapshot: SnapshotId): Promise<void> {
  const lost = await findSnapshot(db, snapshot);
  if (lost === null) return;
  let row = await chainEnd(db, lost.instance, lost.job);
  while (row !== null && row.id !== lost.id && row.sequence > lost.sequence) {
    row = row.base === null ? null : await findSnapshot(db, row.base);
  }
  if (row?.id === lost.id) await updateJob(db, lost.job, { full_needed: 1 });
}
