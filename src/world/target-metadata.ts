import { chmodSync, chownSync, closeSync, fstatSync, lchownSync, lutimesSync, utimesSync } from 'node:fs';
import type { Entry, EntryType, Stat } from '../model/entries.ts';
import { baseName, parentPath, ROOT_PATH, type PathKey } from '../model/paths.ts';
import { errnoName, errnoWords } from './errno.ts';
import type { Native } from './native.ts';
import { inDirectory, ofDescriptor, openIn } from './paths-by-handle.ts';
import type { MetadataRefusal } from './ports.ts';
import { statOf } from './stats.ts';
import type { TargetDirectories } from './target-directories.ts';

const SET_ID_BITS = 0o6000;

/** RestoreTarget.applyMetadata. */
export function applyMetadata(
  directories: TargetDirectories,
  native: Native | null,
  path: PathKey,
  shown: string,
  entry: Entry,
): readonly MetadataRefusal[] {
  let subject: Subject;
  try {
    subject = openSubject(directories, path);
  } catch (error) {
    return refuseAll(`${shown}: ${errnoWords(error)}`);
  }
  try {
    return applyTo(subject, native, shown, entry);
  } catch (error) {
    return refuseAll(`${shown}: ${errnoWords(error)}`);
  } finally {
    if (subject.own) closeSync(subject.descriptor);
  }
}

/** What is named once and then held, so that all of an entry's metadata go to one inode. */
interface Subject {
  readonly descriptor: number;
  readonly own: boolean;
  /** For calls that must not follow a link; good until another directory is opened. */
  readonly byName: Buffer | null;
}

function openSubject(directories: TargetDirectories, path: PathKey): Subject {
  if (path === ROOT_PATH) return { descriptor: directories.open(path), own: false, byName: null };
  const parent = directories.open(parentPath(path));
  const descriptor = openIn(parent, baseName(path), directories.whole(path));
  return { descriptor, own: true, byName: inDirectory(parent, baseName(path)) };
}

function applyTo(
  subject: Subject,
  native: Native | null,
  shown: string,
  entry: Entry,
): readonly MetadataRefusal[] {
  const before = statNow(subject);
  if (before.type !== entry.type) return refuseAll(`${shown} is a ${before.type}, not a ${entry.type}`);
  const refused: MetadataRefusal[] = [];
  const attempt = (what: MetadataRefusal['what'], run: () => void): void => {
    try {
      run();
    } catch (error) {
      refused.push({ what, message: `${shown}: ${what} not set: ${errnoWords(error)}` });
    }
  };
  attempt('owner', () => setOwner(subject, before, entry));
  const ownerless = refused.length > 0;
  if (entry.type !== 'symlink') attempt('mode', () => setMode(subject, entry.mode, ownerless));
  attempt('times', () => setTimes(subject, native, entry));
  return refused;
}

function statNow({ descriptor }: Subject): Stat {
  return statOf(fstatSync(descriptor, { bigint: true }));
}

function setOwner(subject: Subject, before: Stat, { uid, gid, type }: Entry): void {
  if (before.uid === uid && before.gid === gid) return;
  const change = (toUid: number, toGid: number): void => {
    if (type !== 'symlink') chownSync(ofDescriptor(subject.descriptor), toUid, toGid);
    else if (subject.byName !== null) lchownSync(subject.byName, toUid, toGid);
  };
  try {
    change(uid, gid);
  } catch (error) {
    // Who may not give files away may still give them to a group of his.
    if (errnoName(error) === 'EPERM' && before.uid !== uid) changeGroup(change, before, gid);
    throw error;
  }
}

function changeGroup(change: (uid: number, gid: number) => void, before: Stat, gid: number): void {
  try {
    change(before.uid, gid);
  } catch {
    // The error that counts is the one about the owner.
  }
}

/** Set-id bits would give the wrong owner's rights away, so they go with the right owner only. */
function setMode(subject: Subject, mode: number, ownerless: boolean): void {
  const wanted = ownerless ? mode & ~SET_ID_BITS : mode;
  chmodSync(ofDescriptor(subject.descriptor), wanted);
  const kept = statNow(subject).mode;
  if (kept === mode) return;
  if (ownerless && kept === wanted) throw new Error('without its owner it must not have set-id bits');
  throw new Error(`the file system keeps ${octal(kept)} instead of ${octal(mode)}`);
}

function setTimes(subject: Subject, native: Native | null, { mtime, type }: Entry): void {
  const path =
    type === 'symlink' && subject.byName !== null
      ? subject.byName
      : Buffer.from(ofDescriptor(subject.descriptor));
  if (native !== null) native.setModified(path, mtime, type === 'symlink' ? 'keep' : 'follow');
  else setTimesRoughly(path, mtime, type);
  const kept = statNow(subject).mtime;
  if (kept !== mtime) throw new Error(`the file system keeps ${kept} ns instead of ${mtime} ns`);
}

/** Node counts times in floating seconds, too coarse for nanoseconds: the caller finds out and says so. */
function setTimesRoughly(path: Buffer, mtime: bigint, type: EntryType): void {
  const seconds = Number(mtime) / 1e9;
  if (type === 'symlink') lutimesSync(path, seconds, seconds);
  else utimesSync(path, seconds, seconds);
}

function refuseAll(message: string): readonly MetadataRefusal[] {
  return (['owner', 'mode', 'times'] as const).map((what) => ({ what, message }));
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');
