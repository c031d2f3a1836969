import { z } from 'zod';
import { bufferOf, freeAtOnce } from '../model/bytes.ts';
import { type ErrorCode, errorRegistry, LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import type { SealedBlock } from '../format/block.ts';
import { Gatherer } from './gatherer.ts';
import { parseStrictJson } from './strict-json.ts';

/**
 * A stream of frames (protocol R40-R43): four bytes of length, big-endian, then as many bytes. Length 0 ends the stream;
 * with the highest bit set the frame is an error, and ends it too. A stream that just stops was cut.
 */
export const ID_BYTES = 32;
const LENGTH_BYTES = 4;
const ERROR_BIT = 0x8000_0000;
const ERROR_BYTES_MAX = 4096;

export const END_FRAME: Uint8Array = new Uint8Array(LENGTH_BYTES);

/** Two pieces, so that a block's bytes need not be copied. */
export function blockFrame(block: SealedBlock): readonly [head: Uint8Array, bytes: Uint8Array] {
  const head = Buffer.alloc(LENGTH_BYTES + ID_BYTES);
  head.writeUInt32BE(ID_BYTES + block.bytes.length);
  head.write(block.id, LENGTH_BYTES, 'hex');
  return [head, block.bytes];
}

/** @param ids at least one: a frame of length 0 would end the stream */
export function idsFrame(ids: readonly BlockId[]): Uint8Array {
  if (ids.length === 0) throw new TypeError('a frame of ids needs at least one');
  const frame = Buffer.alloc(LENGTH_BYTES + ids.length * ID_BYTES);
  frame.writeUInt32BE(ids.length * ID_BYTES);
  ids.forEach((id, at) => frame.write(id, LENGTH_BYTES + at * ID_BYTES, 'hex'));
  return frame;
}

export function errorFrame(code: ErrorCode, message: string): Uint8Array {
  const text = encodeError(code, message);
  const frame = Buffer.alloc(LENGTH_BYTES + text.length);
  frame.writeUInt32BE((ERROR_BIT | text.length) >>> 0);
  frame.set(text, LENGTH_BYTES);
  return frame;
}

export function encodeIds(ids: readonly BlockId[]): Uint8Array {
  return ids.length === 0 ? new Uint8Array(0) : idsFrame(ids).subarray(LENGTH_BYTES);
}

/** @throws LowtideError `bad-request` */
export function decodeIds(bytes: Uint8Array): BlockId[] {
  if (bytes.length % ID_BYTES !== 0) {
    throw new LowtideError('bad-request', `a list of ids is a multiple of ${ID_BYTES} bytes long`);
  }
  const hex = bufferOf(bytes).toString('hex');
  const digits = 2 * ID_BYTES;
  return Array.from(
    { length: bytes.length / ID_BYTES },
    (_, at) => hex.slice(at * digits, (at + 1) * digits) as BlockId,
  );
}

/** The block as its sender named it: whether the bytes hash to the id is for the receiver to check. */
export function decodeBlock(frame: Uint8Array): SealedBlock {
  if (frame.length <= ID_BYTES) throw new LowtideError('bad-request', 'a block frame has no block');
  return { id: bufferOf(frame).toString('hex', 0, ID_BYTES) as BlockId, bytes: frame.subarray(ID_BYTES) };
}

const errorShape = z.object({ code: z.string().max(100), message: z.string().max(2000) });
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** `{ code, message }` as JSON: the body of every refusal, and of an error frame. */
export function encodeError(code: ErrorCode, message: string): Buffer {
  return Buffer.from(JSON.stringify({ code, message: message.toWellFormed().slice(0, 500) }), 'utf8');
}

/** What a peer says went wrong, with nothing in it that could forge output; null if it does not say it properly. */
export function decodeError(bytes: Uint8Array): LowtideError | null {
  try {
    return errorOf(parseStrictJson(bytes));
  } catch {
    return null;
  }
}

/** The same, of `{ code, message }` that is read already. */
export function errorOf(value: unknown): LowtideError | null {
  const result = errorShape.safeParse(value);
  if (!result.success) return null;
  const { code, message } = result.data;
  const known = Object.hasOwn(errorRegistry, code) ? (code as ErrorCode) : 'bad-answer';
  return new LowtideError(known, message.replaceAll(UNPRINTABLE, '?'));
}

/** Who sends: a client (`below`), whose every mistake is a bad request, or a center (`above`). */
export type Side = 'below' | 'above';

/**
 * The frames of a stream, up to its end frame; an error frame is thrown. What a center says went wrong keeps its code.
 * @param chunks several at once; given up to the reader, which frees them
 * @param frameBytesMax of one frame; nothing is kept beyond one frame and the chunks that came together
 * @throws LowtideError from below `bad-request`, `too-large`; from above `center-unreachable` if the stream was cut,
 *   `bad-answer`, or what the center says
 */
export async function* readFrames(
  chunks: AsyncIterable<readonly Uint8Array[]>,
  frameBytesMax: number,
  side: Side,
): AsyncGenerator<Uint8Array> {
  const reader = new ChunkReader(chunks, side);
  try {
    for (;;) {
      const length = bufferOf(await reader.take(LENGTH_BYTES)).readUInt32BE();
      if (length === 0) return;
      if (length >= ERROR_BIT) throw await readError(reader, length - ERROR_BIT, side);
      if (length > frameBytesMax) {
        const code = side === 'below' ? 'too-large' : 'bad-answer';
        throw new LowtideError(code, `a frame has ${length} bytes, at most ${frameBytesMax} are allowed`);
      }
      yield await reader.take(length);
    }
  } finally {
    await reader.end();
  }
}

async function readError(reader: ChunkReader, length: number, side: Side): Promise<LowtideError> {
  const error = length > ERROR_BYTES_MAX ? null : decodeError(await reader.take(length));
  if (side === 'below') return new LowtideError('bad-request', `the client gave up: ${error?.message ?? ''}`);
  return (
    error ?? new LowtideError('bad-answer', 'the center ended the stream with an error that cannot be read')
  );
}

/** Cuts chunks of any size into the lengths that are asked for. A chunk is freed when nothing is left of it. */
class ChunkReader {
  readonly #source: AsyncIterator<readonly Uint8Array[]>;
  readonly #side: Side;
  /** What has come, from `#at` on, and `#offset` bytes of that are used up. */
  #chunks: readonly Uint8Array[] = [];
  #at = 0;
  #offset = 0;
  /** The longest that came so far: a stream of blocks need not grow its memory for each. */
  #longest = 0;

  constructor(source: AsyncIterable<readonly Uint8Array[]>, side: Side) {
    this.#source = source[Symbol.asyncIterator]();
    this.#side = side;
  }

  async take(length: number): Promise<Uint8Array> {
    const gatherer = new Gatherer(length, this.#longest);
    this.#moveTo(gatherer);
    while (gatherer.missing > 0) {
      const next = await this.#source.next();
      if (next.done === true) throw this.#wasCut();
      this.#chunks = next.value;
      this.#at = 0;
      this.#moveTo(gatherer);
    }
    this.#longest = Math.max(this.#longest, length);
    return gatherer.bytes();
  }

  #moveTo(gatherer: Gatherer): void {
    for (; this.#at < this.#chunks.length; this.#at++) {
      const chunk = this.#chunks[this.#at]!;
      this.#offset += gatherer.push(this.#offset === 0 ? chunk : chunk.subarray(this.#offset));
      if (this.#offset < chunk.length) return;
      freeAtOnce(chunk);
      this.#offset = 0;
    }
  }

  #wasCut(): LowtideError {
    const code = this.#side === 'below' ? 'bad-request' : 'center-unreachable';
    return new LowtideError(code, 'the stream was cut before its end');
  }

  async end(): Promise<void> {
    await this.#source.return?.();
  }
}
