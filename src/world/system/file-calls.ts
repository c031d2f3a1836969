import * as fs from 'node:fs';
import type { ByteName } from '../../model/paths.ts';
import type { Native } from './native.ts';
import { inDirectory } from './paths-by-handle.ts';
import { callError, STATX, type SystemCalls } from './system-calls.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;
const NEW = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY;
const NANOS = 1_000_000_000n;
const MODE_BITS = 0o7777;
/** Struct timespec of the modification, behind that of the access. */
const MODIFIED = 16;

/** What most files get, and no more. */
export interface PlainMetadata {
  /** -1, as `gid`: it stays. */
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  /** Two struct timespec: of access, of modification. */
  readonly times: Buffer;
}

/** What a thread that makes files asks of the kernel. Errors are thrown as node throws its own. */
export interface FileCalls {
  /** For writing, under a name that nobody has. */
  create(directory: number, name: ByteName, mode: number): number;
  /** All of it, waiting for the disk. */
  write(descriptor: number, bytes: Uint8Array, position: number): void;
  /** Times, and the mode last; the owner has been set. @returns whether the file has all of it then, its owner included */
  describe(descriptor: number, metadata: PlainMetadata): boolean;
  close(descriptor: number): void;
}

/** Descriptors and bytes only, no object for any call. */
export function callsOfSystem(system: SystemCalls): FileCalls {
  const done = (result: number, call: string): number => {
    if (result < 0) throw callError(result, call);
    return result;
  };
  const { stat } = system;
  return {
    create: (directory, name, mode) => done(system.create(directory, name, mode), 'open'),
    write(descriptor, bytes, position) {
      for (let at = 0; at < bytes.length;) {
        const rest = at === 0 ? bytes : bytes.subarray(at);
        at += done(system.write(descriptor, rest, position + at), 'write');
      }
    },
    describe(descriptor, { uid, gid, mode, times }) {
      done(system.setTimes(descriptor, times), 'futimens');
      done(system.setMode(descriptor, mode), 'fchmod');
      done(system.lookAt(descriptor), 'statx');
      return (
        (uid === -1 || stat.readUInt32LE(STATX.uid) === uid) &&
        (gid === -1 || stat.readUInt32LE(STATX.gid) === gid) &&
        (stat.readUInt16LE(STATX.mode) & MODE_BITS) === mode &&
        // Seconds, then nanoseconds.
        stat.readInt32LE(STATX.modified) === times.readInt32LE(MODIFIED) &&
        stat.readInt32LE(STATX.modified + 4) === times.readInt32LE(MODIFIED + 4) &&
        stat.readInt32LE(STATX.modified + 8) === times.readInt32LE(MODIFIED + 8)
      );
    },
    close: (descriptor) => void done(system.close(descriptor), 'close'),
  };
}

/** Where the system's own cannot be had. */
export function callsOfNode(native: Native | null): FileCalls {
  return {
    create: (directory, name, mode) => fs.openSync(inDirectory(directory, name), NEW, mode),
    write: writeWhole,
    describe(descriptor, { uid, gid, mode, times }) {
      if (native === null) return false;
      native.setTimesOf(descriptor, times);
      fs.fchmodSync(descriptor, mode);
      const stats = fs.fstatSync(descriptor, { bigint: true });
      const mtime = times.readBigInt64LE(MODIFIED) * NANOS + times.readBigInt64LE(MODIFIED + 8);
      const isOwner = (uid === -1 || Number(stats.uid) === uid) && (gid === -1 || Number(stats.gid) === gid);
      return isOwner && (Number(stats.mode) & MODE_BITS) === mode && stats.mtimeNs === mtime;
    },
    close: (descriptor) => fs.closeSync(descriptor),
  };
}

function writeWhole(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += fs.writeSync(descriptor, bytes, done, bytes.length - done, position + done);
  }
}
