/** Milliseconds since 1970-01-01T00:00:00Z by some node's wall clock. Never used to measure a duration. */
export type UnixMillis = number;
/** Nanoseconds since 1970-01-01T00:00:00Z, may be negative: what file systems keep. */
export type UnixNanos = bigint;

export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
