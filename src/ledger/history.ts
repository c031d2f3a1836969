import type { CenterId, ClientId, InstanceId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Database } from './ledger.ts';
import { prepared } from './prepared.ts';
import type { HistoryKind, HistoryRow, NewHistoryRow } from './tables.ts';

type Details = Partial<Pick<NewHistoryRow, 'center' | 'client' | 'address' | 'bytes' | 'code'>>;

/** Appends one line to a snapshot's transfer history (SEED 223-4). */
export async function appendHistory(
  db: Database,
  snapshot: SnapshotId,
  what: HistoryKind,
  at: UnixMillis,
  details: Details = {},
): Promise<void> {
  await APPEND.execute(db, { ...NO_DETAILS, ...details, snapshot, at, what });
}

const NO_DETAILS: Required<Details> = { center: null, client: null, address: null, bytes: 0, code: '' };

const APPEND = prepared((db, row: Omit<HistoryRow, 'id'>) =>
  db.insertInto('history').values({
    snapshot: row.snapshot,
    at: row.at,
    what: row.what,
    center: row.center,
    client: row.client,
    address: row.address,
    bytes: row.bytes,
    code: row.code,
  }),
);

export async function historyOf(db: Database, snapshot: SnapshotId): Promise<HistoryRow[]> {
  return await db.selectFrom('history').selectAll().where('snapshot', '=', snapshot).orderBy('id').execute();
}

/** @param code only with this one */
export async function hasHappened(
  db: Database,
  snapshot: SnapshotId,
  what: HistoryKind,
  center: CenterId,
  code?: string,
): Promise<boolean> {
  const row =
    code === undefined
      ? await HAPPENED.first(db, { snapshot, what, center })
      : await HAPPENED_SO.first(db, { snapshot, what, center, code });
  return row !== null;
}

type Happening = Pick<HistoryRow, 'snapshot' | 'what'> & { readonly center: CenterId };

const happened = (db: Database, { snapshot, what, center }: Happening) =>
  db
    .selectFrom('history')
    .select('id')
    .where('snapshot', '=', snapshot)
    .where('what', '=', what)
    .where('center', '=', center);
const HAPPENED = prepared(happened);
const HAPPENED_SO = prepared((db, that: Happening & Pick<HistoryRow, 'code'>) =>
  happened(db, that).where('code', '=', that.code),
);

/** How often it was so, of all snapshots of one client. */
export async function countOf(
  db: Database,
  { client, what, center, code }: Pick<HistoryRow, 'client' | 'what' | 'center' | 'code'>,
): Promise<number> {
  const row = await db
    .selectFrom('history')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('client', '=', client)
    .where('center', '=', center)
    .where('what', '=', what)
    .where('code', '=', code)
    .executeTakeFirstOrThrow();
  return row.count;
}

/** What came to a center in the past and when: what a replay under other conditions begins with. */
export interface PastOffer {
  readonly snapshot: SnapshotId;
  readonly client: ClientId;
  /** Null when it is not enrolled any more. */
  readonly clientName: string | null;
  /** Where it came from last. */
  readonly address: string | null;
  /** What makes its job one of a kind, and its place there. */
  readonly instance: InstanceId;
  readonly chain: string;
  readonly sequence: number;
  /** When it may travel, and how old the newest copy may get, by its owner's wish; null where nobody noted it. */
  readonly transfer: string | null;
  readonly zone: string | null;
  readonly target: number | null;
  readonly offeredAt: UnixMillis;
  /** What had to travel. */
  readonly bytes: number;
  readonly arrivedAt: UnixMillis | null;
  /** The last order before it arrived, and what came on it: how fast its client can send. */
  readonly orderedAt: UnixMillis | null;
  readonly receivedBytes: number | null;
}

/** Snapshots that were first offered in [from, until), oldest first. */
export async function offersBetween(db: Database, from: UnixMillis, until: UnixMillis): Promise<PastOffer[]> {
  const rows = await db
    .selectFrom('history as h')
    .innerJoin('snapshots as s', 's.id', 'h.snapshot')
    .leftJoin('clients as c', 'c.id', 's.client')
    .select((e) => [
      'h.snapshot',
      's.client',
      'c.name as clientName',
      'c.address',
      's.instance',
      's.chain',
      's.sequence',
      's.transfer',
      's.zone',
      's.target',
      's.new_bytes as bytes',
      e.fn.min<number>('h.at').as('offeredAt'),
      ...(['ordered', 'arrived'] as const).map((what) =>
        e
          .selectFrom('history as l')
          .select((l) => l.fn.max<number>('l.at').as('at'))
          .whereRef('l.snapshot', '=', 'h.snapshot')
          .where('l.what', '=', what)
          .as(`${what}At`),
      ),
      e
        .selectFrom('history as a')
        .select('a.bytes')
        .whereRef('a.snapshot', '=', 'h.snapshot')
        .where('a.what', '=', 'arrived')
        .orderBy('a.id', 'desc')
        .limit(1)
        .as('receivedBytes'),
    ])
    .where('h.what', '=', 'offered')
    .groupBy('h.snapshot')
    .having((e) => e.fn.min('h.at'), '>=', from)
    .having((e) => e.fn.min('h.at'), '<', until)
    .orderBy('offeredAt')
    .orderBy('h.snapshot')
    .execute();
  return rows;
}
