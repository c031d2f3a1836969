import type { SourceFile } from '../../world/ports.ts';

/** A run of data or a hole of a file: [start, end). */
export interface Segment {
  readonly kind: 'data' | 'hole';
  readonly start: number;
  readonly end: number;
}

/**
 * The file's bytes from `from` to `size` as data and holes in turn. Holes shorter than `shortest` are data (zeros).
 * Bounded memory, however many holes there are.
 */
export async function* segmentsOf(
  file: SourceFile,
  from: number,
  size: number,
  shortest: number,
): AsyncGenerator<Segment> {
  let start = from;
  let end = from;
  while (end < size) {
    const next = await file.nextData(end);
    const dataStart = next === null ? size : Math.min(next.start, size);
    if (dataStart - end >= shortest) {
      if (end > start) yield { kind: 'data', start, end };
      yield { kind: 'hole', start: end, end: dataStart };
      start = dataStart;
    }
    // A run that ends where it starts would be asked for again and again.
    end = next === null ? size : Math.min(Math.max(next.end, dataStart, end + 1), size);
  }
  if (end > start) yield { kind: 'data', start, end };
}
