import { appendHistory } from '../ledger/history.ts';
import type { Database, Ledger } from '../ledger/ledger.ts';
import { membersToTell } from '../ledger/members.ts';
import { copiesOf } from '../ledger/copies.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import { custodyTakenBack } from '../ledger/custodies.ts';
import type { SnapshotRow } from '../ledger/tables.ts';
import { type ErrorCode, isLowtideError, LowtideError } from '../model/errors.ts';
import type { CenterFace, Wishes } from '../model/exchange.ts';
import { type BlockId, type CenterId, type ClientId, shortId, type SnapshotId } from '../model/ids.ts';
import type { Depot } from '../depot/depot.ts';
import type { World } from '../world/ports.ts';
import type { Holder, KnownMember, Loss, Sender } from './parts.ts';

/** What a record that counts for nothing is refused with. */
const NO_WORD: readonly ErrorCode[] = [
  'no-such-snapshot',
  'not-enrolled',
  'damaged-manifest',
  'newer-format',
  'wrong-signature',
  'bad-request',
];

export interface PasserParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly self: CenterFace;
  /** When this relay may send. */
  readonly transfer: () => { readonly windows: string; readonly zone: string };
  /** Which of these blocks all these centers have. @throws LowtideError if nobody can be asked */
  readonly stored: (
    client: ClientId,
    centers: readonly CenterId[],
    ids: readonly BlockId[],
  ) => Promise<ReadonlySet<BlockId>>;
  /** Closes what its owner has signed, as if that had come from below. @throws LowtideError if it does not count */
  readonly close: (snapshot: SnapshotId, record: Uint8Array) => Promise<void>;
  /** Takes over words of machines that they have left, as if these had come from below. */
  readonly left: (words: readonly Uint8Array[]) => Promise<void>;
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
    const { free_after: freeAfter, new_bytes: bytes, new_blocks: blocks, target } = row;
    const wishes = { transfer: windows, zone, centers, freeAfter, bytes, blocks };
    return target === null ? wishes : { ...wishes, target };
  }

  async lost(snapshot: SnapshotId, { code, why, block }: Loss): Promise<void> {
    if (block !== undefined && code === 'block-unavailable') await this.#mustBeHere(snapshot, block);
    const message = `snapshot ${shortId(snapshot)} is damaged here and must come from below again: ${why}`;
    await this.#takeBack(snapshot, code, message);
  }

  /**
   * What every center had when custody was given did not come here; a node above that could not ask them for a while asks
   * for it all the same.
   */
  async #mustBeHere(snapshot: SnapshotId, block: BlockId): Promise<void> {
    const { ledger, self, stored } = this.#parts;
    const row = await findSnapshot(ledger.db, snapshot);
    if (row === null || row.free_after === 'custody') return;
    const open = (await copiesOf(ledger.db, snapshot)).filter(
      ({ center, phase }) => center !== self.id && phase !== 'safe' && phase !== 'void',
    );
    const there = await stored(
      row.client,
      open.map(({ center }) => center),
      [block],
    );
    if (!there.has(block)) return;
    const message = `block ${shortId(block)} is above already: it need not be sent`;
    throw new LowtideError('center-unreachable', message);
  }

  /** Custody that cannot be kept is taken back: below it is offered again, if it is there still. */
  async #takeBack(snapshot: SnapshotId, code: ErrorCode, message: string): Promise<void> {
    const { depot, ledger, world, self, onChange } = this.#parts;
    const now = world.clock.now();
    await ledger.transaction(async (db) => {
      await custodyTakenBack(db, snapshot, self.id, now);
      await appendHistory(db, snapshot, 'failed', now, { center: self.id, code });
    });
    await depot.unpin(snapshot);
    world.monitor.event({ kind: 'alarm', code, message });
    onChange(snapshot);
  }

  /** As it came from below. */
  async closing(snapshot: SnapshotId): Promise<Uint8Array | null> {
    return await this.#parts.depot.voidRecord(snapshot);
  }

  /** Its owner told it another way, and may never come this way again. */
  async closedAbove(snapshot: SnapshotId, record: Uint8Array): Promise<boolean> {
    try {
      await this.#parts.close(snapshot, record);
    } catch (error) {
      if (isLowtideError(error, ...NO_WORD)) return false;
      throw error;
    }
    this.#parts.onChange(snapshot);
    return true;
  }

  /** Its owner hears of it, and takes a backup without base. */
  async behind(_db: Database, snapshot: SnapshotId): Promise<void> {
    this.#parts.onChange(snapshot);
  }

  /** What this relay freed on the word of another is not in its custody either, if that one has lost it. */
  async custodyLost(snapshot: SnapshotId, holder: Holder): Promise<void> {
    const why =
      holder.wasLeft === true
        ? `this relay has left ${holder.name}, which alone has snapshot ${shortId(snapshot)}`
        : `${holder.name} has lost snapshot ${shortId(snapshot)}, which this relay had freed on its word`;
    const message = `${why}: it must come from below again`;
    await this.#takeBack(snapshot, 'custody-lost', message);
  }

  async members(): Promise<readonly KnownMember[]> {
    const rows = await membersToTell(this.#parts.ledger.db);
    // Nobody above knows a machine's relay before that was told of.
    const relaysFirst = [
      ...rows.filter(({ node }) => node !== null),
      ...rows.filter(({ node }) => node === null),
    ];
    return relaysFirst.map(({ membership, name, client }) => ({ membership, name, client }));
  }

  async left(words: readonly Uint8Array[]): Promise<void> {
    try {
      await this.#parts.left(words);
    } catch (error) {
      if (!isLowtideError(error, ...NO_WORD)) throw error;
    }
  }
}
