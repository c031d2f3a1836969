import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { BlockId } from '../model/ids.ts';
import { decodeMessage } from '../protocol/fields.ts';
import { decodeIds, ID_BYTES } from '../protocol/frames.ts';
import { Gatherer } from '../protocol/gatherer.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import { type HttpLimits, IDS_TYPE, JSON_TYPE } from './http-limits.ts';
import { patiently } from './patience.ts';
import { HttpRefusal } from './refusals.ts';

/** A request whose body has not been asked for yet. */
export interface Incoming {
  readonly request: IncomingMessage;
  readonly limits: HttpLimits;
  /** Sends the 100 that the client may be waiting for: only once the request has passed every check. */
  readonly welcomeBody: () => void;
}

// Trouble of the connection, and not of what was asked: whoever asks tries again.
export const slow = (): HttpRefusal =>
  new HttpRefusal(408, 'the request came too slowly', 'center-unreachable');
export const cutOff = (): HttpRefusal =>
  new HttpRefusal(400, 'the request was cut off', 'center-unreachable');

/** @throws HttpRefusal 415, 413, 408, LowtideError `bad-request` */
export async function readMessage<T>(incoming: Incoming, shape: z.ZodType<T>, bytesMax: number): Promise<T> {
  return decodeMessage(shape, parseStrictJson(await readBody(incoming, JSON_TYPE, bytesMax)), 'bad-request');
}

/** @throws HttpRefusal 415, 413, 408, LowtideError `bad-request` */
export async function readIds(incoming: Incoming, idsMax: number): Promise<BlockId[]> {
  return decodeIds(await readBody(incoming, IDS_TYPE, idsMax * ID_BYTES));
}

async function readBody(incoming: Incoming, type: string, bytesMax: number): Promise<Uint8Array> {
  const { request, limits } = incoming;
  checkType(request, type);
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax);
  incoming.welcomeBody();
  const { body_ms: idle_ms, bytes_per_second_min } = limits;
  const patience = { idle_ms, bytes_per_second_min, late: slow, broken: cutOff };
  const gatherer = new Gatherer(bytesMax);
  for await (const chunks of patiently(request, patience)) {
    if (!gatherer.pushAll(chunks)) throw tooLarge(bytesMax);
  }
  return gatherer.bytes();
}

/** @throws HttpRefusal 415 */
export function checkType(request: IncomingMessage, type: string): void {
  if (request.headers['content-type'] !== type) {
    throw new HttpRefusal(415, `the content type must be ${type}`);
  }
}

const tooLarge = (bytesMax: number): HttpRefusal =>
  new HttpRefusal(413, `at most ${bytesMax} bytes are accepted here`, 'too-large');
