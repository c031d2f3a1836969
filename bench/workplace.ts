import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { run, sleep } from '../test/real/processes.ts';

/** A tree to back up, and a folder for what that makes. */
export interface Workplace {
  readonly tree: string;
  readonly scratch: string;
  /** Empties the scratch folder. */
  clear(): void;
}

/** Longer than a file may be younger than its backup without being read again the next time. */
const SETTLED_MS = 4000;

/** Makes the tree unless it is there from an earlier round. */
export async function workplace(
  folder: string,
  name: string,
  make: (path: string) => void,
): Promise<Workplace> {
  const tree = join(folder, name);
  const scratch = join(folder, 'scratch');
  const clear = (): void => {
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch);
  };
  if (!existsSync(tree)) make(tree);
  clear();
  await settle();
  return { tree, scratch, clear };
}

/** Until what was written is on the disk, and old enough. */
export async function settle(): Promise<void> {
  await run('sync', []);
  await sleep(SETTLED_MS);
}

const PIECE = Buffer.alloc(1 << 20);
/** A file of which less than this share is allocated is mostly hole: reading that warms nothing. */
const ALLOCATED = 0.5;

/**
 * Reads all files below, so that whoever comes next finds them in the page cache: some machines give up pages that
 * nobody has touched for half a minute, and then the first program of a round would read the disk for all others.
 * @returns bytes read
 */
export function warm(tree: string): number {
  let total = 0;
  for (const path of filesIn(tree)) {
    const file = openSync(path, 'r');
    const { blocks, size } = fstatSync(file);
    if (blocks * 512 >= size * ALLOCATED) {
      for (let count = readSync(file, PIECE); count > 0; count = readSync(file, PIECE)) total += count;
    }
    closeSync(file);
  }
  return total;
}

function filesIn(tree: string): string[] {
  return readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/** Three bytes at the end of the first file of a middle folder. */
export function editOne(tree: string): void {
  const files = filesIn(tree);
  appendFileSync(files[Math.floor(files.length / 2)]!, 'new');
}

/** Three bytes at the end of every hundredth file, at least of one. */
export function editPercent(tree: string): void {
  for (const [at, file] of filesIn(tree).entries()) if (at % 100 === 0) appendFileSync(file, 'new');
}
