import type { ServerResponse } from 'node:http';
import type { SealedBlock } from '../format/block.ts';
import { freeAtOnce } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import { type BlockId, parseOrderId, parseSnapshotId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import { encodeMessage } from '../protocol/fields.ts';
import {
  blockFrame,
  decodeBlock,
  encodeError,
  END_FRAME,
  errorFrame,
  ID_BYTES,
  idsFrame,
  readFrames,
} from '../protocol/frames.ts';
import { orderMessage } from '../protocol/messages.ts';
import { withBeats } from './beats.ts';
import { checkType, cutOff, readIds, slow } from './bodies.ts';
import { checkStanding } from './caller.ts';
import { FRAMES_TYPE, LINES_TYPE } from './http-limits.ts';
import { FAST_AHEAD_BYTES, Outflow } from './outflow.ts';
import { type Patience, patiently } from './patience.ts';
import type { Refusal } from './refusals.ts';
import type { Answer, CallerExchange, Route, Service } from './routing.ts';

/** Long answers and long requests (protocol R30-R35). */
export const streamRoutes: readonly Route[] = [
  { method: 'GET', path: '/v1/orders', open: false, handle: giveOrders },
  { method: 'POST', path: '/v1/orders/:id/blocks', open: false, handle: takeBlocks },
  { method: 'POST', path: '/v1/snapshots/:id/blocks', open: false, handle: giveBlocks },
];

async function giveOrders(service: Service, exchange: CallerExchange): Promise<Answer> {
  const { response, api } = exchange;
  const watch = watchStream(service, exchange);
  const lines = withBeats(api.orders(watch.signal), service.world.limits.heartbeat_ms, watch.signal);
  const writing = { begin: LINES_TYPE, end: Buffer.from('{"end":true}\n'), error: errorLine };
  try {
    await writeStream(response, watch, writing, lines, (line) => [
      Buffer.from(
        line === null
          ? '{"beat":true}\n'
          : `{"order":${encodeMessage(orderMessage, line.item).toString()}}\n`,
      ),
    ]);
  } finally {
    watch.end();
  }
  return null;
}

/** Blocks come in and acknowledgements go out at the same time. */
async function takeBlocks(service: Service, exchange: CallerExchange): Promise<Answer> {
  const { request, response, api } = exchange;
  const { limits } = service.world;
  const order = parseOrderId(exchange.id);
  checkType(request, FRAMES_TYPE);
  const watch = watchStream(service, exchange);
  try {
    const durable = api.blocks(order, blocksOf(exchange, watch.patience, limits));
    await writeStream(response, watch, framesWriting, durable, (ids) => idFrames(ids, limits));
  } finally {
    watch.end();
  }
  return null;
}

async function giveBlocks(service: Service, exchange: CallerExchange): Promise<Answer> {
  const { response, api } = exchange;
  const snapshot = parseSnapshotId(exchange.id);
  const ids = await readIds(exchange, service.world.limits.ids_per_message);
  const watch = watchStream(service, exchange);
  try {
    const blocks = api.fetch(snapshot, ids, watch.signal);
    await writeStream(response, watch, blocksWriting, blocks, blockFrame, ({ bytes }) => freeAtOnce(bytes));
  } finally {
    watch.end();
  }
  return null;
}

/** Nothing is asked for, or read, before somebody wants it: a refusal comes first. */
async function* blocksOf(
  { request, welcomeBody }: CallerExchange,
  patience: Patience,
  limits: Limits,
): AsyncGenerator<SealedBlock> {
  const most = limits.block_bytes_max + ID_BYTES;
  welcomeBody();
  for await (const frame of readFrames(patiently(request, patience), most, 'below')) yield decodeBlock(frame);
}

function idFrames(ids: readonly BlockId[], limits: Limits): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < ids.length; at += limits.ids_per_message) {
    frames.push(idsFrame(ids.slice(at, at + limits.ids_per_message)));
  }
  return frames;
}

interface Writing {
  readonly begin: string;
  readonly end: Uint8Array;
  readonly error: (refusal: Refusal) => Uint8Array;
  /** Bytes that the peer need not have taken before the next item is asked for. */
  readonly ahead?: number;
}

const framesWriting: Writing = {
  begin: FRAMES_TYPE,
  end: END_FRAME,
  error: ({ code, message }) => errorFrame(code, message),
};

const blocksWriting: Writing = { ...framesWriting, ahead: FAST_AHEAD_BYTES };

const errorLine: Writing['error'] = ({ code, message }) =>
  Buffer.from(`{"error":${encodeError(code, message).toString()}}\n`);

/**
 * Writes the items as they come. An error before the first of them is thrown, and so becomes a plain refusal; a later
 * one ends the stream in its own way.
 * @param taken told of each item whose bytes nobody looks at any more
 */
async function writeStream<T>(
  response: ServerResponse,
  watch: StreamWatch,
  writing: Writing,
  items: AsyncIterable<T>,
  piecesOf: (item: T) => readonly Uint8Array[],
  taken?: (item: T) => void,
): Promise<void> {
  const outflow = new Outflow(response, watch.patience);
  const begin = (): void => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': writing.begin });
  };
  try {
    for await (const item of items) {
      begin();
      await outflow.send(piecesOf(item), writing.ahead, () => taken?.(item));
    }
    watch.throwIfShutOut();
    begin();
    response.end(writing.end);
  } catch (error) {
    if (!response.headersSent) throw error;
    response.end(writing.error(watch.report(error)));
  }
}

interface StreamWatch {
  /** Aborts when the client is gone or shut out, or the server closes. */
  readonly signal: AbortSignal;
  readonly patience: Patience;
  /** That the server closes is an end like any other; that the client was shut out is not. */
  throwIfShutOut(): void;
  report(error: unknown): Refusal;
  end(): void;
}

/** Asks now and then whether the client is still let in: a revocation takes effect on open streams too (faults 26). */
function watchStream(service: Service, exchange: CallerExchange): StreamWatch {
  const { response, caller } = exchange;
  const { http, closing, enrollment } = service;
  const gone = new AbortController();
  const stop = (reason: unknown): void => gone.abort(reason);
  const onClose = (): void => stop(cutOff());
  const onClosing = (): void => stop(new LowtideError('center-unreachable', 'the center is shutting down'));
  const recheck = (): void => void checkStanding(caller, enrollment).catch(stop);
  const timer = setInterval(recheck, http.recheck_ms);
  response.once('close', onClose);
  closing.addEventListener('abort', onClosing, { once: true });
  if (closing.aborted) onClosing();
  const { idle_ms, bytes_per_second_min } = http;
  return {
    signal: gone.signal,
    patience: { idle_ms, bytes_per_second_min, stop: gone.signal, late: slow, broken: cutOff },
    throwIfShutOut: () => {
      if (gone.signal.aborted && !closing.aborted) throw gone.signal.reason;
    },
    report: (error) => service.report(exchange.request, error),
    end: () => {
      clearInterval(timer);
      response.off('close', onClose);
      closing.removeEventListener('abort', onClosing);
      // Whoever still reads the request lets go of it, so that its rest can be dropped.
      stop(cutOff());
    },
  };
}
