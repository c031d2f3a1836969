import type { Enrolled } from '../identity/enrollment.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { encodeMessage } from '../protocol/fields.ts';
import { readMessage } from './bodies.ts';
import { JSON_TYPE } from './http-limits.ts';
import { enrolledMessage, joinMessage, renewMessage } from './join-messages.ts';
import type { Answer, Exchange, Route, Service } from './routing.ts';

const REQUEST_BYTES_MAX = 4096;

/** The three routes that need no certificate (protocol R50-R55). */
export const joinRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/health',
    open: true,
    handle: () => Promise.resolve({ type: JSON_TYPE, body: Buffer.from('{"status":"ok"}') }),
  },
  {
    method: 'POST',
    path: '/v1/join',
    open: true,
    handle: (service, exchange) =>
      watched(service, exchange, async () =>
        service.enrollment.redeem(await readMessage(exchange, joinMessage, REQUEST_BYTES_MAX)),
      ),
  },
  {
    method: 'POST',
    path: '/v1/renew',
    open: true,
    handle: (service, exchange) =>
      watched(service, exchange, async () =>
        service.enrollment.renew(await readMessage(exchange, renewMessage, REQUEST_BYTES_MAX)),
      ),
  },
];

/** Whoever fails too often must wait, and the operator hears of it once. */
async function watched(service: Service, exchange: Exchange, work: () => Promise<Enrolled>): Promise<Answer> {
  const { joins, world } = service;
  const { address } = exchange;
  if (!joins.mayTry(address, world.clock.monotonic())) {
    throw new LowtideError('too-many', 'too many failed attempts to join: try again in a minute');
  }
  try {
    return { type: JSON_TYPE, body: encodeMessage(enrolledMessage, await work()) };
  } catch (error) {
    if (joins.failed(address, world.clock.monotonic())) {
      const message = `${address} keeps failing to join: somebody may be guessing tokens`;
      world.monitor.event({ kind: 'alarm', code: 'too-many', message });
    }
    if (isLowtideError(error)) {
      const what = `a request to join from ${address}`;
      world.monitor.event({ kind: 'refused', what, code: error.code, message: error.message });
    }
    throw error;
  }
}
