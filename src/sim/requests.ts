import type { Incarnation } from './incarnation.ts';
import type { Call } from './call.ts';
import { copyMessage, type Copied } from './message.ts';

/** What a method was called with, copied when it was called; signals and streams go by themselves. */
export interface Request {
  readonly method: string;
  readonly values: Copied<readonly unknown[]>;
  /** By the parameter's position. */
  readonly signals: ReadonlyMap<number, AbortSignal>;
  readonly sources: ReadonlyMap<number, AsyncIterable<unknown>>;
}

export type Method = (...values: unknown[]) => unknown;
export type Methods = Readonly<Record<string, Method>>;

/** The two ends of a connection to be made. */
export interface Endpoint {
  readonly caller: Incarnation;
  /** Items that a stream's sender may be ahead of its reader. */
  readonly window: number;
  dial(method: string): Call;
  /** Who serves there now; null if nobody does. */
  service(): { readonly incarnation: Incarnation; readonly api: Methods } | null;
}

export function requestOf(method: string, values: readonly unknown[]): Request {
  const signals = new Map<number, AbortSignal>();
  const sources = new Map<number, AsyncIterable<unknown>>();
  const plain = values.map((value, at) => {
    if (value instanceof AbortSignal) signals.set(at, value);
    else if (isStream(value)) sources.set(at, value);
    else return value;
    return null;
  });
  return { method, values: copyMessage(plain), signals, sources };
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
