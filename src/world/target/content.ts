import type { ExtendedAttribute } from '../../model/entries.ts';
import { LowtideError } from '../../model/errors.ts';
import { baseName, checkName, parentPath, type PathKey } from '../../model/paths.ts';
import {
  BETWEEN_NAMES,
  DIRECT,
  NUMBERS,
  PLAIN,
  REPLACE,
  SHOWN_LATER,
  type ThreadAnswer,
  type ThreadBatch,
  TIMES,
  type Told,
  writeContentHere,
} from './content-thread.ts';
import { systemError } from '../system/errno.ts';
import { UTIME_OMIT } from '../system/native.ts';
import type { Task, Work } from '../ports.ts';
import type { ContentBatch, ContentOutcome, FilePiece, Metadata, MetadataRefusal, NewFile } from './ports.ts';
import type { TargetDirectories } from './directories.ts';
import { RealTargetFile } from './file.ts';
import { targetError, type TemporaryNames } from './names.ts';

const SET_ID_BITS = 0o6000;
const NANOS = 1_000_000_000n;

export interface ContentParts {
  readonly work: Work;
  readonly directories: TargetDirectories;
  readonly temporaries: TemporaryNames;
  readonly shown: (path: PathKey) => string;
}

/** RestoreTarget.writeContent: finds directories here, and makes the files in a thread. */
export async function writeContent<Input>(
  parts: ContentParts,
  batch: ContentBatch<Input>,
): Promise<ContentOutcome> {
  const packed = new PackedFiles(parts, batch.files);
  const over = Promise.withResolvers<void>();
  try {
    const descriptors = batch.pieces.map((piece) => lend(piece, over.promise));
    const job: ThreadBatch = {
      module: batch.content.module,
      name: batch.content.name,
      input: batch.input,
      ...packed.fields(),
      descriptors,
      offsets: batch.pieces.map(({ position }) => position),
    };
    const answer = await parts.work.run(contentTask, job, batch.transfer);
    return packed.outcome(answer, batch.pieces);
  } finally {
    over.resolve();
    packed.close();
  }
}

function lend({ file, position, length }: FilePiece, over: Promise<void>): number {
  if (!(file instanceof RealTargetFile)) throw new TypeError('the file is not one of this target');
  return file.lend(position, length, over);
}

/** Files as they pass to a thread. Those whose directory cannot be opened stay here. */
class PackedFiles {
  readonly #parts: ContentParts;
  readonly #files: readonly NewFile[];
  readonly #failed = new Map<number, LowtideError>();
  readonly #directories = new Map<PathKey, { readonly number: number; readonly descriptor: number }>();
  readonly #numbers: Float64Array;
  readonly #times: BigInt64Array<ArrayBuffer>;
  readonly #positions: number[] = [];
  readonly #names: string[] = [];
  readonly #temporaries: string[] = [];
  readonly #xattrs = new Map<number, readonly ExtendedAttribute[] | null>();

  constructor(parts: ContentParts, files: readonly NewFile[]) {
    this.#parts = parts;
    this.#files = files;
    this.#numbers = new Float64Array(files.length * NUMBERS);
    this.#times = new BigInt64Array(files.length * TIMES);
    for (const [at, file] of files.entries()) this.#add(at, file);
  }

  fields(): Omit<ThreadBatch, 'module' | 'name' | 'input' | 'descriptors' | 'offsets'> {
    return {
      directories: [...this.#directories.values()].map(({ descriptor }) => descriptor),
      names: this.#names.join(BETWEEN_NAMES),
      temporaries: this.#temporaries.join(BETWEEN_NAMES),
      numbers: this.#numbers,
      times: this.#times,
      positions: new Float64Array(this.#positions),
      xattrs: this.#xattrs,
    };
  }

  outcome(answer: ThreadAnswer, pieces: readonly FilePiece[]): ContentOutcome {
    const { directories, shown } = this.#parts;
    const told = new Map(answer.files);
    const files = new Map<number, LowtideError | readonly MetadataRefusal[]>();
    for (const [at, { path, replace }] of this.#files.entries()) {
      const failed = this.#failed.get(at);
      const said = told.get(at);
      if (failed !== undefined) files.set(at, failed);
      else if (said !== undefined) files.set(at, heard(said, shown(path)));
      if (replace) directories.forget(path);
    }
    const wrong = answer.pieces.map(([at, said]) => {
      const { file } = pieces[at]!;
      return [at, heard(said, (file as RealTargetFile).shown) as LowtideError] as const;
    });
    return { files, pieces: new Map(wrong) };
  }

  close(): void {
    for (const { descriptor } of this.#directories.values()) this.#parts.directories.giveBack(descriptor);
  }

  #add(at: number, file: NewFile): void {
    const { metadata, size, positions, replace, fresh, path } = file;
    const { directory, inherits } = this.#directory(at, path);
    this.#names.push(baseName(path));
    this.#positions.push(...positions);
    const plain = !inherits && isPlain(metadata);
    const direct = fresh && !replace && (metadata.mode & SET_ID_BITS) === 0;
    this.#temporaries.push(this.#parts.temporaries.next());
    if (!plain) this.#xattrs.set(at, metadata.xattrs ?? null);
    const how = (replace ? REPLACE : 0) | (direct ? DIRECT : 0) | (plain ? PLAIN : 0);
    const { mode, uid, gid, mtime } = metadata;
    this.#numbers.set([directory, positions.length, size, mode, uid ?? -1, gid ?? -1, how], at * NUMBERS);
    const rest = ((mtime % NANOS) + NANOS) % NANOS;
    this.#times[at * TIMES + 1] = UTIME_OMIT;
    this.#times[at * TIMES + 2] = (mtime - rest) / NANOS;
    this.#times[at * TIMES + 3] = rest;
  }

  #directory(at: number, path: PathKey): { readonly directory: number; readonly inherits: boolean } {
    const parent = parentPath(path);
    const { directories, shown } = this.#parts;
    try {
      checkName(baseName(path));
      let known = this.#directories.get(parent);
      if (known === undefined) {
        known = { number: this.#directories.size, descriptor: directories.borrow(parent) };
        this.#directories.set(parent, known);
      }
      return { directory: known.number, inherits: directories.givesLists(known.descriptor) };
    } catch (error) {
      this.#failed.set(at, targetError(error, shown(path)));
      return { directory: -1, inherits: true };
    }
  }
}

/** What is set in three calls. */
function isPlain({ mode, xattrs }: Metadata): boolean {
  return (mode & SET_ID_BITS) === 0 && (xattrs === undefined || xattrs.length === 0);
}

function heard(said: Told, shown: string): LowtideError | readonly MetadataRefusal[] {
  if ('code' in said) return new LowtideError(said.code, said.message);
  if ('system' in said) return targetError(systemError(said.system, said.errno, said.call), shown);
  return said.map(({ what, message }) => ({ what, message: message.replaceAll(SHOWN_LATER, shown) }));
}

const contentTask: Task<ThreadBatch, ThreadAnswer> = {
  module: new URL(import.meta.url.replace(/content(\.\w+)$/, 'content-thread$1')).href,
  name: 'writeContentHere',
  run: writeContentHere,
};
