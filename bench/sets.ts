import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeMany } from '../scripts/trees/make-many.ts';
import { makeMixed } from '../scripts/trees/make-mixed.ts';
import { between, type Draw, paretoSize, randomBytes, seeded, TextMaker } from '../scripts/trees/seeded.ts';

/** One kind of tree that people have. The same for the same scale. */
export interface DataSet {
  readonly name: string;
  readonly what: string;
  make(path: string): void;
  /** Nights after the first; each changes the tree. Without it: unchanged, then one percent of the files edited. */
  readonly versions?: { readonly count: number; change(path: string, version: number): void };
  /** Only a first backup: the tree shows one thing. */
  readonly firstOnly?: boolean;
}

const PIECE_BYTES = 4_000_000;
const FILES_IN_FOLDER = 100;

/** @param scale 1 for what issue trackers and people ask about; 0.1 for minutes instead of hours */
export function dataSets(scale: number): readonly DataSet[] {
  const bytes = (count: number): number => Math.round(count * scale);
  const shown = (count: number): string => Math.round(count * scale).toLocaleString('en-US');
  return [
    {
      name: 'many',
      what: `${shown(100_000)} small files of text, 500 bytes to 256 KiB`,
      make: (path) => void makeMany(path, bytes(100_000), 'many'),
    },
    {
      name: 'mixed',
      what: `${shown(1000)} MB of mixed files, half text and half incompressible`,
      make: (path) => void makeMixed(path, bytes(1e9), 'mixed'),
    },
    {
      name: 'noise',
      what: `${shown(1000)} MB of incompressible files of 20 MB`,
      make: (path) => fill(path, bytes(1e9), 20_000_000, randomBytes),
    },
    {
      name: 'text',
      what: `${shown(1000)} MB of compressible text in files of 20 MB`,
      make: (path) => {
        const text = new TextMaker(seeded('text'));
        fill(path, bytes(1e9), 20_000_000, (_draw, length) => text.make(length));
      },
    },
    {
      name: 'large',
      what: `one dense file of ${shown(20_000)} MB, incompressible`,
      make: (path) => fill(path, bytes(20e9), bytes(20e9), randomBytes),
    },
    {
      name: 'sparse',
      what: 'one file of 64 GiB with 4 KiB of data',
      make: makeSparse,
      firstOnly: true,
    },
    {
      name: 'empty',
      what: `${shown(2_000_000)} empty files`,
      make: (path) => makeEmpty(path, bytes(2_000_000)),
    },
    {
      name: 'churn',
      what: `ten versions of ${shown(20_000)} files of source text: a twentieth changed, some new, some gone`,
      make: (path) => void makeMany(path, bytes(20_000), 'churn'),
      versions: { count: 9, change: (path, version) => churn(path, version, bytes(20_000)) },
    },
  ];
}

function fill(
  path: string,
  total: number,
  each: number,
  content: (draw: Draw, length: number) => Buffer,
): void {
  const draw = seeded('fill');
  mkdirSync(path);
  for (let made = 0, number = 0; made < total; made += each, number++) {
    const file = openSync(join(path, `file-${number}`), 'wx');
    for (let at = 0; at < each; at += PIECE_BYTES)
      writeSync(file, content(draw, Math.min(PIECE_BYTES, each - at)));
    closeSync(file);
  }
}

function makeSparse(path: string): void {
  mkdirSync(path);
  const file = openSync(join(path, 'disk.img'), 'wx');
  writeSync(file, randomBytes(seeded('sparse'), 4096), 0, 4096, 32 * 2 ** 30);
  ftruncateSync(file, 64 * 2 ** 30);
  closeSync(file);
}

function makeEmpty(path: string, files: number): void {
  mkdirSync(path);
  let folder = path;
  for (let number = 0; number < files; number++) {
    if (number % 1000 === 0) {
      folder = join(path, `folder-${number / 1000}`);
      mkdirSync(folder);
    }
    writeFileSync(join(folder, `empty-${number}`), '');
  }
}

/** What makeMany made, a version later. */
function churn(path: string, version: number, files: number): void {
  const draw = seeded(`version ${version}`);
  const text = new TextMaker(draw);
  for (let change = 0; change < files / 20; change++) {
    const number = between(draw, 0, files - 1);
    const folder = Math.floor(number / FILES_IN_FOLDER);
    const file = join(path, `part-${Math.floor(folder / 50)}`, `folder-${folder}`, `note-${number}.txt`);
    const old = readFileSync(file);
    const at = between(draw, 0, old.length);
    writeFileSync(
      file,
      Buffer.concat([old.subarray(0, at), text.make(between(draw, 10, 400)), old.subarray(at)]),
    );
  }
  const fresh = join(path, `new-${version}`);
  mkdirSync(fresh);
  for (let number = 0; number < files / 200; number++) {
    writeFileSync(join(fresh, `${number}.txt`), text.make(paretoSize(draw, 500, 100_000)));
  }
}
