import type { DomainKeys } from '../../format/domain-keys.ts';
import type { Limits } from '../../model/limits.ts';
import type { SourceFile, World } from '../../world/ports.ts';
import { later } from '../ahead.ts';
import { Cutter } from './chunker.ts';
import { type CutRule, WINDOW_BYTES } from './gear.ts';
import { type Segment, segmentsOf } from './segments.ts';
import type { Slab, SlabPool } from './slabs.ts';
import { digestTask, scanTask } from './tasks.ts';

/** What a large file is made of, in order. */
export type FilePart =
  | { readonly kind: 'hole'; readonly length: number }
  /** All of a file that is short enough for the tree itself. */
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'chunks';
      /** Whole chunks, in `slab`. */
      readonly chunks: readonly Uint8Array[];
      /** Of each chunk: see `digestAt`. */
      readonly digests: Promise<string>;
      /** To be released when the chunks have been dealt with. */
      readonly slab: Slab;
    };

export interface StreamContext {
  readonly world: World;
  readonly keys: DomainKeys;
  readonly rule: CutRule;
  /** Slabs of `largeSlabBytes`. */
  readonly slabs: SlabPool;
}

/** Bytes that are read at once: a few pieces of a file, or a few files, are under way in little memory. */
function pieceBytes(limits: Limits): number {
  return Math.ceil(limits.file_read_bytes / 2);
}

/** Room for the chunk that the piece before has not ended, then a piece of a file. */
export function largeSlabBytes(context: Pick<StreamContext, 'world' | 'rule'>): number {
  return context.rule.max + pieceBytes(context.world.limits);
}

/** A hole of at least this many bytes is kept as one: a quarter of the least chunk (64 KiB). */
export function leastHole(rule: CutRule): number {
  return rule.min / 4;
}

/** What of a file is to be read. */
export interface Span {
  readonly from: number;
  readonly size: number;
  /** Whether the file may have holes. */
  readonly sparse: boolean;
}

export type Piece =
  | Exclude<FilePart, { readonly kind: 'chunks' }>
  | {
      readonly kind: 'data';
      readonly slab: Slab;
      /** Where the piece is in the slab: there is room for a whole chunk before it. */
      readonly start: number;
      readonly length: number;
      readonly position: number;
      /** Of its run of data. */
      readonly isFirst: boolean;
      readonly isLast: boolean;
      readonly candidates: Promise<readonly number[]>;
    };

/**
 * Reads a file once, from `from` (a cut, or 0) to `size`. What is missing because the file has become shorter is given as
 * a hole.
 */
export async function* readPieces(
  context: StreamContext,
  file: SourceFile,
  { from, size, sparse }: Span,
): AsyncGenerator<Piece> {
  const segments = sparse
    ? segmentsOf(file, from, size, leastHole(context.rule))
    : [{ kind: 'data' as const, start: from, end: size }];
  for await (const segment of segments) {
    if (segment.kind === 'hole') {
      yield { kind: 'hole', length: segment.end - segment.start };
      continue;
    }
    const end = yield* readSegment(context, file, segment);
    if (end === segment.end) continue;
    yield { kind: 'hole', length: size - end };
    return;
  }
}

/** Gives the position at which the run of data has ended: earlier than it should if the file has become shorter. */
async function* readSegment(
  context: StreamContext,
  file: SourceFile,
  { start, end }: Segment,
): AsyncGenerator<Piece, number> {
  const { rule, slabs } = context;
  const most = pieceBytes(context.world.limits);
  let tail: Uint8Array = new Uint8Array(0);
  let position = start;
  while (position < end) {
    const slab = await slabs.take();
    const wanted = Math.min(most, end - position);
    const length = await readInto(file, slab, rule.max, wanted, position);
    slab.bytes.set(tail, rule.max - tail.length);
    const bytes = slab.bytes.subarray(rule.max - tail.length, rule.max + length);
    const isLast = length < wanted || position + length === end;
    yield {
      kind: 'data',
      slab,
      start: rule.max,
      length,
      position,
      isFirst: position === start,
      isLast,
      // A run of data no longer than the least chunk is one chunk.
      candidates: end - start <= rule.min ? Promise.resolve([]) : candidatesIn(context, bytes, tail.length),
    };
    tail = bytes.slice(Math.max(0, bytes.length - WINDOW_BYTES));
    position += length;
    if (isLast) break;
  }
  return position;
}

async function readInto(
  file: SourceFile,
  slab: Slab,
  start: number,
  length: number,
  position: number,
): Promise<number> {
  try {
    return await file.read(slab.bytes.subarray(start, start + length), position);
  } catch (error) {
    slab.release();
    throw error;
  }
}

/** As `GearKernel.find`, but counted from the end of the window that precedes the piece. */
function candidatesIn(
  { world, keys, rule }: StreamContext,
  bytes: Uint8Array,
  window: number,
): Promise<readonly number[]> {
  const scanning = world.work.run(scanTask, { bytes, from: window, gear: keys.gear, rule });
  return later(scanning.then((found) => found.map((candidate) => candidate - 2 * window)));
}

/** Cuts what was read (format F13, F14): each run of data between holes is cut like a file of its own. */
export async function* cutPieces(
  context: StreamContext,
  pieces: AsyncIterable<Piece>,
): AsyncGenerator<FilePart> {
  let cutter = new Cutter(context.rule, 0);
  /** The beginning of a chunk that goes on in the next piece. */
  let rest: { readonly bytes: Uint8Array; readonly slab: Slab } | null = null;
  try {
    for await (const piece of pieces) {
      if (piece.kind !== 'data') {
        yield piece;
        continue;
      }
      if (piece.isFirst) cutter = new Cutter(context.rule, piece.position);
      cutter.feed(await piece.candidates, piece.position, piece.position + piece.length);
      const from = piece.start - (rest?.bytes.length ?? 0);
      if (rest !== null) {
        piece.slab.bytes.set(rest.bytes, from);
        rest.slab.release();
      }
      const { ranges, end } = cutPiece(cutter, piece, from);
      rest = end === piece.start + piece.length ? null : restOf(piece, end);
      yield chunksPart(context, piece.slab, ranges);
    }
  } finally {
    rest?.slab.release();
  }
}

type DataPiece = Extract<Piece, { kind: 'data' }>;

/** Start and length of each chunk in the slab, and where the last one ends. */
function cutPiece(
  cutter: Cutter,
  piece: DataPiece,
  from: number,
): { readonly ranges: number[]; readonly end: number } {
  const ranges: number[] = [];
  let end = from;
  for (let cut = cutter.next(piece.isLast); cut !== null; cut = cutter.next(piece.isLast)) {
    const to = piece.start + (cut - piece.position);
    ranges.push(end, to - end);
    end = to;
  }
  return { ranges, end };
}

function restOf({ slab, start, length }: DataPiece, from: number): { bytes: Uint8Array; slab: Slab } {
  slab.hold();
  return { bytes: slab.bytes.subarray(from, start + length), slab };
}

function chunksPart({ world, keys }: StreamContext, slab: Slab, ranges: readonly number[]): FilePart {
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    const start = ranges[i]!;
    chunks.push(slab.bytes.subarray(start, start + ranges[i + 1]!));
  }
  const input = { key: keys.chunk, bytes: slab.bytes, ranges };
  const digests = ranges.length === 0 ? Promise.resolve('') : later(world.work.run(digestTask, input));
  return { kind: 'chunks', chunks, digests, slab };
}
