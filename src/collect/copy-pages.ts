import type { ExpressionBuilder } from 'kysely';
import { copyState } from '../ledger/copies.ts';
import type { Database } from '../ledger/ledger.ts';
import { findOffer } from '../ledger/offers.ts';
import { isPeer, isReader } from '../ledger/readers.ts';
import { each, prepared } from '../ledger/prepared.ts';
import type { CopyRow, HistoryRow, SnapshotRow, Tables } from '../ledger/tables.ts';
import { isFull, isLowtideError, LowtideError } from '../model/errors.ts';
import type { CopyQuery, CopyRecord, CopyState, Expected, Hop, Page } from '../model/exchange.ts';
import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import { closedUnseen } from './closed-unseen.ts';
import type { Collector } from './collector.ts';
import { cursorAbove, pageAbove, placeAbove, recordsAbove } from './known-above.ts';
import { isClosed } from './own-copy.ts';
import type { CollectorParts } from './parts.ts';
import { keptVoid } from './voids.ts';

/**
 * The state of the node's own copy. Of one that has not come yet it is what the planner says now; the ledger has what was
 * true at its last change.
 */
function ownState(collector: Collector, row: CopyRow, expected: Expected | undefined): CopyState {
  const state: CopyState = { ...copyState(row), expected: expected ?? null };
  if (state.phase !== 'waiting' && state.phase !== 'in-transit') return state;
  const reason = collector.planning.reasonFor(row.snapshot);
  if (reason === null) return { ...state, phase: 'waiting' };
  const { code, until } = reason;
  // Until somebody makes room every attempt will end so: that is the reason, and not that it waits for the next one.
  if (code === 'backing-off' && isFull(row.code)) return { ...state, phase: 'waiting', until };
  return { ...state, phase: code === 'running' ? 'in-transit' : 'waiting', code, until };
}

/**
 * The state of a copy at a center above, as it is told below: what is known of it there; while it has not left, that it
 * is in custody here; before, how far it is on its way here.
 */
function stateAbove(
  collector: Collector,
  row: CopyRow,
  { copy: own, kept = false, expected }: Partial<OwnPlace>,
): CopyState {
  const { parts } = collector;
  const state = copyState(row);
  // That this node owes it no more closes nothing: its owner does, or finds another way.
  if (state.code === 'released') return { ...state, phase: 'waiting', code: 'no-route', holder: null };
  if (!['waiting', 'in-transit', 'held'].includes(state.phase)) return { ...state, holder: null };
  if (kept) {
    const held = { ...state, phase: 'held', holder: row.holder ?? parts.center.name } as const;
    // It waits here, and nobody above says for what.
    const away = row.holder === null ? (parts.above?.awaySince(row.center) ?? null) : null;
    return away === null ? held : { ...held, code: 'center-unreachable', until: null, since: away };
  }
  if (own === undefined || isClosed(parts, own.phase)) return state;
  const { phase, code, until, since, expected: here = null } = ownState(collector, own, expected);
  return { ...state, phase, code, until, since, expected: here };
}

/** As told to whoever is below. */
export async function statesOf(collector: Collector, rows: readonly CopyRow[]): Promise<CopyState[]> {
  const { ledger, center } = collector.parts;
  const snapshots = [...new Set(rows.map(({ snapshot }) => snapshot))];
  const own = await ownRows(ledger.db, snapshots, center.id);
  const coming = [...own.values()].filter(({ copy }) => ['waiting', 'in-transit'].includes(copy.phase));
  const expected = await collector.foresight.of(coming.map(({ copy }) => copy.snapshot));
  return rows.map((row) => {
    if (row.center === center.id) return ownState(collector, row, expected.get(row.snapshot));
    const place = { ...own.get(row.snapshot), ...expectedOf(expected.get(row.snapshot)) };
    return stateAbove(collector, row, place);
  });
}

interface OwnPlace {
  readonly copy: CopyRow;
  /** Its blocks are here still. */
  readonly kept: boolean;
  readonly expected?: Expected;
}

const expectedOf = (expected: Expected | undefined) => (expected === undefined ? {} : { expected });

async function ownRows(
  db: Database,
  snapshots: readonly SnapshotId[],
  center: CopyRow['center'],
): Promise<Map<SnapshotId, OwnPlace>> {
  const rows = await OWN_ROWS.rows(db, { snapshots: JSON.stringify(snapshots), center });
  return new Map(rows.map(({ pack_group, ...copy }) => [copy.snapshot, { copy, kept: pack_group !== null }]));
}

const OWN_ROWS = prepared((db, { snapshots, center }: { snapshots: string; center: CenterId }) =>
  db
    .selectFrom('copies')
    .innerJoin('snapshots', 'snapshots.id', 'copies.snapshot')
    .selectAll('copies')
    .select('snapshots.pack_group')
    .where('copies.snapshot', 'in', each<SnapshotId>(snapshots))
    .where('copies.center', '=', center),
);

/**
 * One page of the copies of a caller and its subtree, in order of snapshot and center: how truth comes down. With manifests
 * it is for a restore, and then what is known above only comes after what is known here.
 */
export async function copyPage(
  collector: Collector,
  caller: ClientId,
  query: CopyQuery,
): Promise<Page<CopyRecord>> {
  const { world, above } = collector.parts;
  const { page_rows: most } = world.limits;
  if ((query.snapshots?.length ?? 0) > most) {
    throw new LowtideError('too-large', `ask for at most ${most} snapshots at once`);
  }
  const isForRestore = above !== null && query.manifests === true;
  const place = isForRestore ? placeAbove(query.after) : null;
  if (place !== null) return await pageAbove(collector.parts, caller, query, place);
  const found = await rowsFor(collector.parts, caller, query, most);
  const records = await recordsOf(collector, found, query);
  const rows = found.slice(0, records.length);
  const last = rows.at(-1);
  const full = last !== undefined && (rows.length === most || rows.length < found.length);
  if (full) return { rows: records, next: `${last.snapshot}/${last.center}` };
  if (query.snapshots === undefined) {
    return { rows: records, next: isForRestore ? cursorAbove({ way: 0, after: '' }) : null };
  }
  const known = new Set(rows.map(({ snapshot }) => snapshot));
  const unseen = query.after === undefined ? query.snapshots.filter((id) => !known.has(id)) : [];
  const closed = await closedUnseen(collector.parts, caller, unseen);
  const whole = isForRestore ? await completed(collector, caller, query.snapshots, records) : records;
  // What is known above of a snapshot comes before what its owner said of it.
  return { rows: [...whole, ...closed].slice(0, most), next: null };
}

/** Of one answer, together at most; always at least one. */
const MANIFESTS_BYTES_MAX = 8 << 20;

/** As many of them as one answer holds. */
async function recordsOf(
  collector: Collector,
  rows: readonly CopyRow[],
  { manifests }: CopyQuery,
): Promise<CopyRecord[]> {
  const { depot } = collector.parts;
  const states = await statesOf(collector, rows);
  const hops = await ownHops(collector, [...new Set(rows.map(({ snapshot }) => snapshot))]);
  const records: CopyRecord[] = [];
  let bytes = 0;
  for (const [at, row] of rows.entries()) {
    const manifest = manifests === true ? await manifestOf(collector, row) : null;
    const above = JSON.parse(row.hops) as Hop[];
    const own = hops.get(row.snapshot);
    const way = own === undefined ? above : [own, ...above];
    const closing = row.phase === 'void' ? (await keptVoid(depot, row.snapshot))?.bytes : undefined;
    const proofs = { receipt: row.receipt, manifest, ...(closing !== undefined && { closing }) };
    records.push({ ...states[at]!, ...proofs, hops: way });
    bytes += (manifest?.length ?? 0) + (closing?.length ?? 0);
    if (bytes >= MANIFESTS_BYTES_MAX) break;
  }
  return records;
}

/** A relay keeps few manifests, and does not know of what went another way. As many rows as a page may have. */
async function completed(
  { parts }: Collector,
  caller: ClientId,
  asked: readonly SnapshotId[],
  records: readonly CopyRecord[],
): Promise<CopyRecord[]> {
  const whole = new Set(records.filter(({ manifest }) => manifest !== null).map(({ snapshot }) => snapshot));
  const lacking = asked.filter((id) => !whole.has(id));
  if (lacking.length === 0) return [...records];
  const above = await recordsAbove(parts, caller, lacking);
  const known = new Set(records.map(({ snapshot }) => snapshot));
  const filled = records.map((row) => ({
    ...row,
    manifest: row.manifest ?? above.get(row.snapshot)?.[0]?.manifest ?? null,
  }));
  const news = [...above.values()].flat().filter(({ snapshot }) => !known.has(snapshot));
  return [...filled, ...news].slice(0, parts.world.limits.page_rows);
}

async function rowsFor(
  { ledger: { db }, above, center }: CollectorParts,
  caller: ClientId,
  query: CopyQuery,
  most: number,
): Promise<CopyRow[]> {
  const after = query.after === undefined ? null : cursorOf(query.after);
  const everybody = await isPeer(db, caller);
  // What is another's is told of only if it is asked for by name: nobody takes it for its own.
  const another = query.client !== undefined && (await isReader(db, caller, query.client));
  if (query.snapshots !== undefined && query.client === undefined && after === null && !everybody) {
    const asked = { caller, center: center.id, snapshots: JSON.stringify(query.snapshots), most };
    return await (above === null ? NAMED_AT_CENTER : NAMED_ROWS).rows(db, asked);
  }
  return await db
    .selectFrom('snapshots')
    .innerJoin('copies', 'copies.snapshot', 'snapshots.id')
    .selectAll('copies')
    .$if(!everybody && !another, (select) => select.where((e) => isOf(e, caller)))
    // What a center knows of others is no answer of its own: it is told to peers only.
    .$if(above === null && !everybody, (select) => select.where('copies.center', '=', center.id))
    .$if(query.client !== undefined, (select) => select.where('snapshots.client', '=', query.client!))
    .$if(query.snapshots !== undefined, (select) => select.where('snapshots.id', 'in', query.snapshots!))
    .$if(after !== null, (select) =>
      select
        .where('snapshots.id', '>=', after!.snapshot)
        .where((e) =>
          e.or([e('snapshots.id', '>', after!.snapshot), e('copies.center', '>', after!.center)]),
        ),
    )
    .orderBy('snapshots.id')
    .orderBy('copies.center')
    .limit(most)
    .execute();
}

/** The caller's own, or of its subtree. */
const isOf = (e: ExpressionBuilder<Tables, 'snapshots'>, caller: ClientId) =>
  e.or([
    e('snapshots.client', '=', caller),
    // By a look at one row: a relay may speak for thousands.
    e.exists(
      e
        .selectFrom('members')
        .select('members.client')
        .where('members.via', '=', caller)
        .whereRef('members.client', '=', 'snapshots.client'),
    ),
  ]);

interface NamedRows {
  readonly caller: ClientId;
  readonly center: CenterId;
  readonly snapshots: string;
  readonly most: number;
}

const namedRows = (db: Database, { caller, snapshots, most }: NamedRows) =>
  db
    .selectFrom('copies')
    .selectAll('copies')
    .where('copies.snapshot', 'in', each<SnapshotId>(snapshots))
    .where((e) =>
      e.exists(
        e
          .selectFrom('snapshots')
          .select('snapshots.id')
          .whereRef('snapshots.id', '=', 'copies.snapshot')
          .where((s) => isOf(s, caller)),
      ),
    )
    .orderBy('copies.snapshot')
    .orderBy('copies.center')
    .limit(most);
/** What is asked most: how some snapshots stand. */
const NAMED_ROWS = prepared(namedRows);
const NAMED_AT_CENTER = prepared((db, asked: NamedRows) =>
  namedRows(db, asked).where('copies.center', '=', asked.center),
);

/** `snapshot/center` of the last row that was answered; for other text, a place that gives what it gives. */
function cursorOf(after: string): { snapshot: SnapshotId; center: CopyRow['center'] } {
  const [snapshot = '', center = ''] = after.split('/');
  return { snapshot: snapshot as SnapshotId, center: center as CopyRow['center'] };
}

async function manifestOf({ parts }: Collector, row: CopyRow): Promise<Uint8Array | null> {
  const { depot, ledger } = parts;
  const offer = await findOffer(ledger.db, row.snapshot);
  if (offer !== null) return offer.manifest;
  if (!(await depot.hasManifest(row.snapshot))) return null;
  try {
    return (await depot.manifest(row.snapshot)).bytes;
  } catch (error) {
    // One that is damaged must not hide the others.
    if (isLowtideError(error, 'damaged-manifest', 'no-such-snapshot')) return null;
    throw error;
  }
}

/** How each came to this node (SEED fig. 6). */
async function ownHops(
  collector: Collector,
  snapshots: readonly SnapshotId[],
): Promise<Map<SnapshotId, Hop>> {
  const { ledger, center } = collector.parts;
  const asked = { snapshots: JSON.stringify(snapshots), center: center.id };
  const rows = await OWN_HISTORY.rows(ledger.db, asked);
  const hops = new Map<SnapshotRow['id'], Hop>();
  for (const row of rows) {
    const hop = hops.get(row.snapshot) ?? {
      by: center.id,
      name: center.name,
      offeredAt: row.at,
      arrivedAt: null,
      bytes: 0,
      attempts: 0,
    };
    hops.set(row.snapshot, told(hop, row));
  }
  return hops;
}

const OWN_HISTORY = prepared((db, { snapshots, center }: { snapshots: string; center: CenterId }) =>
  db
    .selectFrom('history')
    .selectAll()
    .where('snapshot', 'in', each<SnapshotId>(snapshots))
    .where('center', '=', center)
    .orderBy('id'),
);

function told(hop: Hop, { what, at, bytes }: HistoryRow): Hop {
  if (what === 'ordered') return { ...hop, attempts: hop.attempts + 1 };
  if (what === 'arrived') return { ...hop, arrivedAt: at, bytes };
  return hop;
}
