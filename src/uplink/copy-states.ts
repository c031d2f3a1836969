import { closesAt, parseVoid } from '../format/void-record.ts';
import { copiesOf, copiesOfEach, findCopy, setExpected, setHops, setPhase } from '../ledger/copies.ts';
import { custodiesOf } from '../ledger/custodies.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { CopyRow } from '../ledger/tables.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { CopyPhase, CopyRecord, CopyState } from '../model/exchange.ts';
import { type CenterId, shortId, type SnapshotId } from '../model/ids.ts';
import { isClosedAt } from './closing.ts';
import { idsOf, type UplinkWork } from './parts.ts';

/** Codes of `stuck` that speak of the own spool: no answer of a center changes them, only a receipt does. */
const OWN_DAMAGE: Partial<Record<ErrorCode, true>> = {
  'damaged-block': true,
  'block-unavailable': true,
  'damaged-manifest': true,
  'damaged-keyring': true,
  'damaged-page': true,
};

/** It is here only, as far as whoever says so knows. */
const NOT_YET: readonly CopyPhase[] = ['waiting', 'in-transit'];

export function isOwnDamage(code: string): code is ErrorCode {
  return Object.hasOwn(OWN_DAMAGE, code);
}

export function isDamagedHere({ phase, code }: Pick<CopyRow, 'phase' | 'code'>): boolean {
  return phase === 'stuck' && isOwnDamage(code);
}

/** Copies of a snapshot that this way leads to and that are not there yet. */
export async function openCopies(work: UplinkWork, snapshot: SnapshotId): Promise<CopyRow[]> {
  return openOf(work, await copiesOf(work.ledger.db, snapshot));
}

/** Of each of these; of what is nowhere open there is none. */
export async function openCopiesOfEach(
  work: UplinkWork,
  snapshots: readonly SnapshotId[],
): Promise<Map<SnapshotId, CopyRow[]>> {
  const copies = openOf(work, await copiesOfEach(work.ledger.db, snapshots));
  return Map.groupBy(copies, ({ snapshot }) => snapshot);
}

function openOf({ centers }: UplinkWork, copies: readonly CopyRow[]): CopyRow[] {
  const led = new Set(idsOf(centers));
  return copies.filter(({ center, phase }) => led.has(center) && phase !== 'safe' && phase !== 'void');
}

/** Whether it was ever owed to a center that this way leads to: it may have come another way since, or have been closed. */
export async function wasOwed({ ledger, centers }: UplinkWork, snapshot: SnapshotId): Promise<boolean> {
  const copies = await copiesOf(ledger.db, snapshot);
  return copies.some((copy) => centers.some(({ id }) => id === copy.center));
}

/**
 * Takes over what the node above says of a copy, except for what it has no say in: that it is safe (a receipt says that),
 * that a relay has it (its own receipt says that) and that it is closed (its owner does: what is closed leaves the spool,
 * promise P1).
 */
export async function noteState(work: UplinkWork, state: CopyState): Promise<void> {
  const own = await findCopy(work.ledger.db, state.snapshot, state.center);
  if (own !== null) await changeState(work, own, state);
}

async function changeState(
  work: UplinkWork,
  own: CopyRow,
  state: CopyState,
  closing?: Uint8Array,
): Promise<void> {
  const { ledger, world, upstream } = work;
  const { phase, snapshot, center } = state;
  // One that is closed here stays so; it may have been while the question was under way.
  if (phase === 'safe' || own.phase === 'void' || isDamagedHere(own)) return;
  if (!work.centers.some(({ id }) => id === center)) return;
  if (phase === 'void' && !(await isClosedHere(work, snapshot, center))) {
    if (closing !== undefined && (await isTrueWord(work, state, closing))) return;
    const message = `${upstream.name} says that snapshot ${shortId(snapshot)} was closed, which it was not: it stays in the spool`;
    work.alarms.raise(`copy ${snapshot}`, 'bad-answer', message);
    return;
  }
  // That this way has not got it says nothing new while a relay has, perhaps this one since it was asked.
  if (
    own.phase === 'held' &&
    NOT_YET.includes(phase) &&
    !(await isGivenUp(work, state)) &&
    (await isInCustody(work, snapshot))
  )
    return;
  if (NOT_YET.includes(phase) && (await isLostForGood(work, own))) return;
  const believed = phase === 'held' && !(await isHeldAbove(work, snapshot)) ? 'waiting' : phase;
  if (isExpectedAnew(own, state)) await setExpected(ledger.db, state, state.expected ?? null);
  // Whether the own spool is damaged is not for others to say.
  const code = isOwnDamage(state.code) ? 'bad-answer' : state.code;
  const now = world.clock.now();
  const change = {
    snapshot,
    center,
    phase: believed,
    code,
    until: state.until,
    holder: believed === 'held' ? state.holder : null,
    // Since when a relay cannot pass it on is for that relay to say, if it is past.
    ...(believed === 'held' && code === 'center-unreachable' && { since: Math.min(state.since, now) }),
  };
  const news = isAnother(own, change);
  if (news) await setPhase(ledger.db, change, now);
  if (code === 'no-route') alarmNoRoute(work, center);
  if (believed === 'behind' || code === 'custody-lost') await work.sender.behind(ledger.db, snapshot);
  if (!news) return;
  work.onChange(snapshot);
}

/**
 * Its owner has closed it for good. With content still in the spool it is owed to some center: what was closed at one must
 * not be taken for closed at another.
 */
async function isClosedHere(
  { depot, ledger }: UplinkWork,
  snapshot: SnapshotId,
  center: CenterId,
): Promise<boolean> {
  if (!(await isClosedAt(depot, snapshot, center))) return false;
  return ((await findSnapshot(ledger.db, snapshot))?.pack_group ?? null) === null;
}

/** Its owner has closed it at that center, and this node has not heard of it from below. */
async function isTrueWord(
  { sender }: UplinkWork,
  { snapshot, center }: CopyState,
  closing: Uint8Array,
): Promise<boolean> {
  try {
    if (!closesAt(parseVoid(closing).voidRecord, center)) return false;
  } catch (error) {
    if (isLowtideError(error)) return false;
    throw error;
  }
  return await sender.closedAbove(snapshot, closing);
}

/** With the way that it took. */
export async function noteRecord(work: UplinkWork, record: CopyRecord): Promise<void> {
  const { ledger } = work;
  const own = await findCopy(ledger.db, record.snapshot, record.center);
  if (own === null) return;
  if (cameAnotherWay(own, record)) await setHops(ledger.db, record, record.hops);
  await changeState(work, own, record, record.closing);
}

/** Codes that something is done about each time that they are told. */
const NEVER_OLD: readonly string[] = ['no-route', 'custody-lost'];

/**
 * That nothing is to be done about a record, which is true of most: they are told again and again. False where more than
 * the copy has to be looked at.
 * @param own of the same snapshot and center, not safe and not void
 * @param held the node above has it in custody, as far as is known
 */
export function isOldNews(own: CopyRow, record: CopyRecord, held: boolean): boolean {
  if (isDamagedHere(own) || isOwnDamage(record.code) || NEVER_OLD.includes(record.code)) return false;
  if (record.phase !== 'waiting' && record.phase !== 'in-transit' && !(record.phase === 'held' && held))
    return false;
  const change = { ...record, holder: record.phase === 'held' ? record.holder : null };
  return !isAnother(own, change) && !isExpectedAnew(own, record) && !cameAnotherWay(own, record);
}

type Standing = Pick<CopyRow, 'phase' | 'code' | 'until' | 'holder'>;

const isAnother = (own: Standing, { phase, code, until, holder }: Standing): boolean =>
  phase !== own.phase || code !== own.code || until !== own.until || holder !== own.holder;

const isExpectedAnew = (own: CopyRow, { expected = null }: CopyState): boolean =>
  JSON.stringify(expected) !== (own.expected ?? 'null');

const cameAnotherWay = (own: CopyRow, { hops }: CopyRecord): boolean =>
  hops.length > 0 && own.hops !== JSON.stringify(hops);

/** What is owed to a center cannot come there by this way. */
export function alarmNoRoute({ upstream, centers, alarms }: UplinkWork, center: CenterId): void {
  const name = centers.find(({ id }) => id === center)?.name ?? center;
  const message = `${upstream.name} does not lead to ${name}, to which backups are owed`;
  alarms.raise(`route ${center}`, 'no-route', message);
}

/** The relay that has it in custody does not bring it to that center any more. */
async function isGivenUp(work: UplinkWork, { snapshot, code }: CopyState): Promise<boolean> {
  return code === 'no-route' && (await isHeldAbove(work, snapshot));
}

/** A relay lost it when it was here no more: that a node above waits for it still, by whatever way it was offered there, is no news. */
async function isLostForGood({ ledger }: UplinkWork, { snapshot, phase, code }: CopyRow): Promise<boolean> {
  if (phase !== 'stuck' || code !== 'custody-lost') return false;
  return ((await findSnapshot(ledger.db, snapshot))?.pack_group ?? null) === null;
}

async function isInCustody({ ledger }: UplinkWork, snapshot: SnapshotId): Promise<boolean> {
  return (await custodiesOf(ledger.db, snapshot)).length > 0;
}

async function isHeldAbove({ ledger, upstream }: UplinkWork, snapshot: SnapshotId): Promise<boolean> {
  return (await custodiesOf(ledger.db, snapshot)).some(({ holder }) => holder === upstream.id);
}
