import { type SignedManifest } from '../format/manifest.ts';
import { closesAt, parseVoid } from '../format/void-record.ts';
import { copiesIn, findCopy, OPEN_PHASES, setPhase } from '../ledger/copies.ts';
import { heldByOthers, holdersOfBases } from '../ledger/custodies.ts';
import { appendHistory, hasHappened } from '../ledger/history.ts';
import { owedTo } from '../ledger/owed.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { CopyRow, SnapshotRow } from '../ledger/tables.ts';
import { type ErrorCode, errorRegistry, isFull, isLowtideError, type LowtideError } from '../model/errors.ts';
import { type CenterId, shortId, type SnapshotId } from '../model/ids.ts';
import type { Wishes } from '../model/exchange.ts';
import { DAY_MS } from '../model/time.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { alarmNoRoute, isDamagedHere, isOwnDamage, noteState, openCopies } from './copy-states.ts';
import { idsOf, type UplinkWork } from './parts.ts';
import { collectAnswersOn, incarnationFact } from './reconciling.ts';

/** Refusals that are about the client and not about one snapshot of it. */
const SESSION_CODES: readonly ErrorCode[] = ['not-enrolled', 'clone-suspected', 'wrong-center'];
/** What a relay has in custody is not offered by another way for so long. */
const CUSTODY_PATIENCE_MS = DAY_MS;

/**
 * Offers everything that is owed to where this way leads and not safe there (SEED fig. 3, S3; fig. 12); withdraws what is
 * closed. A snapshot that cannot be offered does not keep the others from it.
 * @throws LowtideError if it is worth trying again later
 */
export async function offerOwed(work: UplinkWork, api: CenterApi): Promise<void> {
  const all = await copiesIn(work.ledger.db, idsOf(work.centers), OPEN_PHASES);
  const known = Map.groupBy(all, ({ snapshot }) => snapshot);
  await forgetStranded(work, all);
  const custody = await custodyAbove(work);
  for (const row of await owedTo(work.ledger.db, idsOf(work.centers))) {
    // What was offered is most of it: nothing more is looked up for that.
    if (await isOffered(work, row, copiesToOffer(work, custody, known.get(row.id) ?? []))) continue;
    const copies = copiesToOffer(work, custody, await openCopies(work, row.id));
    if (copies.length === 0) continue;
    await offerOne(work, api, row, copies).catch(async (error: unknown) => {
      if (!isLowtideError(error)) throw error;
      if (!isForLater(error)) return await refuse(work, row.id, copies, error);
      if (isFull(error.code)) await noteFull(work, copies, error.code);
      throw error;
    });
  }
  await withdrawClosed(work, api);
}

/**
 * A relay lacked the base and could not ask those above it (protocol R21). The next backup would do without, and may be a week away:
 * what a center has the base of is offered again after a while.
 */
async function forgetStranded(
  { ledger, upstream, world, offered }: UplinkWork,
  open: readonly CopyRow[],
): Promise<void> {
  if (upstream.kind !== 'relay') return;
  const before = world.clock.now() - world.limits.ask_ms;
  for (const { snapshot, center, phase, code, since } of open) {
    if (phase !== 'behind' || code !== 'base-unknown' || since > before || !offered.has(snapshot)) continue;
    const base = (await findSnapshot(ledger.db, snapshot))?.base ?? null;
    if (base !== null && (await findCopy(ledger.db, base, center))?.phase === 'safe')
      offered.delete(snapshot);
  }
}

const isForLater = ({ code }: LowtideError): boolean =>
  errorRegistry[code].retry || code === 'crashed' || code === 'disk-failed' || SESSION_CODES.includes(code);

/** What the relays above have, as far as it says by which way to send. */
interface CustodyAbove {
  /** Had by a relay on another way, and not for long. */
  readonly elsewhere: ReadonlySet<SnapshotId>;
  /** By snapshot, relays that have its base: nobody else can close it before that is safe. */
  readonly bases: ReadonlyMap<SnapshotId, readonly CenterId[]>;
}

async function custodyAbove({ ledger, upstream, world }: UplinkWork): Promise<CustodyAbove> {
  const since = world.clock.now() - CUSTODY_PATIENCE_MS;
  const elsewhere = new Set(await heldByOthers(ledger.db, upstream.id, since));
  const bases = new Map<SnapshotId, CenterId[]>();
  for (const { snapshot, holder } of await holdersOfBases(ledger.db)) {
    bases.set(snapshot, [...(bases.get(snapshot) ?? []), holder]);
  }
  return { elsewhere, bases };
}

/** Not those that a better way leads to (unless it is never open when its owner may send), or that a relay on another way has. */
function copiesToOffer(
  { route }: UplinkWork,
  { elsewhere, bases }: CustodyAbove,
  open: readonly CopyRow[],
): CopyRow[] {
  return open.filter(
    ({ snapshot, center, phase, code }) =>
      (route.leadsTo(center, bases.get(snapshot)) || code === 'no-shared-window') &&
      !isDamagedHere({ phase, code }) &&
      !(phase === 'held' && elsewhere.has(snapshot)),
  );
}

/** In this session, with the same wishes. */
async function isOffered(work: UplinkWork, row: SnapshotRow, copies: readonly CopyRow[]): Promise<boolean> {
  if (copies.length === 0) return true;
  return work.offered.get(row.id) === JSON.stringify(await wishesFor(work, row, copies));
}

async function wishesFor(
  { sender, understands }: UplinkWork,
  row: SnapshotRow,
  copies: readonly CopyRow[],
): Promise<Wishes> {
  const centers = copies.map(({ center }) => center);
  return understood(await sender.wishes(row, centers), understands);
}

async function offerOne(
  work: UplinkWork,
  api: CenterApi,
  row: SnapshotRow,
  copies: readonly CopyRow[],
): Promise<void> {
  const { ledger, world, upstream, offered } = work;
  const wishes = await wishesFor(work, row, copies);
  const records = await readRecords(work, row.id);
  if (records === null) return;
  const states = await api.offer(records.signed.bytes, records.keyring, wishes);
  offered.set(row.id, JSON.stringify(wishes));
  for (const { center } of copies) {
    const state = states.find((each) => each.snapshot === row.id && each.center === center);
    // Who closed it is not in this answer: it is asked for.
    if (state?.phase === 'void') await collectAnswersOn(work, api, [row.id]);
    else if (state !== undefined) await noteState(work, state);
    else await noRoute(work, row.id, center);
  }
  if (await hasHappened(ledger.db, row.id, 'offered', upstream.id)) return;
  await appendHistory(ledger.db, row.id, 'offered', world.clock.now(), {
    center: upstream.id,
    bytes: row.new_bytes,
  });
  world.monitor.event({ kind: 'offered', snapshot: row.id, center: upstream.id, bytes: row.new_bytes });
}

/** An older node takes an offer with a wish that it does not know for a mistake (protocol R11). */
function understood(wishes: Wishes, known: ReadonlySet<string>): Wishes {
  if (known.has('target')) return wishes;
  const { target: _, ...rest } = wishes;
  return rest;
}

/** The node above does not lead there, whatever its token said. */
async function noRoute(work: UplinkWork, snapshot: SnapshotId, center: CopyRow['center']): Promise<void> {
  const stuck = { snapshot, center, phase: 'stuck', code: 'no-route', until: null } as const;
  await setPhase(work.ledger.db, stuck, work.world.clock.now());
  alarmNoRoute(work, center);
  work.onChange(snapshot);
}

/** Null if the spool has lost them. */
async function readRecords(
  work: UplinkWork,
  snapshot: SnapshotId,
): Promise<{ signed: SignedManifest; keyring: Uint8Array } | null> {
  const { depot, centers } = work;
  try {
    const signed = await depot.manifest(snapshot);
    const { client, keyring: hash } = signed.manifest;
    const keyring = await depot.keyring(client, hash);
    return { signed, keyring: keyring.bytes };
  } catch (error) {
    if (!isLowtideError(error) || error.code === 'disk-failed') throw error;
    const isKeyring = error.code === 'not-found' || error.code === 'damaged-keyring';
    const code = isKeyring ? 'damaged-keyring' : 'damaged-manifest';
    await work.sender.lost(snapshot, { centers, code, why: error.message });
    return null;
  }
}

/** The node above will not have it as it is. It was read here and found whole: that it is damaged is not for others to say. */
async function refuse(
  work: UplinkWork,
  id: SnapshotId,
  copies: readonly CopyRow[],
  error: LowtideError,
): Promise<void> {
  const { ledger, upstream, world, alarms } = work;
  const code = isOwnDamage(error.code) ? 'bad-answer' : error.code;
  for (const { center } of copies) {
    const stuck = { snapshot: id, center, phase: 'stuck', code, until: null } as const;
    await setPhase(ledger.db, stuck, world.clock.now());
  }
  const message = `${upstream.name} refuses snapshot ${shortId(id)}: ${error.message}`;
  alarms.raise(`copy ${id}`, error.code, message);
  work.onChange(id);
}

/** Every copy that waits for room says so (promise P6). */
async function noteFull(work: UplinkWork, copies: readonly CopyRow[], code: ErrorCode): Promise<void> {
  const { ledger, world } = work;
  for (const { snapshot, center, phase } of copies) {
    if (phase !== 'waiting') continue;
    await setPhase(ledger.db, { snapshot, center, phase, code, until: null }, world.clock.now());
  }
}

async function withdrawClosed(work: UplinkWork, api: CenterApi): Promise<void> {
  const { ledger, depot, upstream } = work;
  const voids = await depot.voids();
  if (voids.length === 0) return;
  // Every node that may have it must hear of it, and again if it has a ledger that was made anew.
  const told = `told ${upstream.id} ${await ledger.fact(incarnationFact(upstream))}`;
  for (const id of voids) await withdrawOne(work, api, { id, told });
}

interface Closed {
  readonly id: SnapshotId;
  /** How the history names it that the node above has been told. */
  readonly told: string;
}

/** Only where its owner has closed it: other centers may still get it. */
async function withdrawOne(work: UplinkWork, api: CenterApi, { id, told }: Closed): Promise<void> {
  const { ledger, world, sender } = work;
  const copies = await closedCopies(work, { id, told });
  if (copies.length === 0) return;
  const record = await sender.closing(id, copies);
  if (record === null) return;
  const { voidRecord } = parseVoid(record);
  const closed = copies.filter((center) => closesAt(voidRecord, center));
  if (closed.length === 0) return;
  await api.withdraw(id, record, closed).catch((error: unknown) => {
    if (!isLowtideError(error, 'no-such-snapshot')) throw error;
  });
  for (const center of closed)
    await appendHistory(ledger.db, id, 'voided', world.clock.now(), { center, code: told });
}

/** Closed here, or never seen here, and the node above has not been told. */
async function closedCopies(work: UplinkWork, { id, told }: Closed): Promise<CopyRow['center'][]> {
  const { db } = work.ledger;
  const closed: CopyRow['center'][] = [];
  for (const { id: center } of work.centers) {
    const copy = await findCopy(db, id, center);
    const isClosed =
      copy === null ? (await findSnapshot(db, id)) === null : copy.phase === 'void' || isDamagedHere(copy);
    if (isClosed && !(await hasHappened(db, id, 'voided', center, told))) closed.push(center);
  }
  return closed;
}
