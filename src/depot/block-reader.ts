import { checkBlockIds, type Hashing, HEADER_BYTES, type SealedBlock } from '../format/block.ts';
import { mappedAhead } from '../model/ahead.ts';
import { freeAtOnce } from '../model/bytes.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { shortId, type BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type { Monitor } from '../world/ports.ts';
import type { BlockIndex } from './block-index.ts';
import type { BlockLocation } from './index-rows.ts';
import type { PackStore } from './pack-store.ts';

/** A block, or why it cannot be had: `block-unavailable`, `damaged-block`, `disk-failed`. */
export type BlockRead =
  | { readonly id: BlockId; readonly bytes: Uint8Array }
  | { readonly id: BlockId; readonly error: LowtideError };

/** One place of a block, looked at. */
export type PlaceRead =
  | { readonly location: BlockLocation; readonly bytes: Uint8Array }
  | { readonly location: BlockLocation; readonly error: LowtideError };

export interface ReaderParts {
  readonly limits: Limits;
  readonly store: PackStore;
  readonly index: BlockIndex;
  readonly monitor: Monitor;
  readonly work: Hashing;
  /** Null in a depot opened for reading: what is damaged is only told. */
  readonly quarantine: ((location: BlockLocation) => Promise<boolean>) | null;
}

/** Reads blocks by id. Whatever it hands out has been checked, where nothing else was asked for. */
export class BlockReader {
  readonly #parts: ReaderParts;
  /** Packs of which an alarm was raised: one is enough. */
  readonly #told = new Set<string>();

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /** @param checked false: only their length is looked at. What is read at a second place is checked all the same */
  async *read(ids: readonly BlockId[], stop?: AbortSignal, checked = true): AsyncGenerator<BlockRead> {
    const wanted = new Set(ids);
    const chosen = bestPlaces(await this.#parts.index.locations([...wanted]));
    for (const id of wanted) if (!chosen.has(id)) yield { id, error: unavailable(id) };
    wanted.clear();
    for await (const place of this.places([...chosen.values()], stop, checked)) {
      const { id } = place.location;
      if ('bytes' in place) yield { id, bytes: place.bytes };
      else yield await this.#elsewhere(place.location, place.error);
    }
  }

  async readOne(id: BlockId): Promise<Uint8Array> {
    const [place] = bestPlaces(await this.#parts.index.places(id)).values();
    if (place === undefined) throw unavailable(id);
    const read = await this.#readPlace(place);
    if ('bytes' in read) return read.bytes;
    const other = await this.#elsewhere(place, read.error);
    if ('bytes' in other) return other.bytes;
    throw other.error;
  }

  async #readPlace(place: BlockLocation): Promise<PlaceRead> {
    const { block_bytes_max: most } = this.#parts.limits;
    if (!isBelievable(place, most)) return { location: place, error: await this.#damaged(place) };
    const [read] = await this.#readRun([place]);
    return read!;
  }

  /** These places in pack order, neighbours in one read of the disk; what is damaged is quarantined. */
  async *places(
    locations: readonly BlockLocation[],
    stop?: AbortSignal,
    checked = true,
  ): AsyncGenerator<PlaceRead> {
    const { limits } = this.#parts;
    const believable = (place: BlockLocation): boolean => isBelievable(place, limits.block_bytes_max);
    for (const location of locations) {
      if (!believable(location)) yield { location, error: await this.#damaged(location) };
    }
    const sorted = locations.filter(believable).sort((a, b) => a.pack - b.pack || a.offset - b.offset);
    const read = (run: readonly BlockLocation[]): Promise<PlaceRead[]> => {
      if (stop?.aborted === true) throw new LowtideError('interrupted', 'reading blocks was interrupted');
      return this.#readRun(run, checked);
    };
    // What comes next is read and hashed while the reader works.
    const ahead = { weigh: lengthOf, most: limits.file_read_bytes };
    for await (const places of mappedAhead(runsOf(sorted, limits.file_read_bytes), read, ahead)) {
      while (places.length > 0) yield places.shift()!;
    }
  }

  /** Neighbours, in one read and hashed together. */
  async #readRun(run: readonly BlockLocation[], checked = true): Promise<PlaceRead[]> {
    const first = run[0]!;
    const bytes = await this.#tryRead(first, lengthOf(run));
    if (bytes instanceof LowtideError) {
      // One bad sector must not cost its neighbours.
      if (run.length > 1)
        return (await Promise.all(run.map((place) => this.#readRun([place], checked)))).flat();
      return [{ location: first, error: await this.#fault(first, bytes) }];
    }
    const blocks = run.map((location) => ({
      id: location.id,
      bytes: partOf(bytes, location, first.offset, run.length > 1),
    }));
    if (run.length > 1) freeAtOnce(bytes);
    const found = checked ? await checkBlockIds(this.#parts.work, blocks) : blocks;
    return await Promise.all(run.map((location, at) => this.#read(location, found[at] ?? null)));
  }

  async #read(location: BlockLocation, block: SealedBlock | null): Promise<PlaceRead> {
    if (block?.bytes.length === location.length) return { location, bytes: block.bytes };
    return { location, error: await this.#damaged(location) };
  }

  async #tryRead(from: BlockLocation, length: number): Promise<Uint8Array | LowtideError> {
    try {
      return await this.#parts.store.read(from.name, from.offset, length);
    } catch (error) {
      if (isLowtideError(error, 'disk-failed', 'not-found')) return error;
      throw error;
    }
  }

  /** A disk that fails to read may read again tomorrow; a pack that is gone is gone. */
  async #fault(location: BlockLocation, error: LowtideError): Promise<LowtideError> {
    return error.code === 'not-found' ? await this.#damaged(location) : error;
  }

  async #damaged(location: BlockLocation): Promise<LowtideError> {
    const { id, name, offset } = location;
    const message = `block ${shortId(id)} is damaged: the bytes at ${offset} of pack ${name} do not hash to its id`;
    const news = (await this.#parts.quarantine?.(location)) ?? false;
    if (news && !this.#told.has(name)) {
      this.#told.add(name);
      this.#parts.monitor.event({ kind: 'alarm', code: 'damaged-block', message });
    }
    return new LowtideError('damaged-block', message);
  }

  /** The block's other places: looked up anew, because a compaction may just have moved it. */
  async #elsewhere(tried: BlockLocation, error: LowtideError): Promise<BlockRead> {
    const places = await this.#parts.index.places(tried.id);
    if (places.length === 0) return { id: tried.id, error: unavailable(tried.id) };
    for (const place of places.toSorted(byState)) {
      if (place.pack === tried.pack || !isBelievable(place, this.#parts.limits.block_bytes_max)) continue;
      const [read] = await this.#readRun([place]);
      if (read !== undefined && 'bytes' in read) return { id: tried.id, bytes: read.bytes };
    }
    return { id: tried.id, error };
  }
}

function unavailable(id: BlockId): LowtideError {
  return new LowtideError('block-unavailable', `block ${shortId(id)} is not in this depot`);
}

const STATE_ORDER = { present: 0, condemned: 1, quarantined: 2 } as const;

function byState(a: BlockLocation, b: BlockLocation): number {
  return STATE_ORDER[a.state] - STATE_ORDER[b.state] || a.pack - b.pack;
}

function bestPlaces(locations: readonly BlockLocation[]): Map<BlockId, BlockLocation> {
  const best = new Map<BlockId, BlockLocation>();
  for (const location of locations) {
    const known = best.get(location.id);
    if (known === undefined || byState(location, known) < 0) best.set(location.id, location);
  }
  return best;
}

/** A damaged index must not make anybody ask for memory that nobody has. */
function isBelievable({ offset, length }: BlockLocation, maxBlock: number): boolean {
  return (
    Number.isSafeInteger(offset) && offset >= 0 && length >= HEADER_BYTES && length <= maxBlock + HEADER_BYTES
  );
}

/** A gap up to this share of a read is read over rather than skipped. */
const GAP_SHARE = 1 / 16;
/** A block of at least this share of a read is read alone, into memory of its own: copying it would cost more. */
const ALONE_SHARE = 1 / 8;

/** Small neighbours of one pack that are worth one read of at most `most` bytes. */
function* runsOf(sorted: readonly BlockLocation[], most: number): Generator<BlockLocation[]> {
  let run: BlockLocation[] = [];
  for (const location of sorted) {
    const [first, last] = [run[0], run.at(-1)];
    if (first !== undefined && last !== undefined) {
      const near =
        location.pack === last.pack &&
        Math.max(location.length, last.length) < most * ALONE_SHARE &&
        location.offset - (last.offset + last.length) <= most * GAP_SHARE &&
        location.offset + location.length - first.offset <= most;
      if (!near) {
        yield run;
        run = [];
      }
    }
    run.push(location);
  }
  if (run.length > 0) yield run;
}

function lengthOf(run: readonly BlockLocation[]): number {
  const last = run.at(-1)!;
  return last.offset + last.length - run[0]!.offset;
}

/** A copy if it shares the read with others: one small block must not hold on to all of it. */
function partOf(bytes: Uint8Array, location: BlockLocation, start: number, shared: boolean): Uint8Array {
  const at = location.offset - start;
  const part = bytes.subarray(at, at + location.length);
  // Not `slice`, which of a Buffer is a view.
  return shared ? new Uint8Array(part) : part;
}
