import { listClients } from '../../ledger/clients.ts';
import { historyOf } from '../../ledger/history.ts';
import { type Held, heldOf } from '../../ledger/holds.ts';
import type { Database } from '../../ledger/ledger.ts';
import { endOfWays } from '../../ledger/live-members.ts';
import { listMembers } from '../../ledger/members.ts';
import { listReaders } from '../../ledger/readers.ts';
import type { ClientRow, HistoryRow } from '../../ledger/tables.ts';
import type { CopyPhase } from '../../model/exchange.ts';
import type { CenterId, ClientId, SnapshotId } from '../../model/ids.ts';
import type { UnixMillis } from '../../model/time.ts';
import { waysOf } from './brought-by.ts';
import type { CenterDesk } from './people.ts';

/** One row of the backup file management table (SEED 223, fig. 6), as plain data. */
export interface CatalogRow {
  readonly id: SnapshotId;
  readonly client: ClientId;
  readonly clientName: string;
  /** Relays that brought it, the nearest to the computer first; none if it came by itself, or has not come. */
  readonly via: readonly string[];
  /** 223-1: the network address of who sent the snapshot; of who offered it, until then. */
  readonly address: string | null;
  readonly job: string;
  /** 223-2: paths in the client's own style; null if their owner keeps them to himself. */
  readonly paths: string | null;
  /** 223-3. Taken-at and arrived-at are two facts, both by the clock of who wrote them. */
  readonly takenAt: UnixMillis;
  readonly arrivedAt: UnixMillis | null;
  readonly phase: CopyPhase;
  readonly code: string;
  readonly until: UnixMillis | null;
  readonly complete: boolean;
  readonly files: number;
  readonly bytes: number;
  /** What had to travel. */
  readonly newBytes: number;
  /** Whether a relay has it still, to pass it on. False at a center. */
  readonly kept: boolean;
}

/** 223-4. */
export interface HistoryLine {
  readonly at: UnixMillis;
  readonly what: HistoryRow['what'];
  /** At a relay: the center above that it is about. */
  readonly center: CenterId | null;
  /** Name of who offered or sent it here, a computer or a relay; null if the line is about nobody. */
  readonly by: string | null;
  readonly address: string | null;
  readonly bytes: number;
  readonly code: string;
}

export interface CatalogQuery {
  readonly center: CenterId;
  /** Name or id. */
  readonly client?: string;
  readonly job?: string;
  readonly limit?: number;
}

/** Newest first. */
export async function catalog(db: Database, query: CatalogQuery): Promise<CatalogRow[]> {
  const rows = await selectCatalog(db, query).execute();
  const bringing = rows.map(({ client, sender }) => ({ client, sender: sender ?? client }));
  const wayOf = await waysOf(db, bringing);
  return rows.map((row, at) => ({
    id: row.id,
    client: row.client,
    clientName: row.client_name ?? row.client.slice(0, 12),
    via: wayOf(bringing[at]!),
    address: row.address,
    job: row.job,
    paths: row.label,
    takenAt: row.taken_at,
    arrivedAt: row.arrived_at,
    phase: row.phase,
    code: row.code,
    until: row.until,
    complete: row.complete === 1,
    files: row.files,
    bytes: row.bytes,
    newBytes: row.new_bytes,
    kept: row.pack_group !== null,
  }));
}

function selectCatalog(db: Database, { center, client, job, limit }: CatalogQuery) {
  return db
    .selectFrom('snapshots as s')
    .innerJoin('copies as c', 'c.snapshot', 's.id')
    .leftJoin('clients', 'clients.id', 's.client')
    .select([
      's.id',
      's.client',
      's.job',
      's.label',
      's.taken_at',
      's.complete',
      's.files',
      's.bytes',
      's.new_bytes',
      's.pack_group',
    ])
    .select(['c.phase', 'c.code', 'c.until', 'c.arrived_at', 'clients.name as client_name'])
    .select((e) => [
      e
        .selectFrom('history as h')
        .select('h.address')
        .whereRef('h.snapshot', '=', 's.id')
        .where('h.address', 'is not', null)
        .orderBy('h.id', 'desc')
        .limit(1)
        .as('address'),
      e
        .selectFrom('history as b')
        .select('b.client')
        .whereRef('b.snapshot', '=', 's.id')
        .where('b.client', 'is not', null)
        .where('b.what', 'in', ['offered', 'arrived'])
        .orderBy('b.id', 'desc')
        .limit(1)
        .as('sender'),
    ])
    .where('c.center', '=', center)
    .$if(client !== undefined, (select) =>
      select.where((e) => e.or([e('clients.name', '=', client!), e('s.client', '=', client as ClientId)])),
    )
    .$if(job !== undefined, (select) => select.where('s.job', '=', job!))
    .orderBy('s.taken_at', 'desc')
    .orderBy('s.id')
    .$if(limit !== undefined, (select) => select.limit(limit!));
}

export async function historyLines(db: Database, snapshot: SnapshotId): Promise<HistoryLine[]> {
  const rows = await historyOf(db, snapshot);
  const names = new Map((await listClients(db)).map(({ id, name }) => [id, name]));
  return rows.map(({ at, what, center, client, address, bytes, code }) => ({
    at,
    what,
    center,
    by: client === null ? null : (names.get(client) ?? client.slice(0, 12)),
    address,
    bytes,
    code,
  }));
}

/** A computer whose backups may come here. */
export interface ClientLine {
  readonly id: ClientId;
  readonly name: string;
  readonly role: ClientRow['role'];
  /** Names of what it sends through: itself not among them, so empty for one that has only joined here. */
  readonly via: readonly string[];
  /** Whether it may come here itself. */
  readonly direct: boolean;
  readonly address: string | null;
  readonly enrolledAt: UnixMillis;
  /** When it was connected here last: now, if it is. */
  readonly seenAt: UnixMillis | null;
  readonly connected: boolean;
  readonly revokedAt: UnixMillis | null;
  readonly snapshots: number;
  /** Bytes that it may bring, with its subtree if it is a relay; null for no bound. */
  readonly quota: number | null;
  /** The operator lets nothing be collected from it for the time being. */
  readonly held: Held | null;
  /** It has left, or all relays did that it came through; null while there is some way. */
  readonly left: LeftHere | null;
  /** Names of the computers whose backups it may read beside its own. */
  readonly reads: readonly string[];
}

export interface LeftHere {
  readonly at: UnixMillis;
  /** Name of the relay that it was below, if that has left and not the computer itself. */
  readonly relay: string | null;
}

/** With who is connected now: nobody is to a node that does not run. */
export async function linesOf({
  node: { ledger, world, collector },
}: {
  readonly node: Pick<CenterDesk['node'], 'ledger' | 'world' | 'collector'>;
}): Promise<ClientLine[]> {
  const { db } = ledger;
  const now = world.clock.now();
  const isOnline = (client: ClientId): boolean => collector.book.isOnline(client);
  const counts = await db
    .selectFrom('snapshots')
    .select((e) => ['client', e.fn.countAll<number>().as('count')])
    .groupBy('client')
    .execute();
  const byClient = new Map(counts.map(({ client, count }) => [client, count]));
  const clients = await listClients(db);
  const names = new Map(clients.map(({ id, name }) => [id, name]));
  const rows = await listMembers(db);
  const members = Map.groupBy(rows, ({ client }) => client);
  const ended = endOfWays(rows);
  const readers = await listReaders(db);
  const nameOf = (client: ClientId): string => names.get(client) ?? client.slice(0, 12);
  const comesBy = (client: ClientId): { via: readonly string[]; left: LeftHere | null } => {
    const all = members.get(client) ?? [];
    const live = all.filter((row) => ended(row) === null);
    const [end] = all.flatMap((row) => ended(row) ?? []).sort((a, b) => b.left_at! - a.left_at!);
    const left =
      live.length > 0 || end === undefined
        ? null
        : { at: end.left_at!, relay: end.client === client ? null : end.name };
    const via = live.filter((row) => row.via !== client).map((row) => nameOf(row.via));
    return { via: [...new Set(via)], left };
  };
  return clients.map((row) => ({
    id: row.id,
    name: row.name,
    role: row.role,
    ...comesBy(row.id),
    direct: row.pass !== '',
    address: row.address,
    enrolledAt: row.enrolled_at,
    seenAt: isOnline(row.id) ? now : row.seen_at,
    connected: isOnline(row.id),
    revokedAt: row.revoked_at,
    snapshots: byClient.get(row.id) ?? 0,
    quota: row.quota,
    held: heldOf(row, now),
    reads: (readers.get(row.id) ?? []).map(nameOf),
  }));
}
