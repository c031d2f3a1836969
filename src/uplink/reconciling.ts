import { copiesIn, copiesOf, downgradeCopy, findCopy, OPEN_PHASES, setPhase } from '../ledger/copies.ts';
import { heldBy } from '../ledger/custodies.ts';
import { appendHistory } from '../ledger/history.ts';
import { newestSafeAt } from '../ledger/newest.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { CopyRow } from '../ledger/tables.ts';
import type { CopyQuery, CopyRecord, Page } from '../model/exchange.ts';
import { equalBytes } from '../model/bytes.ts';
import { type CenterId, shortId, type SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { adoptKept, adoptReceipts } from './adopting.ts';
import { isOldNews, noteRecord, openCopies, openCopiesOfEach } from './copy-states.ts';
import { loseCustody } from './custody-lost.ts';
import { idsOf, type UplinkWork } from './parts.ts';
import { storeCustody, storeReceipt } from './receipts.ts';

/** Copies of one snapshot that a node above may know of. */
const ROWS_MAX = 102;

/**
 * Compares what is above with what we believe (DESIGN 4.6). Receipts whose answer was lost are stored; a snapshot that a
 * center receipted and does not have any more is downgraded with an alarm, and the next snapshot of its job gets no base.
 */
export async function reconcile(work: UplinkWork, api: CenterApi, incarnation: string): Promise<void> {
  await collectAnswers(work, api);
  const kept = await adoptKept(work, (snapshots) => rowsOf(api, snapshots), rowsAtOnce(work));
  await collectAnswersOn(work, api, kept);
  const fact = incarnationFact(work.upstream);
  const changed = (await work.ledger.fact(fact)) !== incarnation;
  await downgradeIfLost(work, api, changed);
  if (changed) await work.ledger.setFact(fact, incarnation);
}

/** Names what says by which ledger the node above answered last. */
export const incarnationFact = ({ id }: UplinkWork['upstream']): string => `incarnation/${id}`;

/** Behind a relay nobody sees the center go back: the relay hears of it, and is asked now and then. */
export async function downgradeIfLost(work: UplinkWork, api: CenterApi, certainly = false): Promise<void> {
  for (const { id } of work.centers) {
    const wentBack = await newestIsLost(work, api, id);
    if (wentBack || certainly) await downgradeLost(work, api, id);
  }
}

/** Takes over the word from above on everything that is not safe yet: of what is, nobody's custody matters any more. */
export async function collectAnswers(work: UplinkWork, api: CenterApi): Promise<void> {
  const open = await copiesIn(work.ledger.db, idsOf(work.centers), OPEN_PHASES);
  await askAbout(work, api, [...new Set(open.map(({ snapshot }) => snapshot))]);
  await adoptReceipts(work, api);
}

/** Of these, what is not safe yet. They may have come although nobody heard of it. */
export async function collectAnswersOn(
  work: UplinkWork,
  api: CenterApi,
  snapshots: readonly SnapshotId[],
): Promise<void> {
  if (snapshots.length === 0) return;
  const open = await openCopiesOfEach(work, snapshots);
  await askAbout(
    work,
    api,
    snapshots.filter((id) => open.has(id)),
  );
}

async function askAbout(work: UplinkWork, api: CenterApi, open: readonly SnapshotId[]): Promise<void> {
  const most = rowsAtOnce(work);
  for (let at = 0; at < open.length; at += most) {
    const some = open.slice(at, at + most);
    // An answer says nothing of a custody that began after the question.
    const held = await heldAbove(work, some);
    const told = await rowsOf(api, some);
    const rows = Map.groupBy(
      [...told, ...(await passedRowsOf(work, api, some, told))],
      ({ snapshot }) => snapshot,
    );
    const known = { open: await openCopiesOfEach(work, some), held: await heldAbove(work, some) };
    for (const snapshot of some) {
      const answer = { snapshot, rows: rows.get(snapshot) ?? [], held: held.has(snapshot) };
      if (!saysNothingNew(work, answer, known)) await takeAnswer(work, answer);
    }
  }
}

/** What the node above has in custody, with its word, as far as is known here. */
async function heldAbove(
  { ledger, upstream }: UplinkWork,
  snapshots: readonly SnapshotId[],
): Promise<ReadonlyMap<SnapshotId, Uint8Array>> {
  if (upstream.kind === 'center') return new Map();
  const held = await heldBy(ledger.db, upstream.id, snapshots);
  return new Map(held.map(({ snapshot, receipt }) => [snapshot, receipt]));
}

interface Known {
  readonly open: ReadonlyMap<SnapshotId, readonly CopyRow[]>;
  readonly held: ReadonlyMap<SnapshotId, Uint8Array>;
}

/** True only if `takeAnswer` would look everything up and find nothing to do. */
function saysNothingNew(work: UplinkWork, { snapshot, rows, held }: Answer, known: Known): boolean {
  const { upstream } = work;
  const custody = known.held.get(snapshot);
  const own = rows.find(({ center }) => center === upstream.id);
  if (upstream.kind === 'relay') {
    const word = own?.phase === 'held' ? own.receipt : null;
    if (word === null ? held : custody === undefined || !equalBytes(word, custody)) return false;
  }
  if (rows.some((row) => isStrange(work, row))) return false;
  return (known.open.get(snapshot) ?? []).every((copy) => {
    const record = rows.find(({ center }) => center === copy.center);
    return record === undefined ? upstream.kind === 'relay' : isOldNews(copy, record, custody !== undefined);
  });
}

/** What was asked about one snapshot. */
interface Answer {
  readonly snapshot: SnapshotId;
  readonly rows: readonly CopyRecord[];
  /** The node above had it in custody when it was asked, as far as was known here. */
  readonly held: boolean;
}

async function takeAnswer(work: UplinkWork, answer: Answer): Promise<void> {
  const { snapshot, rows } = answer;
  await alarmOnStrangers(work, snapshot, rows);
  if (work.upstream.kind === 'relay') await takeCustody(work, answer);
  for (const copy of await openCopies(work, snapshot)) {
    const record = rows.find(({ center }) => center === copy.center);
    const face = work.centers.find(({ id }) => id === copy.center);
    if (record === undefined || face === undefined) await noteUnknown(work, copy);
    else if (record.phase === 'safe' && record.receipt !== null) {
      await noteRecord(work, record);
      await storeReceipt(work, snapshot, face, record.receipt);
    } else await noteRecord(work, record);
  }
}

/** A receipt of a center that no token named proves nothing, and the snapshot was never owed there. */
async function alarmOnStrangers(
  work: UplinkWork,
  snapshot: SnapshotId,
  rows: readonly CopyRecord[],
): Promise<void> {
  const { ledger, upstream, alarms } = work;
  for (const { center, phase, receipt } of rows.filter((row) => isStrange(work, row))) {
    if (phase !== 'safe' || receipt === null) continue;
    if ((await findCopy(ledger.db, snapshot, center)) !== null) continue;
    const message = `${upstream.name} gives receipts of a center ${shortId(center)} that this machine has not heard of from a token: they do not count`;
    alarms.raise('strangers', 'wrong-center', message);
  }
}

/** Of a center that this way does not lead to. */
const isStrange = ({ upstream, centers }: UplinkWork, { center }: CopyRecord): boolean =>
  center !== upstream.id && !centers.some(({ id }) => id === center);

/** What a relay says of its own copy counts before what it says of others'. */
async function takeCustody(work: UplinkWork, { snapshot, rows, held }: Answer): Promise<void> {
  const { upstream, offered } = work;
  const own = rows.find(({ center }) => center === upstream.id);
  if (own?.phase === 'held' && own.receipt !== null) {
    await storeCustody(work, snapshot, own.receipt);
    return;
  }
  if (!held || !(await loseCustody(work, snapshot, upstream))) return;
  // It must be offered to it again, with the same wishes.
  offered.delete(snapshot);
  work.onChange(snapshot);
}

/**
 * The center has never heard of it. If it is in the spool, it is offered; if not, it can only be replaced. That a relay
 * has not heard of it says nothing of the center; and what a relay does not have, it does not have yet.
 */
async function noteUnknown(work: UplinkWork, { snapshot, center, phase }: CopyRow): Promise<void> {
  const { ledger, world, upstream } = work;
  if (upstream.kind === 'relay' || work.node !== null || phase === 'behind') return;
  const row = await findSnapshot(ledger.db, snapshot);
  if (row === null || row.pack_group !== null) return;
  const behind = { phase: 'behind', code: 'center-went-back', until: null } as const;
  await setPhase(ledger.db, { snapshot, center, ...behind }, world.clock.now());
  await work.sender.behind(ledger.db, snapshot);
}

/** High-water mark: the newest snapshot of each job that this center receipted must still be there. */
async function newestIsLost(work: UplinkWork, api: CenterApi, center: CenterId): Promise<boolean> {
  const newest = await newestSafeAt(work.ledger.db, center);
  const most = rowsAtOnce(work);
  for (let at = 0; at < newest.length; at += most) {
    if ((await lostOf(work, api, newest.slice(at, at + most), center)).length > 0) return true;
  }
  return false;
}

async function lostOf(
  work: UplinkWork,
  api: CenterApi,
  asked: readonly SnapshotId[],
  center: CenterId,
): Promise<SnapshotId[]> {
  const rows = await rowsOf(api, asked);
  const lost: SnapshotId[] = [];
  for (const snapshot of asked) {
    if (isLost(work, rows, snapshot, center) && (await wouldAnswer(work, snapshot))) lost.push(snapshot);
  }
  return lost;
}

/** A center says nothing of machines that it has not been told of: one that moved here, or one too many. */
async function wouldAnswer({ ledger, client, introduced }: UplinkWork, id: SnapshotId): Promise<boolean> {
  const owner = (await findSnapshot(ledger.db, id))?.client;
  return owner !== undefined && (owner === client || introduced.has(owner));
}

/** A relay may not know of what came another way: it must say that the center has lost it. */
function isLost(
  { upstream }: UplinkWork,
  rows: readonly CopyRecord[],
  snapshot: SnapshotId,
  center: CenterId,
): boolean {
  const row = rows.find((each) => each.snapshot === snapshot && each.center === center);
  return upstream.kind === 'center' ? row?.phase !== 'safe' : row?.code === 'center-went-back';
}

async function downgradeLost(work: UplinkWork, api: CenterApi, center: CenterId): Promise<void> {
  const { ledger, world } = work;
  const safe = (await copiesIn(ledger.db, [center], ['safe'])).map(({ snapshot }) => snapshot);
  const most = rowsAtOnce(work);
  for (let at = 0; at < safe.length; at += most) {
    for (const snapshot of await lostOf(work, api, safe.slice(at, at + most), center)) {
      const now = world.clock.now();
      await ledger.transaction(async (db) => {
        await downgradeCopy(db, snapshot, center, now);
        await appendHistory(db, snapshot, 'went-back', now, { center });
        await work.sender.behind(db, snapshot);
      });
      const name = work.centers.find(({ id }) => id === center)?.name ?? center;
      const message = `${name} does not have snapshot ${shortId(snapshot)} any more, which it receipted`;
      world.monitor.event({ kind: 'alarm', code: 'center-went-back', message });
      work.onChange(snapshot);
    }
  }
}

/** A row for each center and one for the relay itself: an answer about so many snapshots holds them all, unless a relay owes them to more. */
const rowsAtOnce = ({ world, centers }: UplinkWork): number =>
  Math.max(1, Math.floor(world.limits.page_rows / (centers.length + 2)));

/**
 * What never came to the relay above may have gone past it: asked as for a restore, it asks those above itself. For a
 * relay, which waits for such things from below, and for what a machine has let go and knows nothing of any more.
 */
async function passedRowsOf(
  work: UplinkWork,
  api: CenterApi,
  asked: readonly SnapshotId[],
  told: readonly CopyRecord[],
): Promise<readonly CopyRecord[]> {
  if (work.upstream.kind === 'center') return [];
  // That its owner has closed it somewhere is known also where nothing else of it is (protocol R23).
  const known = new Set(told.filter(({ phase }) => phase !== 'void').map(({ snapshot }) => snapshot));
  let unknown = asked.filter((id) => !known.has(id));
  if (work.node === null) unknown = await forgottenOf(work, unknown);
  return unknown.length === 0 ? [] : (await api.copies({ snapshots: unknown, manifests: true })).rows;
}

/**
 * Those whose content is not in the spool and that nobody is known to have: their story went with a ledger that was made
 * anew, or the relay that has them was left, and may have passed them on since.
 */
async function forgottenOf({ ledger }: UplinkWork, snapshots: readonly SnapshotId[]): Promise<SnapshotId[]> {
  const forgotten: SnapshotId[] = [];
  for (const id of snapshots) {
    const row = await findSnapshot(ledger.db, id);
    if (row === null || row.pack_group !== null) continue;
    const copies = await copiesOf(ledger.db, id);
    if (copies.some(({ phase, code }) => phase === 'waiting' || code === 'custody-lost')) forgotten.push(id);
  }
  return forgotten;
}

/** Of these; no more than a node may have that owes them to as many centers as a wish may name. */
async function rowsOf(api: CenterApi, snapshots: readonly SnapshotId[]): Promise<CopyRecord[]> {
  const rows: CopyRecord[] = [];
  for await (const row of eachRow(api, { snapshots })) {
    if (rows.push(row) > snapshots.length * ROWS_MAX) break;
  }
  return rows;
}

/** Of all pages. */
async function* eachRow(api: CenterApi, query: CopyQuery): AsyncGenerator<CopyRecord> {
  let after: string | null = null;
  do {
    const page: Page<CopyRecord> = await api.copies(after === null ? query : { ...query, after });
    yield* page.rows;
    // One that gives the same page again and again, or nothing, must not keep us for ever.
    after = page.next === after || page.rows.length === 0 ? null : page.next;
  } while (after !== null);
}
