import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
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
