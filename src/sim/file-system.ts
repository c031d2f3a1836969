import type { DeviceNumber, EntryType, Stat } from '../model/entries.ts';
import {
  baseName,
  checkName,
  parentPath,
  pathComponents,
  pathKeyOf,
  ROOT_PATH,
  type ByteName,
  type PathKey,
} from '../model/paths.ts';
import type { UnixMillis, UnixNanos } from '../model/time.ts';
import type { Faults } from './faults.ts';
import { FileContent, type Generated } from './file-content.ts';
import { copyTree, statOf, walk, walkToDirectory, type FileInode } from './file-inode.ts';
import { listTree, type ListedEntry } from './file-listing.ts';
import { refusal } from './refusal.ts';

export interface FilesImage {
  readonly root: FileInode;
  readonly nextInode: bigint;
}

/** As people type it (`/home/ann/a`) or a key. */
export type AnyPath = string;

const keyOf = (path: AnyPath): PathKey => (path.startsWith('/') ? pathKeyOf(path) : (path as PathKey));
const bytesOf = (content: string | Uint8Array): Uint8Array =>
  typeof content === 'string' ? Buffer.from(content, 'utf8') : content;

/** The user's file system of one machine, and what the user does there. Every change takes the machine's time. */
export class SimulatedFiles {
  readonly faults: Faults;
  /** Who the node runs as: may it give files away and make devices? */
  superuser = true;
  /** Does a restore's target have extended attributes and flags? */
  keepsAttributes = true;
  /** Names of users and groups by number; both are the same here. */
  readonly accounts = new Map<number, string>([[0, 'root']]);
  uid = 1000;
  gid = 1000;
  #root: FileInode;
  #nextInode = 2n;
  #nextDevice = 2n;
  readonly #now: () => UnixMillis;
  readonly #readHooks = new Map<FileInode, (position: number) => void>();

  constructor(now: () => UnixMillis, faults: Faults) {
    this.#now = now;
    this.faults = faults;
    this.#root = this.newInode('directory', { mode: 0o755 });
  }

  get root(): FileInode {
    return this.#root;
  }

  /** Makes a file, or replaces the content of the one that is there; missing parents are made. */
  write(path: AnyPath, content: string | Uint8Array | Generated): void {
    const file = this.#fileAt(path);
    if (typeof content !== 'string' && !(content instanceof Uint8Array)) {
      file.content = new FileContent(content);
    } else {
      file.content = new FileContent();
      file.content.write(bytesOf(content), 0);
    }
    this.modified(file);
  }

  /** Overwrites or lengthens; what is skipped stays a hole. */
  writeAt(path: AnyPath, position: number, content: string | Uint8Array): void {
    const file = this.#fileAt(path);
    file.content.write(bytesOf(content), position);
    this.modified(file);
  }

  append(path: AnyPath, content: string | Uint8Array): void {
    this.writeAt(path, this.#fileAt(path).content.size, content);
  }

  /** Cuts, or lengthens by a hole. */
  truncate(path: AnyPath, size: number): void {
    const file = this.#fileAt(path);
    file.content.truncate(size);
    this.modified(file);
  }

  makeDirectory(path: AnyPath): void {
    let inode = this.#root;
    for (const name of pathComponents(keyOf(path))) {
      const next = inode.entries.get(name);
      inode = next ?? this.enter(inode, name, this.newInode('directory', { mode: 0o755 }));
      if (inode.type !== 'directory') throw refusal('ENOTDIR', path);
    }
  }

  symlink(path: AnyPath, target: string): void {
    this.#place(
      path,
      this.newInode('symlink', { mode: 0o777, target: Buffer.from(target).toString('latin1') }),
    );
  }

  /** A hard link. */
  link(path: AnyPath, existing: AnyPath): void {
    this.#place(path, this.at(existing));
  }

  /** A fifo, socket or device. */
  special(path: AnyPath, type: EntryType, rdev: DeviceNumber | null = null): void {
    this.#place(path, this.newInode(type, { rdev }));
  }

  /** A whole tree, if it is a directory. */
  remove(path: AnyPath): void {
    const key = keyOf(path);
    this.leave(walkToDirectory(this.#root, ROOT_PATH, parentPath(key)), baseName(key));
  }

  rename(from: AnyPath, to: AnyPath): void {
    const key = keyOf(from);
    const inode = this.at(key);
    this.#place(to, inode);
    this.leave(walkToDirectory(this.#root, ROOT_PATH, parentPath(key)), baseName(key));
  }

  chmod(path: AnyPath, mode: number): void {
    const inode = this.at(path);
    inode.mode = mode;
    inode.ctime = this.time();
  }

  chown(path: AnyPath, uid: number, gid: number): void {
    const inode = this.at(path);
    Object.assign(inode, { uid, gid, ctime: this.time() });
  }

  /** Sets an extended attribute; null takes it away. */
  setXattr(path: AnyPath, name: string, value: string | null): void {
    const inode = this.at(path);
    const xattrs = new Map(inode.xattrs);
    if (value === null) xattrs.delete(name);
    else xattrs.set(name, bytesOf(value));
    inode.xattrs = xattrs;
    inode.ctime = this.time();
  }

  setFlags(path: AnyPath, flags: number): void {
    const inode = this.at(path);
    inode.flags = flags;
    inode.ctime = this.time();
  }

  /** Sets the modification time; the change time is now. */
  touch(path: AnyPath, mtime: UnixNanos = this.time()): void {
    const inode = this.at(path);
    inode.mtime = mtime;
    inode.ctime = this.time();
  }

  /** From here on down it is another file system: another st_dev. */
  mount(path: AnyPath): void {
    this.makeDirectory(path);
    const device = this.#nextDevice++;
    const visit = (inode: FileInode): void => {
      inode.device = device;
      for (const child of inode.entries.values()) visit(child);
    };
    visit(this.at(path));
  }

  /** Calls back before each read of this file by a backup: to change it meanwhile. Null ends it. */
  beforeRead(path: AnyPath, callback: ((position: number) => void) | null): void {
    if (callback === null) this.#readHooks.delete(this.at(path));
    else this.#readHooks.set(this.at(path), callback);
  }

  hookOf(inode: FileInode): ((position: number) => void) | undefined {
    return this.#readHooks.get(inode);
  }

  read(path: AnyPath): Uint8Array {
    const { content } = this.at(path);
    const bytes = new Uint8Array(content.size);
    content.read(bytes, 0);
    return bytes;
  }

  stat(path: AnyPath): Stat {
    return statOf(this.at(path));
  }

  exists(path: AnyPath): boolean {
    try {
      this.at(path);
      return true;
    } catch {
      return false;
    }
  }

  /** Everything at and below `path`, with content hashes: to compare a restore with the original. */
  tree(path: AnyPath = '/'): ListedEntry[] {
    return listTree(this.at(path));
  }

  image(): FilesImage {
    return { root: copyTree(this.#root), nextInode: this.#nextInode };
  }

  restore(image: FilesImage): void {
    this.#root = copyTree(image.root);
    this.#nextInode = image.nextInode;
    this.#readHooks.clear();
  }

  /** Follows no link. Throws if there is nothing. */
  at(path: AnyPath): FileInode {
    return walk(this.#root, ROOT_PATH, keyOf(path));
  }

  time(): UnixNanos {
    return BigInt(this.#now()) * 1_000_000n;
  }

  newInode(type: EntryType, given: Partial<FileInode> = {}): FileInode {
    const now = this.time();
    return {
      number: this.#nextInode++,
      type,
      device: 1n,
      mode: 0o644,
      uid: this.uid,
      gid: this.gid,
      mtime: now,
      ctime: now,
      links: 0,
      entries: new Map(),
      content: new FileContent(),
      target: '',
      rdev: null,
      xattrs: new Map(),
      flags: 0,
      ...given,
    };
  }

  modified(inode: FileInode): void {
    inode.mtime = this.time();
    inode.ctime = inode.mtime;
  }

  /** Gives an inode a name; what had it loses it. */
  enter(directory: FileInode, name: ByteName, inode: FileInode): FileInode {
    checkName(name);
    if (directory.entries.get(name) === inode) return inode;
    if (directory.entries.has(name)) this.leave(directory, name);
    directory.entries.set(name, inode);
    inode.device = directory.device;
    inode.links++;
    inode.ctime = this.time();
    this.modified(directory);
    return inode;
  }

  /** Takes a name away, with all below it. */
  leave(directory: FileInode, name: ByteName): void {
    const inode = directory.entries.get(name);
    if (inode === undefined) throw refusal('ENOENT', name);
    directory.entries.delete(name);
    inode.links--;
    inode.ctime = this.time();
    this.modified(directory);
  }

  #fileAt(path: AnyPath): FileInode {
    if (!this.exists(path)) this.#place(path, this.newInode('file'));
    const inode = this.at(path);
    if (inode.type !== 'file') throw refusal('EISDIR', path);
    return inode;
  }

  #place(path: AnyPath, inode: FileInode): void {
    const key = keyOf(path);
    this.makeDirectory(parentPath(key));
    this.enter(walkToDirectory(this.#root, ROOT_PATH, parentPath(key)), baseName(key), inode);
  }
}
