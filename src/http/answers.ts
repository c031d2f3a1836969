import type { ServerResponse } from 'node:http';
import { encodeError } from '../protocol/frames.ts';
import { type HttpLimits, JSON_TYPE } from './http-limits.ts';
import { patienceFor } from './patience.ts';
import type { Refusal } from './refusals.ts';

/** Writes a whole answer. A peer that does not read it in its time loses its connection, and with it our memory. */
export function answer(
  response: ServerResponse,
  limits: HttpLimits,
  status: number,
  type: string,
  body: Uint8Array,
): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(status, { 'content-type': type, 'content-length': body.length });
  response.end(body);
  if (response.writableFinished) return;
  const timer = setTimeout(() => response.destroy(), patienceFor(body.length, limits));
  response.once('close', () => clearTimeout(timer));
}

export function refuse(
  response: ServerResponse,
  limits: HttpLimits,
  refusal: Pick<Refusal, 'status' | 'code' | 'message'>,
): void {
  answer(response, limits, refusal.status, JSON_TYPE, encodeError(refusal.code, refusal.message));
}

/**
 * What is left of a request after its answer is read and dropped for a while: closing at once would reset the
 * connection, and the peer might never see why.
 */
export function lingerAfter(response: ServerResponse, limits: HttpLimits): void {
  response.once('finish', () => {
    const { req: request } = response;
    if (request.complete || request.destroyed) return;
    const timer = setTimeout(() => request.socket.destroy(), limits.linger_ms);
    request.once('close', () => clearTimeout(timer));
    request.once('end', () => clearTimeout(timer));
    request.resume();
  });
}
