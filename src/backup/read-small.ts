import type { SmallReads, World } from '../world/ports.ts';
import { later } from './ahead.ts';
import { isFresh } from './entry-of.ts';
import type { SmallItem } from './prefetch.ts';
import { readSmallFile, type SmallRead } from './read-file.ts';

const OPEN_FILES = 16;
const FIELDS = 5;

/** Reads small files into their regions, several at once: by the batch where the World can, else one by one. */
export class SmallFileReader {
  readonly #world: World;
  /** Of all batches together. */
  readonly #reading: Promise<unknown>[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** @param into what the regions are parts of */
  async read(items: readonly SmallItem[], into: Uint8Array): Promise<SmallRead[]> {
    const { files, clock, limits } = this.#world;
    // Before the reads: a file is taken for fresh rather than not.
    const now = clock.now();
    const done = items.length === 0 ? null : await files.readSmall?.(readsOf(items, into));
    const results: Promise<SmallRead>[] = [];
    for (const [at, item] of items.entries()) {
      const { stat } = item.step;
      if (done?.[at] !== 1) {
        if (this.#reading.length >= OPEN_FILES) await this.#reading.shift();
        results.push(this.#readOne(item));
        continue;
      }
      const unsettled = isFresh(stat, now, limits.unsettled_ms);
      results.push(Promise.resolve({ kind: 'read', stat, unsettled, torn: false }));
    }
    return await Promise.all(results);
  }

  #readOne({ step, region }: SmallItem): Promise<SmallRead> {
    const read = later(readSmallFile(this.#world, step.path, region));
    this.#reading.push(read.catch(() => undefined));
    return read;
  }
}

function readsOf(items: readonly SmallItem[], into: Uint8Array): SmallReads {
  const expected = new BigInt64Array(items.length * FIELDS);
  for (const [at, { step, region }] of items.entries()) {
    const { size, mtime, ctime, inode } = step.stat;
    const fields = [BigInt(region.byteOffset), BigInt(size), mtime, ctime, inode];
    expected.set(fields, at * FIELDS);
  }
  return { paths: items.map(({ step }) => step.path), expected, into };
}
