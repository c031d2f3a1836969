import { parseManifest } from '../format/manifest.ts';
import { mayRead } from '../ledger/readers.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { CopyQuery, CopyRecord, Page } from '../model/exchange.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { CollectorParts } from './parts.ts';

/** Of snapshots that are known above only, so many owners are remembered. */
const REMEMBERED_MAX = 1000;

/** Says whose a snapshot is, also if it went another way: then what is above is asked for its manifest. */
export class Owners {
  readonly #parts: CollectorParts;
  readonly #above = new Map<SnapshotId, ClientId>();

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  /**
   * The owner, if the caller may read what is its.
   * @throws LowtideError `no-such-snapshot`, and `center-unreachable` while nobody above can be asked: the same whether there
   *   is no such snapshot or it is another's
   */
  async of(caller: ClientId, id: SnapshotId): Promise<ClientId> {
    const { ledger, above } = this.#parts;
    const known = (await findSnapshot(ledger.db, id))?.client ?? this.#above.get(id);
    const owner = known ?? (await this.#ask(caller, id));
    if (owner !== null && (await mayRead(ledger.db, caller, owner))) return owner;
    if (above?.isOpen() === false)
      throw new LowtideError('center-unreachable', 'nothing above can be asked for this snapshot now');
    throw new LowtideError('no-such-snapshot', 'there is no such snapshot here');
  }

  async #ask(caller: ClientId, id: SnapshotId): Promise<ClientId | null> {
    const [row] = (await recordsAbove(this.#parts, caller, [id])).get(id) ?? [];
    if (row === undefined) return null;
    const owner = parseManifest(row.manifest!).manifest.client;
    this.#above.set(id, owner);
    const [oldest] = this.#above.keys();
    if (this.#above.size > REMEMBERED_MAX && oldest !== undefined) this.#above.delete(oldest);
    return owner;
  }
}

/**
 * What is known above of some snapshots that the caller may read, each row with its manifest: by every way, because each leads
 * to other centers.
 */
export async function recordsAbove(
  parts: CollectorParts,
  caller: ClientId,
  ids: readonly SnapshotId[],
): Promise<ReadonlyMap<SnapshotId, readonly CopyRecord[]>> {
  const found = new Map<string, CopyRecord>();
  for (let way = 0; ; way++) {
    const page = (await parts.above?.copies(way, { snapshots: ids, manifests: true })) ?? null;
    if (page === null) break;
    for (const row of page.rows) {
      const key = `${row.snapshot}/${row.center}`;
      const isNews = found.get(key)?.phase !== 'safe' && ids.includes(row.snapshot);
      if (isNews && (await isFor(parts, caller, row))) found.set(key, row);
    }
  }
  return Map.groupBy(found.values(), ({ snapshot }) => snapshot);
}

/** A page of a list that goes on above, way after way: what is known here has been told. */
export async function pageAbove(
  parts: CollectorParts,
  caller: ClientId,
  query: CopyQuery,
  place: PlaceAbove,
): Promise<Page<CopyRecord>> {
  const { way, after } = place;
  const { client } = query;
  const asked = { manifests: true, ...(client !== undefined && { client }), ...(after !== '' && { after }) };
  const page = (await parts.above?.copies(way, asked)) ?? null;
  if (page === null) return { rows: [], next: null };
  const rows: CopyRecord[] = [];
  for (const row of page.rows) {
    if ((await findSnapshot(parts.ledger.db, row.snapshot)) !== null) continue;
    if (await isFor(parts, caller, row)) rows.push(row);
  }
  const goesOn = page.next !== null && page.next !== after;
  const next = goesOn ? { way, after: page.next } : { way: way + 1, after: '' };
  return { rows, next: cursorAbove(next) };
}

/** Where in the lists of the nodes above. */
export interface PlaceAbove {
  readonly way: number;
  readonly after: string;
}

const CURSOR = /^above\/(\d{1,4})\/(.*)$/s;

export const cursorAbove = ({ way, after }: PlaceAbove): string => `above/${way}/${after}`;

/** Null if it is a place in the list here. */
export function placeAbove(after: string | undefined): PlaceAbove | null {
  const match = CURSOR.exec(after ?? '');
  return match === null ? null : { way: Number(match[1]), after: match[2]! };
}

/** A manifest is what its id says, whoever tells it: so is its client. */
async function isFor({ ledger }: CollectorParts, caller: ClientId, row: CopyRecord): Promise<boolean> {
  if (row.manifest === null) return false;
  try {
    const { id, manifest } = parseManifest(row.manifest);
    return id === row.snapshot && (await mayRead(ledger.db, caller, manifest.client));
  } catch (error) {
    if (isLowtideError(error)) return false;
    throw error;
  }
}
