/**
 * About a gigabyte as people have it: many small files, some of megabytes, four large ones; half of the bytes text,
 * half incompressible. The same for the same seed.
 *
 *   node scripts/trees/make-mixed.ts FOLDER [BYTES] [SEED]       FOLDER must not exist; 1000000000 bytes
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Made } from './make-many.ts';
import { between, type Draw, paretoSize, randomBytes, seeded, TextMaker } from './seeded.ts';

const SMALL_SHARE = 0.06;
const MIDDLE_SHARE = 0.44;
const LARGE_FILES = 4;
const FILES_IN_FOLDER = 100;
const PIECE_BYTES = 4_000_000;

class MixedTree {
  readonly #root: string;
  readonly #draw: Draw;
  readonly #text: TextMaker;
  #files = 0;
  #bytes = 0;

  constructor(root: string, seed: string) {
    this.#root = root;
    this.#draw = seeded(seed);
    this.#text = new TextMaker(this.#draw);
    mkdirSync(root);
  }

  get made(): Made {
    return { files: this.#files, bytes: this.#bytes };
  }

  /** Files until they have `bytes` together, every second one text. */
  many(kind: string, bytes: number, size: (draw: Draw) => number): void {
    const end = this.#bytes + bytes;
    for (let number = 0; this.#bytes < end; number++) {
      const folder = join(this.#root, kind, String(Math.floor(number / FILES_IN_FOLDER)));
      mkdirSync(folder, { recursive: true });
      this.#file(folder, number, size(this.#draw));
    }
  }

  large(bytes: number): void {
    const folder = join(this.#root, 'large');
    mkdirSync(folder);
    for (let number = 0; number < LARGE_FILES; number++) {
      this.#file(folder, number, Math.ceil(bytes / LARGE_FILES));
    }
  }

  #file(folder: string, number: number, size: number): void {
    const text = number % 2 === 0;
    const path = join(folder, text ? `text-${number}.txt` : `picture-${number}.jpg`);
    const content = (length: number): Buffer =>
      text ? this.#text.make(length) : randomBytes(this.#draw, length);
    if (size <= PIECE_BYTES) writeFileSync(path, content(size));
    else writePieces(path, size, content);
    this.#files++;
    this.#bytes += size;
  }
}

function writePieces(path: string, size: number, content: (length: number) => Buffer): void {
  const file = openSync(path, 'wx');
  for (let at = 0; at < size; at += PIECE_BYTES) writeSync(file, content(Math.min(PIECE_BYTES, size - at)));
  closeSync(file);
}

export function makeMixed(root: string, bytes: number, seed: string): Made {
  const tree = new MixedTree(root, seed);
  tree.many('small', bytes * SMALL_SHARE, (draw) => paretoSize(draw, 500, 256 * 1024));
  tree.many('middle', bytes * MIDDLE_SHARE, (draw) => between(draw, 500_000, 3_500_000));
  tree.large(bytes * (1 - SMALL_SHARE - MIDDLE_SHARE));
  return tree.made;
}

if (import.meta.main) {
  const [root, bytes = '1000000000', seed = 'mixed'] = process.argv.slice(2);
  if (root === undefined) throw new Error('name a folder that does not exist yet');
  console.log(makeMixed(root, Number(bytes), seed));
}
