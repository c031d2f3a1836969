import type { Arriving } from '../../collect/parts.ts';
import {
  type Begun,
  begunTransfers,
  bytesLeft,
  findOffer,
  giveUpTransfers,
  leastWaiting,
} from '../../ledger/offers.ts';
import { bytesText } from '../../model/bytes-text.ts';
import { LowtideError } from '../../model/errors.ts';
import { shortId, type SnapshotId } from '../../model/ids.ts';
import { DAY_MS, HOUR_MS } from '../../model/time.ts';
import type { RelayParts } from './parts.ts';
import { freeStore, type RelayUsage, relayUsage } from './store.ts';

/** What has begun keeps its place for so long after the last of it came: a week, and a day for who sends on one day of it. */
const PLACE_KEPT_MS = 8 * DAY_MS;
/**
 * Who was refused first gets the next room if something was passed on within this time: more than it may have to wait for
 * its next order (scheduling S47).
 */
const FIRST_MS = 2 * HOUR_MS;

/** Of the side that faces down. */
export interface Below {
  /** Transfers under way that there is room for. */
  readonly admitted: () => readonly SnapshotId[];
  /** Ends packs that nobody writes to now: until then nothing of them can go. */
  readonly endPacks: () => Promise<void>;
}

/** A transfer that asks for room. */
interface Asking {
  readonly snapshot: SnapshotId;
  /** Bytes that it may bring yet. */
  readonly left: number;
  readonly hasBegun: boolean;
  readonly others: readonly Begun[];
  /** Bytes of one that was refused before it, and gets the next room. What has begun gives way to nobody. */
  readonly before: number;
}

/**
 * The store's bounds (decision 43): what is there, and what transfers that have begun may bring yet, is at most the quota, so
 * that whatever has begun can end. To find out what may go costs a walk over all that is in custody, so it is tried only if
 * more can have become free since the last try.
 */
export class StoreRoom {
  readonly #parts: RelayParts;
  readonly #below: Below;
  /** Bytes beyond the cache's bounds that the last try left, because they live or their packs are mostly alive. */
  #left = 0;
  /** How full the store was when nothing could go. */
  #full: RelayUsage | null = null;
  /** Who was refused first, and when, by the monotonic clock. */
  #first: { readonly snapshot: SnapshotId; readonly bytes: number; readonly at: number } | null = null;
  /** When something was passed on last, by the monotonic clock. */
  #passedOnAt = -Infinity;
  /** Somebody has heard that it is full. */
  #told = false;

  constructor(parts: RelayParts, below: Below) {
    this.#parts = parts;
    this.#below = below;
  }

  /** Something is in custody no more. */
  passedOn(): void {
    this.#passedOnAt = this.#parts.world.clock.monotonic();
  }

  /** Keeps the cache within its bounds, give or take a pack, oldest first. */
  async trimCache(): Promise<void> {
    const { world } = this.#parts;
    const excess = await this.#excess();
    this.#left = Math.min(this.#left, Math.max(0, excess));
    if (excess < this.#left + world.limits.pack_bytes) return;
    await freeStore(this.#parts, excess);
    this.#left = Math.max(0, await this.#excess());
  }

  /**
   * Whether blocks that pass by may be kept. They may displace older ones, but not faster than those are trimmed, and
   * never what custody needs.
   */
  async mayCache(): Promise<boolean> {
    const { settings, world, depot } = this.#parts;
    const { cacheBytes, storeBytes } = settings;
    const { bytes } = await depot.usage();
    if (cacheBytes === 0 || bytes + (await this.coming()) >= storeBytes) return false;
    return (await this.#excess()) < this.#left + 2 * world.limits.pack_bytes;
  }

  /** Bytes that transfers which have begun may bring yet: kept free for them. */
  async coming(): Promise<number> {
    return bytesLeft(await begunTransfers(this.#parts.ledger.db, this.#below.admitted()));
  }

  /**
   * Lets a transfer begin, or go on, if there is room for all that it may bring.
   * @throws LowtideError `store-full`: before anything more is read, and no custody is given
   */
  async makeRoom({ snapshot, admit }: Arriving): Promise<void> {
    const { ledger, world } = this.#parts;
    if ((await this.#lacking(await this.#asking(snapshot))) > 0) {
      const before = world.clock.now() - PLACE_KEPT_MS;
      const gaveUp = await giveUpTransfers(ledger.db, before, this.#below.admitted());
      if (gaveUp || !(await this.#isFull())) await this.#free(snapshot);
      const asking = await this.#asking(snapshot);
      if ((await this.#lacking(asking)) > 0 && !(await this.#goesBeyond(asking)))
        throw await this.#refusal(asking);
    }
    if (this.#first?.snapshot === snapshot) this.#first = null;
    this.#told = false;
    admit();
  }

  /** How full it is, for people; `holds`: nothing that waits has room before something was passed on, as far as is known. */
  async fullness(): Promise<{ readonly holds: boolean; readonly text: string }> {
    const { settings, ledger, face } = this.#parts;
    const { storeBytes } = settings;
    const { bytes, custody } = await relayUsage(this.#parts);
    const coming = await this.coming();
    const least = custody > 0 && (await this.#isFull()) ? await leastWaiting(ledger.db, face.id) : null;
    const more = coming === 0 ? '' : `, ${bytesText(coming)} kept for what has begun to come`;
    return {
      holds: least !== null && bytes + coming + least > storeBytes,
      text: `${bytesText(bytes)} of ${bytesText(storeBytes)}, ${bytesText(custody)} of it in custody${more}`,
    };
  }

  async #excess(): Promise<number> {
    const { bytes, custody } = await relayUsage(this.#parts);
    return bytes - custody - this.#parts.settings.cacheBytes;
  }

  async #asking(snapshot: SnapshotId): Promise<Asking> {
    const { db } = this.#parts.ledger;
    const begun = await begunTransfers(db, this.#below.admitted());
    const others = begun.filter((each) => each.snapshot !== snapshot);
    const offer = await findOffer(db, snapshot);
    const { received = 0, wishes: { bytes } = { bytes: 0 } } = offer ?? {};
    const hasBegun = received > 0;
    const before = hasBegun || this.#first?.snapshot === snapshot ? 0 : this.#firstBytes();
    return { snapshot, left: Math.max(0, bytes - received), hasBegun, others, before };
  }

  #firstBytes(): number {
    if (this.#first === null) return 0;
    const since = Math.max(this.#first.at, this.#passedOnAt);
    return this.#parts.world.clock.monotonic() - since < FIRST_MS ? this.#first.bytes : 0;
  }

  /** Bytes too many, if it were let in. */
  async #lacking({ left, others, before }: Asking): Promise<number> {
    const { settings, depot } = this.#parts;
    const { bytes } = await depot.usage();
    return bytes + bytesLeft(others) + left + before - settings.storeBytes;
  }

  /**
   * However large it is, and whatever became of the quota: when there is nothing in custody that it could wait for, one that has
   * begun goes on if nothing else is under way, and another begins if nothing else has.
   */
  async #goesBeyond({ snapshot, hasBegun, others, before }: Asking): Promise<boolean> {
    const { custody } = await relayUsage(this.#parts);
    const alone = hasBegun
      ? this.#below.admitted().every((each) => each === snapshot)
      : others.length === 0 && before === 0;
    return custody === 0 && alone;
  }

  async #free(snapshot: SnapshotId): Promise<void> {
    const { limits } = this.#parts.world;
    await this.#below.endPacks();
    await freeStore(this.#parts, (await this.#lacking(await this.#asking(snapshot))) + limits.flush_bytes);
    this.#full = await relayUsage(this.#parts);
  }

  /** Nothing can have become free since nothing could go. */
  async #isFull(): Promise<boolean> {
    const { bytes, custody } = await relayUsage(this.#parts);
    return this.#full?.bytes === bytes && this.#full.custody === custody;
  }

  async #refusal({ snapshot, left, others }: Asking): Promise<LowtideError> {
    const { settings, world, face, depot } = this.#parts;
    const { bytes } = await depot.usage();
    const at = world.clock.monotonic();
    if (this.#first === null || this.#first.at < this.#passedOnAt)
      this.#first = { snapshot, bytes: left, at };
    const coming = bytesLeft(others);
    const kept = coming === 0 ? '' : ` and keeps ${bytesText(coming)} for what has begun to come`;
    const message = `${face.name} holds ${bytesText(bytes)} of ${bytesText(settings.storeBytes)}${kept}: it takes the ${bytesText(left)} of snapshot ${shortId(snapshot)} once enough was passed on`;
    // What waits only for others to end is not worth an alarm.
    if (!this.#told && this.#below.admitted().length === 0) {
      this.#told = true;
      world.monitor.event({ kind: 'alarm', code: 'store-full', message });
    }
    return new LowtideError('store-full', message);
  }
}
