import { getSystemErrorMessage } from 'node:util';
import { LowtideError } from '../../model/errors.ts';

/** The symbolic name of a system error (`ENOENT`), or '' if it is none. */
export function errnoName(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : '';
}

/** What the system says about an error, in words: `permission denied (EACCES)`. */
export function errnoWords(error: unknown): string {
  const name = errnoName(error);
  if (name === '') return error instanceof Error ? error.message : String(error);
  // What the system calls "not supported on socket" is said of files too.
  if (name === 'EOPNOTSUPP') return `not supported here (${name})`;
  const number = error instanceof Error && 'errno' in error ? error.errno : undefined;
  return typeof number === 'number' ? `${getSystemErrorMessage(number)} (${name})` : name;
}

/** An error of a system call as node's own would be, for calls that node does not have. */
export function systemError(name: string, errno: number, call: string): Error {
  return Object.assign(new Error(`${name}: ${call}`), { code: name, errno: -errno, syscall: call });
}

/**
 * `disk-full` for ENOSPC and EDQUOT, `not-found` for ENOENT, `too-many` for EMFILE and ENFILE, else `disk-failed`.
 * @param doing what was tried, after "cannot": `write`, `open`
 */
export function diskError(error: unknown, doing: string, path: string): LowtideError {
  if (error instanceof LowtideError) return error;
  const options = { cause: error };
  switch (errnoName(error)) {
    case 'ENOSPC':
      return new LowtideError('disk-full', `the disk is full: cannot ${doing} ${path}`, options);
    case 'EDQUOT':
      return new LowtideError('disk-full', `the disk quota is used up: cannot ${doing} ${path}`, options);
    case 'EMFILE':
    case 'ENFILE':
      return new LowtideError(
        'too-many',
        `cannot ${doing} ${path}: ${errnoWords(error)}; allow more (ulimit -n; with systemd, LimitNOFILE)`,
        options,
      );
    case 'ENOENT':
      return new LowtideError('not-found', `cannot ${doing} ${path}: it does not exist`, options);
    default:
      return new LowtideError('disk-failed', `cannot ${doing} ${path}: ${errnoWords(error)}`, options);
  }
}
