import { createHash, randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, unlinkSync } from 'node:fs';
import { DAY_MS, type UnixMillis } from '../../model/time.ts';
import { LowtideError } from '../../model/errors.ts';
import type { ByteName } from '../../model/paths.ts';
import { diskError, errnoName } from '../system/errno.ts';
import { BrokenPath, inDirectory, ofDescriptor } from '../system/paths-by-handle.ts';

const TEMPORARY = /^\.lowtide-([0-9a-f]{8})([0-9a-f]{8})[0-9a-f]{8}\.tmp$/;
/** Of a process that cannot be looked up, because the machine was started since or is another one. */
const OLD_MS = DAY_MS;

const RANDOM_BYTES = 4;
/** Asking for a few random bytes costs as much as for many. */
const RANDOM_AHEAD = 256;

/** Whose temporary files are whose: names say which process of which start of which machine made them. */
export class TemporaryNames {
  #random: Buffer = Buffer.alloc(0);
  readonly #system = createHash('sha256').update(systemText()).digest('hex').slice(0, 8);

  /** A name for what is not finished, which nobody else can foresee. */
  next(pid = process.pid): ByteName {
    const owner = this.#system + pid.toString(16).padStart(8, '0');
    if (this.#random.length === 0) this.#random = randomBytes(RANDOM_BYTES * RANDOM_AHEAD);
    const random = this.#random.toString('hex', 0, RANDOM_BYTES);
    this.#random = this.#random.subarray(RANDOM_BYTES);
    return `.lowtide-${owner}${random}.tmp` as ByteName;
  }

  /** Whether it is one of `next`, and its process has ended. */
  isAbandoned(name: string, modified: UnixMillis, now: UnixMillis): boolean {
    const match = TEMPORARY.exec(name);
    if (match === null) return false;
    if (match[1] !== this.#system) return now - modified > OLD_MS;
    return !existsSync(`/proc/${Number.parseInt(match[2]!, 16)}`);
  }
}

/** This start of this machine, as far as its process numbers reach. */
function systemText(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8') + readlinkSync('/proc/self/ns/pid');
  } catch {
    return `${process.pid} ${performance.timeOrigin}`;
  }
}

/** Removes from an open directory what killed restores of this user have left under temporary names. */
export function sweep(directory: number, temporaries: TemporaryNames): void {
  let names: string[];
  try {
    names = readdirSync(ofDescriptor(directory), 'latin1');
  } catch {
    return; // It may be written and not read: then nobody knows what is there.
  }
  for (const name of names) {
    if (!TEMPORARY.test(name)) continue;
    const path = inDirectory(directory, name as ByteName);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.isDirectory()) continue;
    const me = process.geteuid!();
    // Root has given some to those whom they are for.
    if ((me === 0 || found.uid === me) && temporaries.isAbandoned(name, found.mtimeMs, Date.now()))
      removeQuietly(path);
  }
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
