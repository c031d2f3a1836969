import { type ErrorCode, errorRegistry, isLowtideError } from '../model/errors.ts';

/** A refusal by the transport, with a status that the registry of errors does not have for its code. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal';
  readonly status: number;
  readonly code: ErrorCode;

  constructor(status: number, message: string, code: ErrorCode = 'bad-request') {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  /** The center's own trouble: its operator must hear of it, and the peer needs no details. */
  readonly internal: boolean;
}

/** Messages with these codes may name files of this machine. */
const HIDDEN: Partial<Record<ErrorCode, string>> = {
  'disk-full': 'there is no room on its disk',
  'disk-failed': 'the storage of the center has failed',
  'damaged-pack': 'the storage of the center is damaged',
  'not-found': 'there is no such thing here',
};
const CRASHED = 'the center has an internal error: it has been reported there';

/** What to answer to an error of any kind: never a 500, and nothing that tells about the inside. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof HttpRefusal) {
    const { status, code, message } = error;
    return { status, code, message, internal: false };
  }
  if (isLowtideError(error)) {
    const { status } = errorRegistry[error.code];
    const hidden = HIDDEN[error.code];
    const internal = hidden !== undefined && error.code !== 'not-found';
    return { status, code: error.code, message: hidden ?? error.message, internal };
  }
  return { status: 503, code: 'crashed', message: CRASHED, internal: true };
}
