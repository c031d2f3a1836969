import type { KeyStore } from '../format/domain-keys.ts';
import { isLowtideError, type LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type {
  ContentOutcome,
  FilePiece,
  MetadataRefusal,
  NewFile,
  RestoreTarget,
} from '../world/target/ports.ts';
import type { FetchedBlock, Unchecked } from './block-fetcher.ts';
import { contentTask, type ContentInput, INLINE, isOfContent } from './content.ts';
import type { FileJob, Piece } from './file-job.ts';
import { ownError } from './stop.ts';

/** Of one batch: more files only wait for the same disk, and every directory stays open until the end of it. */
const FILES_MAX = 256;
/** Made in one call: for those of another call the same blocks are opened once more. */
const FILES_AT_ONCE_MAX = 512;

/** Blocks and the files that want something of them, opened and written in one thread. */
export class ContentBatch {
  readonly #limits: Limits;
  readonly #numbers = new Map<BlockId, number>();
  readonly #blocks: Uint8Array<ArrayBuffer>[] = [];
  readonly #unchecked = new Map<BlockId, Unchecked>();
  readonly #wanted = new Map<FileJob, Piece[]>();
  #bytes = 0;
  /**
   * After `write`: blocks that nobody has compared with their ids, and that did not open or were not tried, because all that wanted
   * them had failed before; with what is still wanted of them.
   */
  readonly doubtful = new Map<BlockId, Piece[]>();
  readonly #tried = new Set<BlockId>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get full(): boolean {
    const { block_plain_bytes, ids_per_message } = this.#limits;
    return this.#bytes >= block_plain_bytes || this.#wanted.size >= Math.min(FILES_MAX, ids_per_message);
  }

  get empty(): boolean {
    return this.#wanted.size === 0;
  }

  /** A sealed block and all that is wanted of it. */
  add({ id, bytes, unchecked }: FetchedBlock, pieces: readonly Piece[]): void {
    if (unchecked !== null) this.#unchecked.set(id, unchecked);
    this.#numbers.set(id, this.#blocks.length);
    this.#blocks.push(compact(bytes));
    this.#bytes += bytes.length;
    for (const piece of pieces) {
      const own = this.#wanted.get(piece.job);
      if (own === undefined) this.#wanted.set(piece.job, [piece]);
      else own.push(piece);
    }
  }

  /** A file that needs no block. */
  addWhole(job: FileJob): void {
    this.#wanted.set(job, []);
  }

  /** Opens and writes. Each of its files knows then what became of its pieces but the doubtful ones. @returns those files */
  async write(target: RestoreTarget, keys: KeyStore): Promise<Iterable<FileJob>> {
    const wanted = [...this.#wanted];
    for (let at = 0; at < wanted.length; at += FILES_AT_ONCE_MAX) {
      const isLast = at + FILES_AT_ONCE_MAX >= wanted.length;
      await this.#writeSome(target, keys, wanted.slice(at, at + FILES_AT_ONCE_MAX), isLast);
    }
    for (const id of this.#unchecked.keys()) if (!this.#tried.has(id)) this.#doubt(id);
    return this.#wanted.keys();
  }

  async #writeSome(
    target: RestoreTarget,
    keys: KeyStore,
    wanted: readonly (readonly [FileJob, readonly Piece[]])[],
    isLast: boolean,
  ): Promise<void> {
    const going = wanted.filter(([job]) => job.failure === null);
    const whole = going.filter(([job, own]) => job.isWholeWith(own.length));
    const isWhole = new Set(whole.map(([job]) => job));
    const order = new Order(this.#numbers);
    const files: NewFile[] = [];
    for (const [job, own] of whole) {
      const file = job.whole(order.pieces(job, own));
      files.push(file instanceof Promise ? await file : file);
    }
    const parts: Piece[] = [];
    const pieces: FilePiece[] = [];
    for (const [job, own] of going) {
      if (isWhole.has(job)) continue;
      const file = await job.open();
      if (file === null) continue;
      for (const piece of own) {
        order.add(piece);
        parts.push(piece);
        pieces.push({ file, position: piece.position, length: piece.extent.length });
      }
    }
    if (files.length + pieces.length === 0) return;
    const input: ContentInput = {
      epochs: keys.epochs,
      blockBytesMax: this.#limits.block_bytes_max,
      ids: [...this.#numbers.keys()],
      mustHash: Array.from(this.#numbers.keys(), (id) => this.#unchecked.get(id)?.mustHash ?? false),
      blocks: this.#blocks,
      places: order.places,
      inline: order.inline,
      digests: order.digests,
    };
    const transfer = isLast ? this.#blocks.map(({ buffer }) => buffer) : [];
    const outcome = await target.writeContent({ content: contentTask, input, transfer, files, pieces });
    for (const [, own] of whole) for (const { extent } of own) this.#tried.add(extent.block);
    for (const { extent } of parts) this.#tried.add(extent.block);
    this.#tell(whole, parts, outcome);
  }

  #tell(
    whole: readonly (readonly [FileJob, readonly Piece[]])[],
    parts: readonly Piece[],
    outcome: ContentOutcome,
  ): void {
    let ends: unknown;
    const failed = (job: FileJob, own: readonly Piece[], error: LowtideError): void => {
      if (isOfContent(error) && this.#doubts(own)) return;
      job.fail(error);
      try {
        ownError(error);
      } catch (error) {
        ends ??= error;
      }
    };
    for (const [at, [job, own]] of whole.entries()) {
      const said = outcome.files.get(at) ?? NOTHING;
      if (isFault(said)) failed(job, own, said);
      else job.restored(said);
    }
    for (const [at, piece] of parts.entries()) {
      const error = outcome.pieces.get(at);
      if (error === undefined) piece.job.written();
      else failed(piece.job, [piece], error);
    }
    if (ends !== undefined) throw ends;
  }

  /** Whether these pieces failed in a way that their blocks' ids may explain: then they are to be had again, checked. */
  #doubts(pieces: readonly Piece[]): boolean {
    if (!pieces.some(({ extent }) => this.#unchecked.has(extent.block))) return false;
    for (const piece of pieces) this.#doubt(piece.extent.block).push(piece);
    return true;
  }

  #doubt(id: BlockId): Piece[] {
    this.#unchecked.get(id)?.withdraw();
    const known = this.doubtful.get(id);
    if (known !== undefined) return known;
    const pieces: Piece[] = [];
    this.doubtful.set(id, pieces);
    return pieces;
  }
}

/** In which order content is wanted, as it passes to a thread. */
class Order {
  readonly #numbers: ReadonlyMap<BlockId, number>;
  readonly places: number[] = [];
  readonly inline: Uint8Array[] = [];
  digests = '';

  constructor(numbers: ReadonlyMap<BlockId, number>) {
    this.#numbers = numbers;
  }

  add({ extent: { block, offset, length, digest } }: Piece): void {
    this.places.push(this.#numbers.get(block)!, offset, length);
    this.digests += digest;
  }

  /** All of a file. @returns where they go */
  pieces(job: FileJob, own: readonly Piece[]): number[] {
    const positions: number[] = [];
    for (const piece of own) {
      this.add(piece);
      positions.push(piece.position);
    }
    for (const { position, bytes } of job.inline) {
      this.places.push(INLINE, this.inline.length, bytes.length);
      this.inline.push(bytes);
      positions.push(position);
    }
    return positions;
  }
}

/** What may lie around a block: the head of its frame if it came over a line, what the disk gave besides if it came from there. */
const MARGIN_BYTES_MAX = 16 * 1024;

/** In memory of its own, which can go to a thread; of a view all that is behind it would. */
function compact(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  const isOwn =
    buffer instanceof ArrayBuffer &&
    buffer.byteLength <= byteLength + (byteLength > Buffer.poolSize ? MARGIN_BYTES_MAX : 0);
  return isOwn ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

const NOTHING: readonly MetadataRefusal[] = [];
const isFault = (said: LowtideError | readonly MetadataRefusal[]): said is LowtideError =>
  isLowtideError(said);
