import { copyState, findCopy } from '../ledger/copies.ts';
import { findOffer } from '../ledger/offers.ts';
import type { CopyRow } from '../ledger/tables.ts';
import type { CopyQuery, CopyRecord, CopyState, Page } from '../model/exchange.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { Collector } from './collector.ts';

/** The state of a copy that has not come yet is what the planner says now; the ledger has what was true at its last change. */
export function stateOf(collector: Collector, row: CopyRow): CopyState {
  const state = copyState(row);
  if (state.phase !== 'waiting' && state.phase !== 'in-transit') return state;
  const reason = collector.reasonFor(row.snapshot);
  if (reason === null) return { ...state, phase: 'waiting' };
  const { code, until } = reason;
  return { ...state, phase: code === 'running' ? 'in-transit' : 'waiting', code, until };
}

/** One page of a client's copies, in order of snapshot and center: how truth comes down. */
export async function copyPage(
  collector: Collector,
  client: ClientId,
  query: CopyQuery,
): Promise<Page<CopyRecord>> {
  const { ledger, world } = collector.parts;
  const after = query.after === undefined ? null : cursorOf(query.after);
  const rows = await ledger.db
    .selectFrom('snapshots')
    .innerJoin('copies', 'copies.snapshot', 'snapshots.id')
    .selectAll('copies')
    .where('snapshots.client', '=', client)
    .$if(query.snapshot !== undefined, (select) => select.where('snapshots.id', '=', query.snapshot!))
    .$if(after !== null, (select) =>
      select
        .where('snapshots.id', '>=', after!.snapshot)
        .where((e) =>
          e.or([e('snapshots.id', '>', after!.snapshot), e('copies.center', '>', after!.center)]),
        ),
    )
    .orderBy('snapshots.id')
    .orderBy('copies.center')
    .limit(world.limits.page_rows)
    .execute();
  const records: CopyRecord[] = [];
  for (const row of rows) {
    const manifest = query.manifests === true ? await manifestOf(collector, row) : null;
    records.push({ ...stateOf(collector, row), receipt: row.receipt, manifest });
  }
  const last = rows.at(-1);
  const full = last !== undefined && rows.length === world.limits.page_rows;
  return { rows: records, next: full ? `${last.snapshot}/${last.center}` : null };
}

/** `snapshot/center` of the last row that was answered; for other text, a place that gives what it gives. */
function cursorOf(after: string): { snapshot: SnapshotId; center: CopyRow['center'] } {
  const [snapshot = '', center = ''] = after.split('/');
  return { snapshot: snapshot as SnapshotId, center: center as CopyRow['center'] };
}

async function manifestOf({ parts }: Collector, row: CopyRow): Promise<Uint8Array | null> {
  const { depot, ledger } = parts;
  const offer = await findOffer(ledger.db, row.snapshot);
  if (offer !== null) return offer.manifest;
  const copy = await findCopy(ledger.db, row.snapshot, row.center);
  return copy?.phase === 'safe' ? (await depot.manifest(row.snapshot)).bytes : null;
}
