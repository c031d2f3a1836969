import type { BlockId, ChunkDigest } from './ids.ts';
import type { PathKey } from './paths.ts';
import type { UnixNanos } from './time.ts';

export type EntryType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'fifo'
  | 'socket'
  | 'character-device'
  | 'block-device';

/** By the numbers that they are stored under (format F24). */
export const ENTRY_TYPES: readonly (EntryType | undefined)[] = [
  undefined,
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character-device',
  'block-device',
];

/** What lstat gives, as far as Lowtide keeps it. */
export interface Stat {
  readonly type: EntryType;
  /** Permission bits only, 0-0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes for a file, length of the target for a symlink, 0 for everything else. */
  readonly size: number;
  readonly mtime: UnixNanos;
  readonly ctime: UnixNanos;
  readonly inode: bigint;
  /** st_dev. Never stored: it changes with every boot (format F24). */
  readonly device: bigint;
  /** st_nlink. */
  readonly links: number;
  /** Bytes allocated on disk: fewer than `size` means holes. */
  readonly allocated: number;
  /** Of a device node. */
  readonly rdev?: DeviceNumber;
  /** When the inode was made, where the file system keeps that. */
  readonly birth?: UnixNanos;
}

/** What an entry has beside all that (format F27). Nobody's: no name is known for the number. */
export interface Attributes {
  /** By name; access control lists and capabilities are among them. */
  readonly xattrs: readonly ExtendedAttribute[];
  /** Inode flags of Linux, those of `KEPT_FLAGS`. */
  readonly flags: number;
  readonly birth?: UnixNanos;
  /** Name of the owner's number where the entry was found. */
  readonly owner?: string;
  readonly group?: string;
}

/** Name and value as bytes; the name has one character (0-255) a byte: `user.comment`. */
export interface ExtendedAttribute {
  readonly name: string;
  readonly value: Uint8Array;
}

export const IMMUTABLE_FLAG = 0x10;
export const APPEND_ONLY_FLAG = 0x20;
/**
 * The flags that chattr sets: secure deletion, undelete, compress, synchronous, immutable, append only, no dump, no access
 * times, data journal, no tail merging, synchronous directory, top of hierarchy, no copy on write, direct access, project
 * of the parent. The others tell how the file system stores the file.
 */
export const KEPT_FLAGS = 0x2283_c0ff;

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** Where a run of a file's bytes is. Extents of a file are consecutive and cover it from byte 0 to `size`. */
export type Extent = DataExtent | HoleExtent | InlineExtent;

export interface DataExtent {
  readonly kind: 'data';
  readonly block: BlockId;
  /** Byte offset of the chunk in the block's plaintext. */
  readonly offset: number;
  readonly length: number;
  readonly digest: ChunkDigest;
}

export interface HoleExtent {
  readonly kind: 'hole';
  readonly length: number;
}

export interface InlineExtent {
  readonly kind: 'inline';
  readonly bytes: Uint8Array;
}

export function extentLength(extent: Extent): number {
  return extent.kind === 'inline' ? extent.bytes.length : extent.length;
}

/** Files of one snapshot with the same group are one inode. Each member carries its extents. */
export interface LinkGroup {
  /** Which file system of the walk, counted from 0 in walk order: st_dev itself is not stable. */
  readonly fileSystem: number;
  readonly inode: bigint;
}

/** One name in a snapshot. */
export interface Entry {
  readonly path: PathKey;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: UnixNanos;
  readonly ctime: UnixNanos;
  readonly inode: bigint;
  /** Read too soon after its own last change, or torn while read: read again next time (format F25). */
  readonly unsettled: boolean;
  /** Only of a partial snapshot's last file: its extents stop before `size`. */
  readonly partial: boolean;
  readonly link?: LinkGroup;
  /** Of a symlink: its target as bytes, one character (0-255) a byte. */
  readonly target?: string;
  readonly rdev?: DeviceNumber;
  /** Attributes (format F27): a CBOR map, kept as found. Absent if whoever stored the entry did not know of any. */
  readonly extra?: Uint8Array;
  /** Empty unless a file. */
  readonly extents: readonly Extent[];
}
