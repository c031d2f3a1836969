import type { Reading } from '../../collect/watches.ts';
import { listClients } from '../../ledger/clients.ts';
import { copiesOf, copyState } from '../../ledger/copies.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { spooledSnapshots } from '../../ledger/snapshots.ts';
import type { CenterFace, CopyState } from '../../model/exchange.ts';
import type { CenterId, ClientId, SnapshotId } from '../../model/ids.ts';
import type { UnixMillis } from '../../model/time.ts';
import type { NamedCenter } from '../center-names.ts';
import type { CenterStatus, UpstreamStatus } from '../upstream-view.ts';

/** Everything that `lowtide relay status` says, as plain data. Times are milliseconds since 1970. */
export interface RelayStatus {
  readonly node: CenterId;
  readonly name: string;
  /** What it is to the nodes above. */
  readonly client: ClientId;
  readonly software: string;
  readonly now: UnixMillis;
  /** This machine's zone. */
  readonly zone: string;
  /** Whether the relay runs: without it nothing comes or goes. */
  readonly running: boolean;
  /** When it may send on. */
  readonly transfer: string;
  readonly transferZone: string;
  readonly upstreams: readonly UpstreamStatus[];
  /** Centers that it leads to. */
  readonly centers: readonly CenterStatus[];
  /** Centers that everything which comes here is owed to. */
  readonly owed: readonly NamedCenter[];
  readonly store: StoreStatus;
  /** What is measured of the condition table; none where it does not run. */
  readonly readings: readonly Reading[];
  readonly held: readonly HeldSnapshot[];
}

export interface StoreStatus {
  readonly bytes: number;
  /** Of these: what could not be passed on to everywhere yet. */
  readonly custody: number;
  /** Beside these: what transfers that have begun may bring yet. */
  readonly coming: number;
  readonly quota: number;
  readonly cacheQuota: number;
}

/** A snapshot in custody, oldest first. */
export interface HeldSnapshot {
  readonly id: SnapshotId;
  readonly client: ClientId;
  readonly clientName: string;
  readonly job: string;
  readonly takenAt: UnixMillis;
  /** When all of it was here. */
  readonly heldSince: UnixMillis | null;
  readonly bytes: number;
  readonly complete: boolean;
  /** For the centers that it is owed to. */
  readonly copies: readonly CopyState[];
}

export async function heldSnapshots(ledger: Ledger, self: CenterFace): Promise<HeldSnapshot[]> {
  const { db } = ledger;
  const names = new Map((await listClients(db)).map(({ id, name }) => [id, name]));
  const held: HeldSnapshot[] = [];
  for (const row of await spooledSnapshots(db)) {
    const copies = await copiesOf(db, row.id);
    held.push({
      id: row.id,
      client: row.client,
      clientName: names.get(row.client) ?? row.client.slice(0, 12),
      job: row.job,
      takenAt: row.taken_at,
      heldSince: copies.find(({ center }) => center === self.id)?.arrived_at ?? null,
      bytes: row.new_bytes,
      complete: row.complete === 1,
      copies: copies.filter(({ center }) => center !== self.id).map(copyState),
    });
  }
  return held;
}
