/** One row of the error registry: what a code means to programs. `docs/errors.md` says what it means to people. */
export interface ErrorRow {
  /** Exit code of the command line (DESIGN 7). */
  readonly exit: 1 | 3 | 4 | 130;
  /** HTTP status where the error crosses the wire. */
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 410 | 413 | 421 | 422 | 429 | 503 | 507;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retry: boolean;
}

const row = (status: ErrorRow['status'], retry = false, exit: ErrorRow['exit'] = 1): ErrorRow => ({
  exit,
  status,
  retry,
});

export const errorRegistry = {
  'bad-id': row(400),
  'bad-name': row(400),
  'bad-path': row(400),
  'bad-recovery-sheet': row(400),
  'bad-request': row(400),
  'bad-config': row(400),
  'bad-schedule': row(400),
  'bad-zone': row(400),
  'unknown-option': row(400),
  'no-password': row(401),
  'wrong-password': row(401),
  'wrong-key': row(401),
  'no-key': row(401),
  'not-a-depot': row(404),
  'depot-exists': row(409),
  'newer-format': row(422),
  'node-exists': row(409),
  'not-a-node': row(404),
  locked: row(409, true),
  'damaged-config': row(422),
  'damaged-block': row(422),
  'damaged-pack': row(422),
  'damaged-page': row(422),
  'damaged-manifest': row(422),
  'damaged-keyring': row(422),
  'damaged-receipt': row(422),
  'wrong-signature': row(422),
  'hash-mismatch': row(422),
  'disk-full': row(507, true),
  'quota-full': row(507, true),
  'store-full': row(507, true),
  'members-full': row(507, true),
  'disk-failed': row(503),
  crashed: row(503),
  'not-found': row(404),
  'no-such-snapshot': row(404),
  'ambiguous-snapshot': row(409),
  'no-such-path': row(404),
  'no-such-job': row(404),
  'job-exists': row(409),
  'windows-never-meet': row(409),
  'source-missing': row(404),
  'source-empty': row(409),
  'source-unreadable': row(422, false, 3),
  'command-failed': row(422),
  'hook-refused': row(403),
  'hook-failed': row(422),
  'target-exists': row(409),
  'restore-incomplete': row(422, false, 3),
  'verify-failed': row(422),
  'block-unavailable': row(404, true),
  'token-bad': row(401),
  'token-expired': row(401),
  'token-used': row(410),
  'token-other-center': row(401),
  'token-other-role': row(403),
  'client-exists': row(409),
  'not-enrolled': row(401),
  revoked: row(401),
  'wrong-center': row(401),
  'clock-off': row(401, true),
  'clone-suspected': row(409),
  'joined-in-circle': row(409),
  forbidden: row(403),
  'wrong-state': row(409),
  'order-ended': row(409, true),
  'blocks-missing': row(409, true),
  'base-unknown': row(409, true),
  'sequence-fork': row(409),
  'center-went-back': row(409),
  'custody-lost': row(409),
  'no-route': row(409),
  'too-large': row(413),
  'too-many': row(429, true),
  'center-unreachable': row(503, true),
  'not-answering': row(503, true),
  'bad-answer': row(503, true),
  'not-collected': row(503, true, 4),
  interrupted: row(503, true, 130),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorRegistry;

/** Every error that a person or a peer is meant to see: one clear sentence and a code from the registry. */
export class LowtideError extends Error {
  override readonly name = 'LowtideError';
  readonly code: ErrorCode;

  /** @param message one sentence without a full stop: what, where, and what to do if it is not plain */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function isLowtideError(error: unknown, ...codes: ErrorCode[]): error is LowtideError {
  return error instanceof LowtideError && (codes.length === 0 || codes.includes(error.code));
}

/** A value, or the error that says in one place that it cannot be missing. */
export function defined<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new TypeError(`${what} must not be missing`);
  return value;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What lasts until somebody makes room. */
export const isFull = (code: string): boolean =>
  code === 'disk-full' || code === 'quota-full' || code === 'store-full';
