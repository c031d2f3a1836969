/** One piece of memory with copies of several blocks. */
interface Segment {
  readonly bytes: Uint8Array;
  used: number;
  /** Copies in it that are still needed, and one for being filled. */
  holders: number;
}

/**
 * Copies of sealed blocks until they are durable: close together, as many of them are much smaller than the memory they
 * were sealed in, and in memory that is used again.
 */
export class BlockCopies {
  readonly #segmentBytes: number;
  readonly #spare: Segment[] = [];
  #current: Segment | null = null;
  /** Bytes of all segments. */
  heldBytes = 0;

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes;
  }

  copy(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly release: () => void } {
    const segment = this.#withRoom(bytes.length);
    const copied = segment.bytes.subarray(segment.used, segment.used + bytes.length);
    copied.set(bytes);
    segment.used += bytes.length;
    segment.holders++;
    return { bytes: copied, release: () => this.#release(segment) };
  }

  #withRoom(length: number): Segment {
    const current = this.#current;
    if (current !== null && current.used + length <= current.bytes.length) return current;
    if (current !== null) this.#release(current);
    const next = (length <= this.#segmentBytes ? this.#spare.pop() : undefined) ?? this.#newSegment(length);
    next.used = 0;
    next.holders = 1;
    this.#current = next;
    return next;
  }

  /** A block larger than a segment gets one of its own, which is not kept. */
  #newSegment(length: number): Segment {
    const bytes = new Uint8Array(Math.max(length, this.#segmentBytes));
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
