import { type DataExtent, type Entry, type Extent, extentLength } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import type { Metadata, MetadataRefusal, RestoreTarget, TargetFile } from '../world/ports.ts';
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
 * The first thing that goes wrong discards it. Calls of `write`, `settle` and `discard` must not overlap.
 */
export class FileJob {
  readonly entry: Entry;
  readonly place: Place;
  readonly #target: RestoreTarget;
  readonly #metadata: () => Promise<Metadata>;
  #file: TargetFile | null = null;
  readonly #inline: { readonly position: number; readonly bytes: Uint8Array }[] = [];
  #covered = 0;
  #pending = 0;
  #ended = false;
  #failure: LowtideError | null = null;
  #state: 'going' | 'restored' | 'given up' = 'going';

  /** What the target could not take of its metadata. */
  refusals: readonly MetadataRefusal[] = [];

  constructor(target: RestoreTarget, entry: Entry, place: Place, metadata: () => Promise<Metadata>) {
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

  /** @param chunk throws if the bytes are not to be had or wrong */
  async write(position: number, chunk: () => Uint8Array): Promise<void> {
    if (this.#failure !== null) return;
    try {
      const bytes = chunk();
      await (await this.#open()).write(bytes, position);
      this.#pending--;
    } catch (error) {
      this.fail(ownError(error));
    }
  }

  /**
   * Writes what the tree itself holds. If nothing is missing, the file gets its name; if something went wrong, it is
   * discarded. Afterwards a file that has ended is settled.
   */
  async settle(): Promise<void> {
    if (this.#state !== 'going') return;
    try {
      if (this.#failure === null) {
        for (const { position, bytes } of this.#inline.splice(0)) {
          await (await this.#open()).write(bytes, position);
        }
        if (!this.ready) return;
        const file = await this.#open();
        this.refusals = await file.finish(this.entry.size, this.place.replace, await this.#metadata());
        this.#file = null;
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
    const file = this.#file;
    this.#file = null;
    this.#inline.length = 0;
    await file?.discard().catch(() => {});
  }

  async #open(): Promise<TargetFile> {
    return (this.#file ??= await this.#target.createFile(this.entry.path));
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
