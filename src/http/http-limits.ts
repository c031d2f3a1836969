import { MINUTE_MS, SECOND_MS } from '../model/time.ts';

/** Bounds of the transport itself; what messages may hold is in `Limits`. */
export interface HttpLimits {
  /** Until a connection is made, TLS included. */
  readonly connect_ms: number;
  readonly headers_ms: number;
  /** Until a control message is there, beyond the time that its bytes take at `bytes_per_second_min`. */
  readonly body_ms: number;
  /** A stream that stands still for this long has ended. */
  readonly idle_ms: number;
  /** What a center may take to close a large snapshot. */
  readonly commit_ms: number;
  /** Slower than this, beyond `idle_ms` of grace, counts as standing still. */
  readonly bytes_per_second_min: number;
  readonly keep_alive_ms: number;
  /** How long a refused request's rest is read and dropped, so that the refusal arrives. */
  readonly linger_ms: number;
  /** A stream that is open asks this often whether its client is still let in. */
  readonly recheck_ms: number;
  /** How often a server looks whether its own certificate grows old, or is from a time that its clock has not reached. */
  readonly renew_check_ms: number;
  /** What is under way when the server closes has this long to end. */
  readonly close_ms: number;
  readonly connections: number;
  readonly connections_per_address: number;
  readonly failed_joins_per_minute: number;
  /** A client accepts no control answer longer than this. */
  readonly answer_bytes_max: number;
}

export const httpLimits: HttpLimits = {
  connect_ms: 10 * SECOND_MS,
  headers_ms: 10 * SECOND_MS,
  body_ms: 20 * SECOND_MS,
  idle_ms: 2 * MINUTE_MS,
  commit_ms: 15 * MINUTE_MS,
  bytes_per_second_min: 1024,
  keep_alive_ms: 60 * SECOND_MS,
  linger_ms: 2 * SECOND_MS,
  recheck_ms: 30 * SECOND_MS,
  renew_check_ms: MINUTE_MS,
  close_ms: 5 * SECOND_MS,
  connections: 10_000,
  connections_per_address: 512,
  failed_joins_per_minute: 20,
  answer_bytes_max: 32 * 1024 * 1024,
};

export const JSON_TYPE = 'application/json';
export const LINES_TYPE = 'application/x-ndjson';
/** Ids, 32 bytes each, one after another. */
export const IDS_TYPE = 'application/vnd.lowtide.ids';
export const FRAMES_TYPE = 'application/vnd.lowtide.frames';
