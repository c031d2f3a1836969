import { type DataExtent, type Entry, type Extent, extentLength } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import type { Metadata, MetadataRefusal, NewFile, RestoreTarget, TargetFile } from '../world/target/ports.ts';
import { ownError } from './stop.ts';

/** A chunk and where in a file it goes. */
export interface Piece {
  readonly job: FileJob;
  readonly position: number;
  readonly extent: DataExtent;
}

/** What is known of a name before something gets it. */
export interface Place {
  /** Whether what has the name may be replaced. */
  readonly replace: boolean;
  /** In a directory that this restore made: whatever has the name there, this restore put it there. */
  readonly fresh: boolean;
}

/**
 * One file on its way to its final name. Its extents come in order, their bytes in any order; it exists under a
 * temporary name from its first byte on, and gets its metadata and then its final name only if every byte was covered,
 * checked and written.
 * The first thing that goes wrong discards it.
 */
export class FileJob {
  readonly entry: Entry;
  readonly place: Place;
  readonly #target: RestoreTarget;
  readonly #metadata: () => Metadata | Promise<Metadata>;
  #opening: Promise<TargetFile> | null = null;
  readonly #inline: { readonly position: number; readonly bytes: Uint8Array }[] = [];
  #covered = 0;
  #pending = 0;
  #ended = false;
  #settling: Promise<void> | null = null;
  #failure: LowtideError | null = null;
  #state: 'going' | 'restored' | 'given up' = 'going';

  /** It was counted as restored or given up. */
  told = false;
  /** What the target could not take of its metadata. */
  refusals: readonly MetadataRefusal[] = [];

  constructor(
    target: RestoreTarget,
    entry: Entry,
    place: Place,
    metadata: () => Metadata | Promise<Metadata>,
  ) {
    this.#target = target;
    this.entry = entry;
    this.place = place;
    this.#metadata = metadata;
  }

  /** Why the file is not restored. */
  get failure(): LowtideError | null {
    return this.#failure;
  }

  get state(): 'going' | 'restored' | 'given up' {
    return this.#state;
  }

  /** No more extents come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** All its bytes are there, or it has failed. */
  get ready(): boolean {
    return this.#ended && (this.#pending === 0 || this.#failure !== null);
  }

  /** Takes the next extents, which the tree puts at `offset`; answers the pieces that must be fetched for them. */
  plan(offset: number, extents: readonly Extent[]): Piece[] {
    if (this.#failure !== null) return [];
    const pieces: Piece[] = [];
    if (offset !== this.#covered) return this.#refuse(`continues at byte ${offset}`);
    for (const extent of extents) {
      const position = this.#covered;
      this.#covered += extentLength(extent);
      if (this.#covered > this.entry.size) return this.#refuse('goes on beyond its size');
      if (extent.kind === 'inline') this.#inline.push({ position, bytes: extent.bytes });
      if (extent.kind === 'data') pieces.push({ job: this, position, extent });
    }
    this.#pending += pieces.length;
    return pieces;
  }

  end(): void {
    this.#ended = true;
    if (this.#failure !== null || this.#covered === this.entry.size) return;
    if (!this.entry.partial) this.#refuse('ends there');
    else {
      this.#failure = new LowtideError(
        'restore-incomplete',
        `the snapshot is partial and has only ${this.#covered} of the file's ${this.entry.size} bytes`,
      );
    }
  }

  /** Whether nothing is missing of it but so many pieces, and nothing of it is written yet. */
  isWholeWith(pieces: number): boolean {
    const untouched = this.#state === 'going' && this.#failure === null && this.#opening === null;
    return untouched && this.#ended && this.#pending === pieces;
  }

  /** All of it, to be made in one call. @param positions of its pieces */
  whole(positions: readonly number[]): NewFile | Promise<NewFile> {
    const { path, size } = this.entry;
    const { replace, fresh } = this.place;
    const metadata = this.#metadata();
    if (!(metadata instanceof Promise)) return { path, size, positions, replace, fresh, metadata };
    return metadata.then((found) => ({ path, size, positions, replace, fresh, metadata: found }));
  }

  /** What the tree itself holds of it. */
  get inline(): readonly { readonly position: number; readonly bytes: Uint8Array }[] {
    return this.#inline;
  }

  /** It was made in one call. */
  restored(refusals: readonly MetadataRefusal[]): void {
    this.refusals = refusals;
    this.#inline.length = 0;
    this.#pending = 0;
    this.#state = 'restored';
  }

  /** One of its pieces is in the file. */
  written(): void {
    this.#pending--;
  }

  /** The file that pieces go to; null if it has failed. */
  async open(): Promise<TargetFile | null> {
    if (this.#failure !== null) return null;
    try {
      return await this.#open();
    } catch (error) {
      this.fail(ownError(error));
      return null;
    }
  }

  /**
   * Writes what the tree itself holds. If nothing is missing, the file gets its name; if something went wrong, it is
   * discarded. Afterwards a file that has ended is settled.
   */
  settle(): Promise<void> {
    const settled = this.#settling === null ? this.#settle() : this.#settling.then(() => this.#settle());
    this.#settling = settled.catch(() => {});
    return settled;
  }

  async #settle(): Promise<void> {
    if (this.#state !== 'going') return;
    try {
      if (this.#failure === null) {
        for (const { position, bytes } of this.#inline.splice(0)) {
          await (await this.#open()).write(bytes, position);
        }
        if (!this.ready) return;
        const file = await this.#open();
        this.refusals = await file.finish(this.entry.size, this.place.replace, await this.#metadata());
        this.#opening = null;
        this.#state = 'restored';
        return;
      }
    } catch (error) {
      this.fail(ownError(error));
    }
    await this.discard();
    if (this.#ended) this.#state = 'given up';
  }

  /** Only the first reason counts. */
  fail(error: LowtideError): void {
    this.#failure ??= error;
  }

  /** Removes the temporary file, if there is one. */
  async discard(): Promise<void> {
    const opening = this.#opening;
    this.#opening = null;
    this.#inline.length = 0;
    // One that could not be made needs no removing.
    await opening?.then((file) => file.discard()).catch(() => {});
  }

  #open(): Promise<TargetFile> {
    return (this.#opening ??= this.#target.createFile(this.entry.path));
  }

  #refuse(what: string): [] {
    this.fail(
      new LowtideError(
        'damaged-page',
        `the tree says that the file has ${this.entry.size} bytes, and what it lists for byte ${this.#covered} ${what}`,
      ),
    );
    return [];
  }
}
