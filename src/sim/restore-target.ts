import type { Entry } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import {
  baseName,
  checkName,
  displayPath,
  joinPath,
  parentPath,
  pathComponents,
  ROOT_PATH,
  type ByteName,
  type PathKey,
} from '../model/paths.ts';
import { errnoWords } from '../world/system/errno.ts';
import { BrokenPath } from '../world/system/paths-by-handle.ts';
import { plainKernels } from '../world/threads/kernels.ts';
import type { ScannedEntry } from '../world/ports.ts';
import {
  type Content,
  type ContentBatch,
  type ContentOutcome,
  type Metadata,
  type MetadataRefusal,
  type NewFile,
  type RestoreTarget,
  type TargetFile,
  UNFINISHED_MODE,
} from '../world/target/ports.ts';
import { targetError } from '../world/target/names.ts';
import { scannedEntry, walk, walkToDirectory, type FileInode } from './file-inode.ts';
import { applyMetadata, setFlags } from './file-metadata.ts';
import type { SimulatedFiles } from './file-system.ts';
import type { Incarnation } from './incarnation.ts';
import { refusal } from './refusal.ts';

/** One call on a target: a change is a numbered operation, `files.create`, `files.link` ... */
interface TargetCall {
  readonly kind: string;
  readonly path: PathKey;
  readonly bytes?: Uint8Array;
}

export async function openSimulatedTarget(
  files: SimulatedFiles,
  incarnation: Incarnation,
  root: PathKey,
): Promise<RestoreTarget> {
  const shown = displayPath(root);
  return await incarnation.operation({ kind: 'files.openTarget', detail: shown, changes: true }, () => {
    for (const name of pathComponents(root)) checkName(name);
    let inode = files.root;
    for (const name of pathComponents(root)) {
      const next = inode.entries.get(name) ?? files.enter(inode, name, newDirectory(files));
      if (next.type !== 'directory') throw targetError(refusal('EEXIST', shown), shown);
      inode = next;
    }
    sweep(files, incarnation, inode);
    return new SimulatedTarget(files, incarnation, root, inode);
  });
}

const newDirectory = (files: SimulatedFiles): FileInode => files.newInode('directory', { mode: 0o700 });

const TEMPORARY = /^\.lowtide-(\d+)-\d+\.tmp$/;

function temporaryName(incarnation: Incarnation, inode: FileInode): ByteName {
  return `.lowtide-${incarnation.number}-${inode.number}.tmp` as ByteName;
}

/** Removes what restores of earlier incarnations have left. */
function sweep(files: SimulatedFiles, incarnation: Incarnation, directory: FileInode): void {
  for (const name of directory.entries.keys()) {
    const match = TEMPORARY.exec(name);
    if (match !== null && Number(match[1]) !== incarnation.number) files.leave(directory, name);
  }
}

class SimulatedTarget implements RestoreTarget {
  readonly #files: SimulatedFiles;
  readonly #incarnation: Incarnation;
  readonly #path: PathKey;
  readonly #root: FileInode;

  constructor(files: SimulatedFiles, incarnation: Incarnation, path: PathKey, root: FileInode) {
    this.#files = files;
    this.#incarnation = incarnation;
    this.#path = path;
    this.#root = root;
  }

  lstat(path: PathKey): Promise<ScannedEntry | null> {
    return this.#incarnation.answer(() => this.#naming(path, () => this.#look(path)));
  }

  makeDirectory(path: PathKey): Promise<void> {
    return this.#change({ kind: 'makeDirectory', path }, () => {
      if (path === ROOT_PATH) return;
      const [parent, name] = this.#place(path);
      const there = parent.entries.get(name);
      if (there === undefined) this.#files.enter(parent, name, newDirectory(this.#files));
      else if (there.type !== 'directory') throw refusal('EEXIST', name);
      else sweep(this.#files, this.#incarnation, there);
    });
  }

  createFile(path: PathKey): Promise<TargetFile> {
    return this.#change({ kind: 'create', path }, () => {
      const [directory, name] = this.#place(path);
      const inode = this.#files.newInode('file', { mode: 0o600 });
      const temporary = temporaryName(this.#incarnation, inode);
      this.#files.enter(directory, temporary, inode);
      return this.#targetFile(path, directory, name, temporary, inode);
    });
  }

  async writeContent<Input>(batch: ContentBatch<Input>): Promise<ContentOutcome> {
    const { content, input, transfer } = batch;
    const given = structuredClone(input, { transfer: [...transfer] });
    const contents = await content.run(given, plainKernels);
    let used = 0;
    const files = new Map<number, LowtideError | readonly MetadataRefusal[]>();
    for (const [at, file] of batch.files.entries()) {
      const own = contents.slice(used, used + file.positions.length);
      used += own.length;
      const told = await tried(() => this.#newFile(file, own));
      if (!Array.isArray(told) || told.length > 0) files.set(at, told);
    }
    const pieces = new Map<number, LowtideError>();
    for (const [at, { file, position }] of batch.pieces.entries()) {
      const told = await tried(async () => file.write(bytesOf(contents[used + at]), position));
      if (told instanceof LowtideError) pieces.set(at, told);
    }
    return { files, pieces };
  }

  isUnfinished({ type, mode }: ScannedEntry): boolean {
    return type === 'file' && mode === UNFINISHED_MODE;
  }

  symlink(path: PathKey, target: string, replace: boolean): Promise<void> {
    return this.#make('symlink', path, replace, () =>
      this.#files.newInode('symlink', { mode: 0o777, target }),
    );
  }

  link(path: PathKey, existing: PathKey, replace: boolean): Promise<void> {
    return this.#make('link', path, replace, () => {
      const [directory, name] = this.#naming(existing, () => this.#place(existing));
      const inode = directory.entries.get(name);
      if (inode === undefined) throw new LowtideError('not-found', `${this.#shown(existing)} does not exist`);
      if (inode.type === 'directory') throw refusal('EPERM', name);
      return inode;
    });
  }

  fifo(path: PathKey, replace: boolean): Promise<void> {
    return this.#make('fifo', path, replace, () => this.#files.newInode('fifo', { mode: 0o600 }));
  }

  device(path: PathKey, entry: Entry, replace: boolean): Promise<void> {
    return this.#make('device', path, replace, () => {
      if (!this.#files.superuser) {
        throw new LowtideError('forbidden', `${this.#shown(path)}: only root may make a device`);
      }
      return this.#files.newInode(entry.type, { mode: 0o600, rdev: entry.rdev ?? { major: 0, minor: 0 } });
    });
  }

  applyMetadata(path: PathKey, metadata: Metadata): Promise<readonly MetadataRefusal[]> {
    const shown = this.#shown(path);
    return this.#change({ kind: 'metadata', path }, () => {
      let inode: FileInode;
      try {
        inode = walk(this.#root, this.#path, path);
      } catch (error) {
        const message = `${shown}: ${errnoWords(error)}`;
        return (['owner', 'mode', 'times'] as const).map((what) => ({ what, message }));
      }
      return applyMetadata(this.#files, inode, shown, metadata);
    });
  }

  setFlags(path: PathKey, flags: number): Promise<readonly MetadataRefusal[]> {
    return this.#change({ kind: 'flags', path }, () =>
      setFlags(this.#files, walk(this.#root, this.#path, path), this.#shown(path), flags),
    );
  }

  sync(): Promise<void> {
    return this.#change({ kind: 'sync', path: ROOT_PATH }, () => {});
  }

  async close(): Promise<void> {
    await this.#incarnation.answer(() => {});
  }

  async #newFile(file: NewFile, contents: readonly Content[]): Promise<readonly MetadataRefusal[]> {
    const all = contents.map(bytesOf);
    const { path, size, positions, replace, fresh, metadata } = file;
    const made = fresh && !replace ? await this.#createUnfinished(path) : await this.createFile(path);
    try {
      for (const [at, bytes] of all.entries()) await made.write(bytes, positions[at]!);
      return await made.finish(size, replace, metadata);
    } catch (error) {
      await made.discard();
      throw error;
    }
  }

  /** Under its own name from the beginning: the mode says that it is not whole. */
  #createUnfinished(path: PathKey): Promise<TargetFile> {
    return this.#change({ kind: 'create', path }, () => {
      const [directory, name] = this.#place(path);
      this.#requireFree(directory, name, false);
      const inode = this.#files.newInode('file', { mode: UNFINISHED_MODE });
      this.#files.enter(directory, name, inode);
      return this.#targetFile(path, directory, name, name, inode);
    });
  }

  #targetFile(
    path: PathKey,
    directory: FileInode,
    name: ByteName,
    temporary: ByteName,
    inode: FileInode,
  ): TargetFile {
    let open = true;
    const discard = (): void => {
      if (open && directory.entries.get(temporary) === inode) this.#files.leave(directory, temporary);
      open = false;
    };
    return {
      write: (bytes, position) =>
        this.#change({ kind: 'write', path, bytes }, () => {
          if (!open) throw refusal('EBADF', temporary);
          inode.content.write(bytes, position);
          this.#files.modified(inode);
        }),
      finish: (size, replace, metadata) =>
        this.#change({ kind: 'finish', path }, () => {
          if (!open) throw refusal('EBADF', temporary);
          if (temporary === name) {
            inode.content.truncate(size);
            open = false;
            return metadata === null ? [] : applyMetadata(this.#files, inode, this.#shown(path), metadata);
          }
          try {
            inode.content.truncate(size);
            this.#requireFree(directory, name, replace);
            const refused =
              metadata === null ? [] : applyMetadata(this.#files, inode, this.#shown(path), metadata);
            this.#files.enter(directory, name, inode);
            return refused;
          } finally {
            discard();
          }
        }),
      discard: () => this.#change({ kind: 'discard', path }, discard),
    };
  }

  #make(kind: string, path: PathKey, replace: boolean, make: () => FileInode): Promise<void> {
    return this.#change({ kind, path }, () => {
      const [directory, name] = this.#place(path);
      const inode = make();
      this.#requireFree(directory, name, replace);
      this.#files.enter(directory, name, inode);
    });
  }

  #requireFree(directory: FileInode, name: ByteName, replace: boolean): void {
    const there = directory.entries.get(name);
    if (there !== undefined && (!replace || there.type === 'directory')) throw refusal('EEXIST', name);
  }

  #look(path: PathKey): ScannedEntry | null {
    try {
      if (path === ROOT_PATH) return scannedEntry('' as ByteName, this.#root);
      const [directory, name] = this.#place(path);
      const inode = directory.entries.get(name);
      return inode === undefined ? null : scannedEntry(name, inode);
    } catch (error) {
      if (error instanceof BrokenPath && (error.kind === 'missing' || error.kind === 'no-directory'))
        return null;
      throw error;
    }
  }

  #place(path: PathKey): [directory: FileInode, name: ByteName] {
    if (path === ROOT_PATH) throw new LowtideError('target-exists', `${this.#shown(path)} is a directory`);
    for (const name of pathComponents(path)) checkName(name);
    return [walkToDirectory(this.#root, this.#path, parentPath(path)), baseName(path)];
  }

  #change<T>({ kind, path, bytes }: TargetCall, effect: () => T): Promise<T> {
    const request = { kind: `files.${kind}`, detail: this.#shown(path), changes: true };
    return this.#incarnation.operation(
      { ...request, ...(bytes === undefined ? {} : { bytes: [bytes] }) },
      () =>
        this.#naming(path, () => {
          this.#files.faults.check(request.kind, request.detail);
          return effect();
        }),
    );
  }

  #naming<T>(path: PathKey, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw targetError(error, this.#shown(path));
    }
  }

  #shown(path: PathKey): string {
    return displayPath(path === ROOT_PATH ? this.#path : joinPath(this.#path, path as string as ByteName));
  }
}

function bytesOf(content: Content | undefined): Uint8Array {
  if (content instanceof Uint8Array) return content;
  throw content ?? new TypeError('there is less content than was asked for');
}

async function tried<T>(run: () => Promise<T>): Promise<T | LowtideError> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof LowtideError) return error;
    throw error;
  }
}
