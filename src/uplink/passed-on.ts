import { appendHistory } from '../ledger/history.ts';
import type { Database, Ledger } from '../ledger/ledger.ts';
import { listMembers } from '../ledger/members.ts';
import { copiesOf, setPhase } from '../ledger/copies.ts';
import { custodyTakenBack } from '../ledger/custodies.ts';
import type { SnapshotRow } from '../ledger/tables.ts';
import type { CenterFace, Member, Wishes } from '../model/exchange.ts';
import { type CenterId, shortId, type SnapshotId } from '../model/ids.ts';
import type { Depot } from '../depot/depot.ts';
import type { World } from '../world/ports.ts';
import type { Loss, Sender } from './parts.ts';

export interface PasserParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly self: CenterFace;
  /** When this relay may send. */
  readonly transfer: () => { readonly windows: string; readonly zone: string };
  /** Told of a snapshot that must come from below again. */
  readonly onChange: (snapshot: SnapshotId) => void;
}

/** A relay passes on what others signed: what is lost of it comes from below again, and is closed by its owner only. */
export class PassedOn implements Sender {
  readonly #parts: PasserParts;

  constructor(parts: PasserParts) {
    this.#parts = parts;
  }

  async wishes(row: SnapshotRow, centers: readonly CenterId[]): Promise<Wishes> {
    const { windows, zone } = this.#parts.transfer();
    const { free_after: freeAfter, new_bytes: bytes, new_blocks: blocks } = row;
    return { transfer: windows, zone, centers, freeAfter, bytes, blocks };
  }

  /** Custody that cannot be kept is taken back: below it is offered again, if it is there still. */
  async lost(snapshot: SnapshotId, { code, why }: Loss): Promise<void> {
    const { depot, ledger, world, self, onChange } = this.#parts;
    const now = world.clock.now();
    await ledger.transaction(async (db) => {
      await custodyTakenBack(db, snapshot, self.id, now);
      await appendHistory(db, snapshot, 'failed', now, { center: self.id, code });
    });
    await depot.unpin(snapshot);
    const message = `snapshot ${shortId(snapshot)} is damaged here and must come from below again: ${why}`;
    world.monitor.event({ kind: 'alarm', code, message });
    onChange(snapshot);
  }

  /** Its owner hears of it, and takes a backup without base. */
  async behind(_db: Database, snapshot: SnapshotId): Promise<void> {
    this.#parts.onChange(snapshot);
  }

  async custodyLost(snapshot: SnapshotId, holder: CenterFace): Promise<void> {
    const { ledger, world, onChange } = this.#parts;
    const now = world.clock.now();
    for (const { center, phase } of await copiesOf(ledger.db, snapshot)) {
      if (phase !== 'held' || center === this.#parts.self.id) continue;
      await setPhase(ledger.db, { snapshot, center, phase: 'stuck', code: 'custody-lost', until: null }, now);
    }
    const message = `${holder.name} has lost snapshot ${shortId(snapshot)}, which this relay had freed on its word`;
    world.monitor.event({ kind: 'alarm', code: 'custody-lost', message });
    onChange(snapshot);
  }

  async members(): Promise<readonly Member[]> {
    const rows = await listMembers(this.#parts.ledger.db);
    return rows.map(({ membership, name }) => ({ membership, name }));
  }
}
