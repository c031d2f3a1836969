/** A field whose names are somebody's own. */
const NAMES_OF_OTHERS = 'xattrs';

/** What a number measures is in its name, where the program's own name for it does not say so. */
const WITH_UNIT: Readonly<Record<string, string>> = {
  brought: 'brought_bytes',
  bytes_collected: 'collected_bytes',
  bytes_ready: 'ready_bytes',
  bytes_resent: 'resent_bytes',
  bytes_total: 'total_bytes',
  cache_quota: 'cache_quota_bytes',
  completion_p50: 'completion_p50_ms',
  completion_p95: 'completion_p95_ms',
  completion_p99: 'completion_p99_ms',
  coming: 'coming_bytes',
  custody: 'custody_bytes',
  done: 'done_at',
  expires: 'expires_at',
  files_total: 'total_files',
  free_space: 'free_space_share',
  half: 'half_ms',
  last_taken: 'last_taken_at',
  length: 'length_bytes',
  next_due: 'next_due_at',
  night_end: 'night_end_at',
  ninety: 'ninety_ms',
  opening: 'opening_at',
  quota: 'quota_bytes',
  received: 'received_bytes',
  seconds_above80: 'above_80_seconds',
  seconds_elapsed: 'elapsed_seconds',
  size: 'size_bytes',
  size_after: 'size_after_bytes',
  size_before: 'size_before_bytes',
  size_change: 'size_change_bytes',
  spooled: 'spooled_bytes',
  stored: 'stored_bytes',
  target: 'target_ms',
  within: 'within_share',
  worst_age: 'worst_age_share',
};

/**
 * docs/json.md: a value as `--json` prints it, with names of fields in snake_case and units in them at every depth, big
 * numbers as numbers, bytes as hex.
 */
export function plainMessage(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plainMessage);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, held]) =>
      name === NAMES_OF_OTHERS ? [name, held] : [plainName(name, held), plainMessage(held)],
    ),
  );
}

function plainName(name: string, value: unknown): string {
  const plain = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const measures = value === null || typeof value === 'number' || typeof value === 'bigint';
  return measures && Object.hasOwn(WITH_UNIT, plain) ? WITH_UNIT[plain]! : plain;
}
