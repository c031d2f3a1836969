import { mayRead, readableClients } from '../ledger/readers.ts';
import { LowtideError } from '../model/errors.ts';
import type { KnownClient, Page } from '../model/exchange.ts';
import type { ClientId } from '../model/ids.ts';
import type { CollectorParts } from './parts.ts';

/** Keyrings of one answer, together at most; always at least one. */
const KEYRINGS_BYTES_MAX = 4 << 20;

/** `CenterApi.clients`. */
export async function clientPage(
  { ledger, world }: CollectorParts,
  caller: ClientId,
  after: ClientId | null,
): Promise<Page<KnownClient>> {
  return await readableClients(ledger.db, caller, after, world.limits.page_rows);
}

/** `CenterApi.keyrings`. @throws LowtideError `not-found` also for a client that the caller may not read */
export async function keyringPage(
  { ledger, depot, world }: CollectorParts,
  caller: ClientId,
  client: ClientId,
  after: string | null,
): Promise<Page<Uint8Array>> {
  if (!(await mayRead(ledger.db, caller, client)))
    throw new LowtideError('not-found', 'there is no such thing here');
  const all = await depot.keyrings(client);
  const from = after === null ? 0 : all.findIndex(({ hash }) => hash === after) + 1;
  const rows: Uint8Array[] = [];
  let bytes = 0;
  for (const { bytes: record, hash } of all.slice(from)) {
    rows.push(record);
    bytes += record.length;
    const full = rows.length === world.limits.page_rows || bytes >= KEYRINGS_BYTES_MAX;
    if (full && hash !== all.at(-1)!.hash) return { rows, next: hash };
  }
  return { rows, next: null };
}
