import { DiskFile, survivalOf, type CrashPolicy, type FileImage, type SurvivalDraw } from './disk-file.ts';
import { refusal } from './refusal.ts';

export interface DirectoryImage {
  readonly kind: 'directory';
  readonly entries: ReadonlyMap<string, DiskImage>;
}

/** A whole tree at one moment. Cheap: sectors are shared, as nobody changes them in place. */
export type DiskImage = FileImage | DirectoryImage;

export class DiskDirectory {
  readonly kind = 'directory';
  /** What readers see. */
  readonly entries = new Map<string, DiskInode>();
  /** What a power loss would leave if no pending change survived. */
  readonly durable = new Map<string, DiskInode>();
}

export type DiskInode = DiskFile | DiskDirectory;

/** One name given to an inode or (null) taken away, not yet synced in its directory. */
interface NameChange {
  readonly directory: DiskDirectory;
  readonly name: string;
  readonly inode: DiskInode | null;
}

/**
 * The names of a disk. Each operation is a group of name changes that survive a crash together or not at all, but
 * without any order among operations; a rename between directories is torn apart once one of them is synced.
 */
export class DiskTree {
  readonly sectorBytes: number;
  root = new DiskDirectory();
  #pending: NameChange[][] = [];
  readonly #account: (bytes: number) => void;

  /** @param account told of every change of the bytes that the files take */
  constructor(sectorBytes: number, account: (bytes: number) => void) {
    this.sectorBytes = sectorBytes;
    this.#account = account;
  }

  find(path: string): DiskInode | undefined {
    let inode: DiskInode | undefined = this.root;
    for (const name of componentsOf(path)) {
      if (inode?.kind !== 'directory') return undefined;
      inode = inode.entries.get(name);
    }
    return inode;
  }

  file(path: string): DiskFile {
    const inode = this.#existing(path);
    if (inode.kind !== 'file') throw refusal('EISDIR', path);
    return inode;
  }

  directory(path: string): DiskDirectory {
    const inode = this.#existing(path);
    if (inode.kind !== 'directory') throw refusal('ENOTDIR', path);
    return inode;
  }

  createFile(path: string): DiskFile {
    const { directory, name } = this.#place(path);
    if (directory.entries.has(name)) throw refusal('EEXIST', path);
    const file = new DiskFile(this.sectorBytes, undefined, this.#account);
    this.#change([{ directory, name, inode: file }]);
    return file;
  }

  createDirectory(path: string): void {
    const { directory, name } = this.#place(path);
    if (directory.entries.has(name)) throw refusal('EEXIST', path);
    this.#change([{ directory, name, inode: new DiskDirectory() }]);
  }

  remove(path: string): void {
    const inode = this.find(path);
    if (inode === undefined) return;
    if (inode.kind === 'directory' && inode.entries.size > 0) throw refusal('ENOTEMPTY', path);
    const { directory, name } = this.#place(path);
    this.#change([{ directory, name, inode: null }]);
    if (inode.kind === 'file') inode.abandon();
  }

  /** A whole directory too, and at once durable. */
  wipe(path: string): void {
    const inode = this.find(path);
    if (inode?.kind === 'directory') {
      for (const name of inode.entries.keys()) this.wipe(`${path}/${name}`);
    }
    this.remove(path);
    this.syncName(path);
  }

  rename(from: string, to: string): void {
    const inode = this.#existing(from);
    const source = this.#place(from);
    const target = this.#place(to);
    const replaced = target.directory.entries.get(target.name);
    if (replaced === inode) return;
    if (replaced !== undefined) this.#requireReplaceable(inode, replaced, to);
    this.#change([
      { ...source, inode: null },
      { ...target, inode },
    ]);
    if (replaced?.kind === 'file') replaced.abandon();
  }

  /** Makes the names in this directory durable, as they are now. */
  syncDirectory(path: string): void {
    const directory = this.directory(path);
    for (const group of this.#pending) {
      for (const change of group) if (change.directory === directory) applyDurably(change);
    }
    this.#pending = this.#pending
      .map((group) => group.filter((change) => change.directory !== directory))
      .filter((group) => group.length > 0);
  }

  /** Makes one name durable, whatever becomes of the others in its directory. */
  syncName(path: string): void {
    const { directory, name } = this.#place(path);
    const inode = directory.entries.get(name);
    if (inode === undefined) directory.durable.delete(name);
    else directory.durable.set(name, inode);
    const isOther = (change: NameChange): boolean => change.directory !== directory || change.name !== name;
    this.#pending = this.#pending.map((group) => group.filter(isOther)).filter((group) => group.length > 0);
  }

  image(): DirectoryImage {
    return imageOf(
      this.root,
      (directory) => directory.entries,
      (file) => file.image(),
    );
  }

  imageAfter(policy: CrashPolicy, draw: SurvivalDraw): DirectoryImage {
    if (policy === 'kill') return this.image();
    const survives = survivalOf(policy, draw);
    const surviving = this.#pending.filter(() => survives()).flat();
    const entriesOf = (directory: DiskDirectory): Map<string, DiskInode> => {
      const entries = new Map(directory.durable);
      for (const change of surviving) {
        if (change.directory !== directory) continue;
        if (change.inode === null) entries.delete(change.name);
        else entries.set(change.name, change.inode);
      }
      return entries;
    };
    return imageOf(this.root, entriesOf, (file) => file.imageAfter(policy, draw));
  }

  restore(image: DirectoryImage): void {
    this.#pending = [];
    const known = new Map<DiskImage, DiskInode>();
    const newFile = (content: FileImage): DiskFile => new DiskFile(this.sectorBytes, content, this.#account);
    this.root = inodeOf(image, newFile, known) as DiskDirectory;
  }

  #existing(path: string): DiskInode {
    const inode = this.find(path);
    if (inode === undefined) throw refusal('ENOENT', path);
    return inode;
  }

  #place(path: string): { directory: DiskDirectory; name: string } {
    const components = componentsOf(path);
    const name = components.pop();
    if (name === undefined) throw refusal('EEXIST', path);
    return { directory: this.directory(`/${components.join('/')}`), name };
  }

  #requireReplaceable(inode: DiskInode, replaced: DiskInode, to: string): void {
    if (inode.kind === 'file' && replaced.kind === 'directory') throw refusal('EISDIR', to);
    if (inode.kind === 'directory' && replaced.kind === 'file') throw refusal('ENOTDIR', to);
    if (replaced.kind === 'directory' && replaced.entries.size > 0) throw refusal('ENOTEMPTY', to);
  }

  #change(group: NameChange[]): void {
    for (const { directory, name, inode } of group) {
      if (inode === null) directory.entries.delete(name);
      else directory.entries.set(name, inode);
    }
    this.#pending.push(group);
  }
}

function applyDurably({ directory, name, inode }: NameChange): void {
  if (inode === null) directory.durable.delete(name);
  else directory.durable.set(name, inode);
}

function imageOf(
  root: DiskDirectory,
  entriesOf: (directory: DiskDirectory) => ReadonlyMap<string, DiskInode>,
  contentOf: (file: DiskFile) => FileImage,
): DirectoryImage {
  const known = new Map<DiskInode, DiskImage>();
  const visit = (inode: DiskInode): DiskImage => {
    const seen = known.get(inode);
    if (seen !== undefined) return seen;
    if (inode.kind === 'file') {
      const image = contentOf(inode);
      known.set(inode, image);
      return image;
    }
    const entries = new Map<string, DiskImage>();
    const image: DirectoryImage = { kind: 'directory', entries };
    known.set(inode, image);
    for (const [name, child] of entriesOf(inode)) entries.set(name, visit(child));
    return image;
  };
  return visit(root) as DirectoryImage;
}

/** What is restored is durable. One image in two places (a rename torn by a crash) stays one inode. */
function inodeOf(
  image: DiskImage,
  newFile: (content: FileImage) => DiskFile,
  known: Map<DiskImage, DiskInode>,
): DiskInode {
  const seen = known.get(image);
  if (seen !== undefined) return seen;
  if (image.kind === 'file') {
    const file = newFile(image);
    known.set(image, file);
    return file;
  }
  const directory = new DiskDirectory();
  known.set(image, directory);
  for (const [name, child] of image.entries) {
    const inode = inodeOf(child, newFile, known);
    directory.entries.set(name, inode);
    directory.durable.set(name, inode);
  }
  return directory;
}

export function componentsOf(path: string): string[] {
  if (!path.startsWith('/')) throw new TypeError(`the path ${path} is not absolute`);
  const components = path.split('/').filter((part) => part !== '' && part !== '.');
  if (components.includes('..')) throw new TypeError(`the path ${path} goes up`);
  return components;
}
