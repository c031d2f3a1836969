/**
 * Many small files of text: sizes as on people's disks, a hundred to a folder, the same for the same seed.
 *
 *   node scripts/trees/make-many.ts FOLDER [FILES] [SEED]        FOLDER must not exist; 100000 files
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { paretoSize, seeded, TextMaker } from './seeded.ts';

const FILES_IN_FOLDER = 100;
const FOLDERS_IN_FOLDER = 50;
const LEAST_BYTES = 500;
const MOST_BYTES = 256 * 1024;

export interface Made {
  readonly files: number;
  readonly bytes: number;
}

export function makeMany(root: string, files: number, seed: string): Made {
  const draw = seeded(seed);
  const text = new TextMaker(draw);
  let bytes = 0;
  let folder = '';
  mkdirSync(root);
  for (let number = 0; number < files; number++) {
    if (number % FILES_IN_FOLDER === 0) {
      const folderNumber = number / FILES_IN_FOLDER;
      const parent = join(root, `part-${Math.floor(folderNumber / FOLDERS_IN_FOLDER)}`);
      folder = join(parent, `folder-${folderNumber}`);
      mkdirSync(folder, { recursive: true });
    }
    const size = paretoSize(draw, LEAST_BYTES, MOST_BYTES);
    writeFileSync(join(folder, `note-${number}.txt`), text.make(size));
    bytes += size;
  }
  return { files, bytes };
}

if (import.meta.main) {
  const [root, files = '100000', seed = 'many'] = process.argv.slice(2);
  if (root === undefined) throw new Error('name a folder that does not exist yet');
  console.log(makeMany(root, Number(files), seed));
}
