import {
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lchownSync,
  lutimesSync,
  utimesSync,
} from 'node:fs';
import { KEPT_FLAGS, type Stat } from '../../model/entries.ts';
import { baseName, parentPath, ROOT_PATH, type PathKey } from '../../model/paths.ts';
import type { UnixNanos } from '../../model/time.ts';
import { errnoName, errnoWords } from '../system/errno.ts';
import type { Native } from '../system/native.ts';
import type { AttributeHolder } from '../system/native-attributes.ts';
import { inDirectory, ofDescriptor, openIn } from '../system/paths-by-handle.ts';
import type { Metadata, MetadataRefusal } from './ports.ts';
import { statOf } from '../system/stats.ts';
import { setFlagsOf, setXattrs } from './attributes.ts';
import type { TargetDirectories } from './directories.ts';

const SET_ID_BITS = 0o6000;

/** RestoreTarget.applyMetadata. */
export function applyMetadata(
  directories: TargetDirectories,
  native: Native | null,
  path: PathKey,
  shown: string,
  metadata: Metadata,
): readonly MetadataRefusal[] {
  let subject: Subject;
  try {
    subject = openSubject(directories, path, native);
  } catch (error) {
    return refuseAll(`${shown}: ${errnoWords(error)}`);
  }
  try {
    return applyTo(subject, shown, metadata);
  } finally {
    subject.close();
  }
}

/** The same of a file that is open for writing. */
export function applyToFile(
  descriptor: number,
  native: Native | null,
  shown: string,
  metadata: Metadata,
): readonly MetadataRefusal[] {
  return applyTo(openFile(descriptor, native), shown, metadata);
}

/** What is named once and then held, so that all of an entry's metadata go to one inode. */
interface Subject {
  readonly native: Native | null;
  readonly holder: AttributeHolder;
  stat(): Stat;
  chown(uid: number, gid: number): void;
  chmod(mode: number): void;
  setModified(time: UnixNanos): void;
  close(): void;
}

function openFile(descriptor: number, native: Native | null): Subject {
  return {
    native,
    holder: descriptor,
    stat: () => statOf(fstatSync(descriptor, { bigint: true })),
    chown: (uid, gid) => fchownSync(descriptor, uid, gid),
    chmod: (mode) => fchmodSync(descriptor, mode),
    setModified: (time) => {
      if (native !== null) native.setModifiedOf(descriptor, time);
      else futimesSync(descriptor, roughly(time), roughly(time));
    },
    close: () => {},
  };
}

function openSubject(directories: TargetDirectories, path: PathKey, native: Native | null): Subject {
  if (path === ROOT_PATH) return named(directories.open(path), native, () => {});
  const parent = directories.open(parentPath(path));
  const descriptor = openIn(parent, baseName(path), directories.whole(path));
  const close = (): void => closeSync(descriptor);
  const isLink = statOf(fstatSync(descriptor, { bigint: true })).type === 'symlink';
  return isLink
    ? linkNamed(descriptor, inDirectory(parent, baseName(path)), native, close)
    : named(descriptor, native, close);
}

function named(descriptor: number, native: Native | null, close: () => void): Subject {
  const path = Buffer.from(ofDescriptor(descriptor));
  return {
    native,
    holder: { path, lastLink: 'follow' },
    stat: () => statOf(fstatSync(descriptor, { bigint: true })),
    chown: (uid, gid) => chownSync(path, uid, gid),
    chmod: (mode) => chmodSync(path, mode),
    setModified: (time) => {
      if (native !== null) native.setModified(path, time, 'follow');
      else utimesSync(path, roughly(time), roughly(time));
    },
    close,
  };
}

/** @param path its name in its directory: good until another directory is opened */
function linkNamed(descriptor: number, path: Buffer, native: Native | null, close: () => void): Subject {
  return {
    native,
    holder: { path, lastLink: 'kept' },
    stat: () => statOf(fstatSync(descriptor, { bigint: true })),
    chown: (uid, gid) => lchownSync(path, uid, gid),
    // Linux gives every link all rights and lets nobody change them.
    chmod: () => {},
    setModified: (time) => {
      if (native !== null) native.setModified(path, time, 'keep');
      else lutimesSync(path, roughly(time), roughly(time));
    },
    close,
  };
}

/** Node counts times in floating seconds, too coarse for nanoseconds: the look afterwards tells. */
const roughly = (time: UnixNanos): number => Number(time) / 1e9;

function applyTo(subject: Subject, shown: string, metadata: Metadata): readonly MetadataRefusal[] {
  const refused: MetadataRefusal[] = [];
  const refuse = (what: MetadataRefusal['what'], why: string): void => {
    refused.push({ what, message: `${shown}: ${what} not set: ${why}` });
  };
  const attempt = (what: MetadataRefusal['what'], run: () => void): void => {
    try {
      run();
    } catch (error) {
      refuse(what, errnoWords(error));
    }
  };
  try {
    const before = subject.stat();
    if (before.type !== metadata.type)
      return refuseAll(`${shown} is a ${before.type}, not a ${metadata.type}`);
    attempt('owner', () => setOwner(subject, before, metadata));
    // Set-id bits would give the wrong owner's rights away, so they go with the right owner only.
    const ownerless = refused.length > 0;
    const wanted = ownerless ? metadata.mode & ~SET_ID_BITS : metadata.mode;
    // After the owner, whose change drops capabilities; before a mode that may forbid it.
    const left = xattrsLeft(subject, metadata);
    if (left !== null) refuse('extended attributes', left);
    attempt('times', () => subject.setModified(metadata.mtime));
    // Last, as it may say that the file is whole.
    attempt('mode', () => subject.chmod(wanted));
    compare(subject.stat(), metadata, wanted, refused, refuse);
  } catch (error) {
    return refuseAll(`${shown}: ${errnoWords(error)}`);
  }
  return refused;
}

/** RestoreTarget.setFlags. */
export function setFlags(
  directories: TargetDirectories,
  native: Native | null,
  path: PathKey,
  shown: string,
  flags: number,
): readonly MetadataRefusal[] {
  const refuse = (why: string): readonly MetadataRefusal[] => [
    { what: 'flags', message: `${shown}: flags not set: ${why}` },
  ];
  if (native === null) return refuse(NO_LIBRARY);
  let descriptor: number | null = null;
  try {
    if (path !== ROOT_PATH) {
      descriptor = openIn(directories.open(parentPath(path)), baseName(path), directories.whole(path));
      const { type } = statOf(fstatSync(descriptor, { bigint: true }));
      if (type !== 'file' && type !== 'directory') return refuse(`it is a ${type}`);
    }
    const why = setFlagsOf(native.attributes, descriptor ?? directories.open(path), flags & KEPT_FLAGS);
    return why === null ? [] : refuse(why);
  } catch (error) {
    return refuse(errnoWords(error));
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

const NO_LIBRARY = 'the system library cannot be loaded';

/** Why some could not be set; null if it has what it is to have. */
function xattrsLeft({ native, holder }: Subject, { xattrs }: Metadata): string | null {
  if (xattrs === undefined) return null;
  if (native === null) return xattrs.length === 0 ? null : NO_LIBRARY;
  return setXattrs(native.attributes, holder, xattrs);
}

/** What was set without an error is not always kept. */
function compare(
  after: Stat,
  { type, mode, mtime }: Metadata,
  wanted: number,
  refused: readonly MetadataRefusal[],
  refuse: (what: MetadataRefusal['what'], why: string) => void,
): void {
  const isOpen = (what: MetadataRefusal['what']): boolean =>
    !refused.some((refusal) => refusal.what === what);
  if (isOpen('mode') && type !== 'symlink' && after.mode !== mode) {
    if (after.mode === wanted) refuse('mode', 'without its owner it must not have set-id bits');
    else refuse('mode', `the file system keeps ${octal(after.mode)} instead of ${octal(mode)}`);
  }
  if (isOpen('times') && after.mtime !== mtime)
    refuse('times', `the file system keeps ${after.mtime} ns instead of ${mtime} ns`);
}

function setOwner(subject: Subject, before: Stat, metadata: Metadata): void {
  const { uid, gid } = { uid: metadata.uid ?? before.uid, gid: metadata.gid ?? before.gid };
  if (before.uid === uid && before.gid === gid) return;
  try {
    subject.chown(uid, gid);
  } catch (error) {
    // Who may not give files away may still give them to a group of his.
    if (errnoName(error) === 'EPERM' && before.uid !== uid) changeGroup(subject, before, gid);
    throw error;
  }
}

function changeGroup(subject: Subject, before: Stat, gid: number): void {
  try {
    subject.chown(before.uid, gid);
  } catch {
    // The error that counts is the one about the owner.
  }
}

function refuseAll(message: string): readonly MetadataRefusal[] {
  return (['owner', 'mode', 'times'] as const).map((what) => ({ what, message }));
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');
