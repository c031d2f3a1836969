import { randomBytes } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { LowtideError } from '../model/errors.ts';
import type { ByteName } from '../model/paths.ts';
import { diskError, errnoName } from './errno.ts';
import { BrokenPath } from './paths-by-handle.ts';

/** A name for what is not finished. Nobody else can foresee it. */
export function temporaryName(): ByteName {
  return `.lowtide-${randomBytes(12).toString('hex')}.tmp` as ByteName;
}

/** A temporary file that stays is a pity, and no reason to hide the error before it. */
export function removeQuietly(path: Buffer): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already, or not to be had: nothing more can be done.
  }
}

const IN_THE_WAY = ['EEXIST', 'EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'ELOOP'];

/** @param shown the path for people */
export function targetError(error: unknown, shown: string): LowtideError {
  if (error instanceof LowtideError) return error;
  const options = { cause: error };
  if (error instanceof BrokenPath && error.kind !== 'failed') {
    return new LowtideError(error.kind === 'missing' ? 'not-found' : 'target-exists', error.message, options);
  }
  if (error instanceof BrokenPath) return new LowtideError('disk-failed', error.message, options);
  if (IN_THE_WAY.includes(errnoName(error))) {
    return new LowtideError('target-exists', `something else is at ${shown} already`, options);
  }
  return diskError(error, 'write', shown);
}
