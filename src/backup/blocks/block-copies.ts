import { bufferOf } from '../../model/bytes.ts';
import type { Limits } from '../../model/limits.ts';
import { DISK_PAGE_BYTES } from '../../world/disk/direct.ts';
import type { Disk } from '../../world/ports.ts';

/** One piece of memory with copies of several blocks. */
interface Segment {
  readonly bytes: Uint8Array;
  used: number;
  /** Copies in it that are still needed, and one for being filled. */
  holders: number;
}

/**
 * Copies of sealed blocks until they are durable: close together, as many of them are much smaller than the memory they
 * were sealed in, in memory that is used again and that they can be written from.
 */
export class BlockCopies {
  readonly #disk: Pick<Disk, 'memoryForWrites'>;
  readonly #segmentBytes: number;
  readonly #spare: Segment[] = [];
  #current: Segment | null = null;
  /** Bytes of all segments. */
  heldBytes = 0;

  constructor(
    disk: Pick<Disk, 'memoryForWrites'>,
    limits: Pick<Limits, 'chunk_bytes_max' | 'block_plain_bytes'>,
  ) {
    this.#disk = disk;
    this.#segmentBytes = limits.chunk_bytes_max + limits.block_plain_bytes;
  }

  /** @param position where it will be in its file */
  copy(bytes: Uint8Array, position: number): { readonly bytes: Uint8Array; readonly release: () => void } {
    const segment = this.#withRoom(bytes.length, position % DISK_PAGE_BYTES);
    const end = segment.used + bytes.length;
    // Not with `set`, which copies byte by byte from shared memory to a place that is aligned in another way.
    bufferOf(bytes).copy(segment.bytes, segment.used);
    const copied = segment.bytes.subarray(segment.used, end);
    segment.used = end;
    segment.holders++;
    return { bytes: copied, release: () => this.#release(segment) };
  }

  /** One whose next free byte is at this place of a page. */
  #withRoom(length: number, place: number): Segment {
    const current = this.#current;
    if (current !== null) {
      current.used += (place - current.used) & (DISK_PAGE_BYTES - 1);
      if (current.used + length <= current.bytes.length) return current;
      this.#release(current);
    }
    const isUsual = place + length <= this.#segmentBytes;
    const next = (isUsual ? this.#spare.pop() : undefined) ?? this.#newSegment(place + length);
    next.used = place;
    next.holders = 1;
    this.#current = next;
    return next;
  }

  /** A block larger than a segment gets one of its own, which is not kept. */
  #newSegment(length: number): Segment {
    const bytes = this.#disk.memoryForWrites(Math.max(length, this.#segmentBytes));
    this.heldBytes += bytes.length;
    return { bytes, used: 0, holders: 0 };
  }

  #release(segment: Segment): void {
    segment.holders--;
    if (segment.holders > 0) return;
    if (segment.bytes.length === this.#segmentBytes) this.#spare.push(segment);
    else this.heldBytes -= segment.bytes.length;
  }
}
