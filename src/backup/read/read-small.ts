import { HEAD_BYTES } from '../../world/source/packed-entries.ts';
import type { SmallReads, World } from '../../world/ports.ts';
import { READ_AND_BARE } from '../../world/source/read-answers.ts';
import { later } from '../ahead.ts';
import { isFreshAt } from './entry-of.ts';
import type { SmallItem } from './prefetch.ts';
import { readSmallFile, type SmallRead } from './read-file.ts';

const OPEN_FILES = 16;
/** One object for all files of which the same is to be said. */
const asFound = (unsettled: boolean): readonly [some: SmallRead, bare: SmallRead] => [
  { kind: 'as found', unsettled, bare: false },
  { kind: 'as found', unsettled, bare: true },
];
const SETTLED = asFound(false);
const UNSETTLED = asFound(true);

/** Reads small files into their places, several at once: by the batch where the World can, else one by one. */
export class SmallFileReader {
  readonly #world: World;
  /** Of all batches together. */
  readonly #reading: Promise<unknown>[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** @param into what the places are in */
  async read(items: readonly SmallItem[], into: Uint8Array): Promise<SmallRead[]> {
    const { files, clock, limits } = this.#world;
    // Before the reads: a file is taken for fresh rather than not.
    const now = clock.now();
    const done = items.length === 0 ? null : await files.readSmall?.(readsOf(items, into));
    const results: SmallRead[] = [];
    const waiting: Promise<void>[] = [];
    for (const [at, item] of items.entries()) {
      const answer = done?.[at] ?? 0;
      if (answer !== 0) {
        const { entries, number } = item.file;
        const fresh = isFreshAt(entries.changesAt(number), now, limits.unsettled_ms);
        results[at] = (fresh ? UNSETTLED : SETTLED)[answer === READ_AND_BARE ? 1 : 0];
        continue;
      }
      if (this.#reading.length >= OPEN_FILES) await this.#reading.shift();
      waiting.push(later(this.#readOne(item, into).then((read) => void (results[at] = read))));
    }
    await Promise.all(waiting);
    return results;
  }

  #readOne({ file, place }: SmallItem, into: Uint8Array): Promise<SmallRead> {
    const region = into.subarray(place, place + file.size);
    const read = later(readSmallFile(this.#world, file.path, region));
    this.#reading.push(read.catch(() => undefined));
    return read;
  }
}

function readsOf(items: readonly SmallItem[], into: Uint8Array): SmallReads {
  const heads = new Uint8Array(items.length * HEAD_BYTES);
  const places = new Uint32Array(items.length);
  for (const [at, { file, place }] of items.entries()) {
    file.entries.copyHead(file.number, heads, at * HEAD_BYTES);
    places[at] = place;
  }
  return { paths: items.map(({ file }) => file.path), heads, places, into };
}
