import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Enrollment } from '../identity/enrollment.ts';
import type { ClientId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { World } from '../world/ports.ts';
import type { Incoming } from './bodies.ts';
import type { Caller } from './caller.ts';
import type { HttpLimits } from './http-limits.ts';
import type { JoinGuard } from './join-guard.ts';
import type { Refusal } from './refusals.ts';

/** What all routes of a server stand on. */
export interface Service {
  readonly world: World;
  readonly http: HttpLimits;
  readonly enrollment: Pick<Enrollment, 'redeem' | 'renew' | 'standing'>;
  readonly api: (client: ClientId, address: string | null) => CenterApi;
  readonly joins: JoinGuard;
  /** Aborts when the server closes: long answers end. */
  readonly closing: AbortSignal;
  /** What to answer to an error; the operator hears of it if it is the center's own trouble. */
  readonly report: (request: IncomingMessage, error: unknown) => Refusal;
}

export interface Exchange extends Incoming {
  readonly response: ServerResponse;
  /** The one variable part of the path, '' if there is none. */
  readonly id: string;
  /** IP address. */
  readonly address: string;
}

export interface CallerExchange extends Exchange {
  readonly caller: Caller;
  readonly api: CenterApi;
}

/** A body of JSON or ids, with a status if it is not 200; null for an answer that the handler has written itself. */
export type Answer = { readonly type: string; readonly body: Uint8Array; readonly status?: number } | null;

/**
 * A route is open to everybody only if it says so. In `path`, `:id` is the variable part.
 */
export type Route = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
} & (
  | { readonly open: true; readonly handle: (service: Service, exchange: Exchange) => Promise<Answer> }
  | { readonly open: false; readonly handle: (service: Service, exchange: CallerExchange) => Promise<Answer> }
);
