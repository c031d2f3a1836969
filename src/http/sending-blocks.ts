import type { ClientRequest } from 'node:http';
import type { SealedBlock } from '../format/block.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import { untilStopped } from '../model/stopping.ts';
import { freeAtOnce } from '../model/bytes.ts';
import { blockFrame, decodeIds, END_FRAME, ID_BYTES, readFrames } from '../protocol/frames.ts';
import { type Pace, PacedBlocks } from '../protocol/pace.ts';
import { connectError } from './connecting.ts';
import { FAST_AHEAD_BYTES, Outflow } from './outflow.ts';
import { patiently } from './patience.ts';
import type { Asking, Requester } from './requester.ts';

/**
 * One request and its answer at the same time: blocks go out while ids that are durable come in. Ends when the center
 * ends it, whether or not everything was sent.
 */
export async function* sendBlocks(
  requester: Requester,
  asking: Asking,
  from: AsyncIterable<SealedBlock>,
  limits: Limits,
): AsyncGenerator<readonly BlockId[]> {
  const over = new AbortController();
  const request = requester.request(asking);
  const sending = new Sending(request, requester);
  const pumping = sending.pump(from, over.signal);
  let reusable = false;
  try {
    const response = await requester.answer(request, asking);
    // The connection's own timer watches both directions: while we send, an answer may take its time.
    const patience = {
      ...requester.patience(),
      idle_ms: requester.limits.commit_ms,
      bytes_per_second_min: 0,
    };
    const most = limits.ids_per_message * ID_BYTES;
    for await (const frame of readFrames(patiently(response, patience), most, 'above')) {
      yield decodeIds(frame);
    }
    response.resume();
    reusable = request.writableFinished;
  } catch (error) {
    throw sending.failure ?? error;
  } finally {
    over.abort();
    await pumping;
    if (!reusable) request.destroy();
  }
}

class Sending {
  /** Why the source of the blocks ended early: that, and not what it broke, is what the caller must hear. */
  failure: unknown;
  readonly #request: ClientRequest;
  readonly #requester: Requester;

  constructor(request: ClientRequest, requester: Requester) {
    this.#request = request;
    this.#requester = requester;
  }

  /** False if it is over. */
  async #send(block: SealedBlock, outflow: Outflow, pace: Pace | null, over: AbortSignal): Promise<boolean> {
    const parts = blockFrame(block);
    let left = parts.reduce((sum, part) => sum + part.length, 0);
    for (const part of parts) {
      for (const piece of piecesOf(part, pace)) {
        await pace?.take(bytesOnWire(piece.length), over);
        if (over.aborted) return false;
        await outflow.send([piece], isUnpaced(pace) ? FAST_AHEAD_BYTES : undefined, () => {
          left -= piece.length;
          if (left === 0) freeAtOnce(block.bytes);
        });
      }
    }
    return true;
  }

  /** Never rejects. */
  async pump(from: AsyncIterable<SealedBlock>, over: AbortSignal): Promise<void> {
    const { limits } = this.#requester;
    const patience = {
      ...this.#requester.patience(over),
      // The reader of the answer learns of a broken connection by itself.
      broken: (cause: unknown) => new Ended('the connection broke', { cause }),
      late: () => new LowtideError('center-unreachable', 'the center stopped reading'),
      idle_ms: limits.idle_ms,
    };
    const pace = from instanceof PacedBlocks ? from.pace : null;
    pace?.inPieces();
    const outflow = new Outflow(this.#request, patience);
    try {
      for await (const block of untilStopped(from, over)) {
        if (!(await this.#send(block, outflow, pace, over))) return;
      }
      if (!over.aborted) this.#request.end(END_FRAME);
    } catch (error) {
      if (over.aborted || error instanceof Ended) return;
      this.failure = error;
      this.#request.destroy(connectError(error, null));
    }
  }
}

/** As they are to be written, one by one, so that a slow grant is kept within a block too. */
function* piecesOf(bytes: Uint8Array, pace: Pace | null): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const end = isUnpaced(pace) ? bytes.length : at + pace.pieceBytes;
    yield bytes.subarray(at, end);
    at = end;
  }
}

const CHUNK_FRAME_BYTES = 10;
const RECORD_BYTES = 16 * 1024;
const RECORD_FRAME_BYTES = 22;

/** With what HTTP adds to each chunk (RFC 9112, 7.1) and TLS 1.3 to each record (RFC 8446, 5.2): a grant is of bytes on the line. */
function bytesOnWire(bytes: number): number {
  return bytes + CHUNK_FRAME_BYTES + RECORD_FRAME_BYTES * Math.ceil(bytes / RECORD_BYTES);
}

/** It goes as fast as it can, now. */
function isUnpaced(pace: Pace | null): pace is null | (Pace & { readonly bytesPerSecond: null }) {
  return pace === null || pace.bytesPerSecond === null;
}

/** The other side does not listen any more. */
class Ended extends Error {}
