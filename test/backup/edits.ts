import * as fc from 'fast-check';
import type { SimulatedNode } from '../../src/sim/node.ts';
import { noise } from './rig.ts';

/** One thing that a user does to the files under /home. Numbers choose among what is there. */
export interface Edit {
  readonly kind:
    | 'write'
    | 'write-large'
    | 'copy'
    | 'overwrite'
    | 'append'
    | 'truncate'
    | 'hole'
    | 'remove'
    | 'rename'
    | 'chmod'
    | 'touch'
    | 'link'
    | 'symlink'
    | 'fifo'
    | 'directory'
    | 'wait';
  readonly name: number;
  readonly other: number;
  readonly seed: number;
}

export const edits: fc.Arbitrary<Edit> = fc.record(
  {
    kind: fc.constantFrom<Edit['kind']>(
      ...([
        'write',
        'write',
        'write',
        'write-large',
        'copy',
        'overwrite',
        'append',
        'truncate',
        'hole',
      ] as const),
      ...(['remove', 'rename', 'chmod', 'touch', 'link', 'symlink', 'fifo', 'directory', 'wait'] as const),
    ),
    name: fc.nat({ max: 40 }),
    other: fc.nat({ max: 40 }),
    seed: fc.nat({ max: 1000 }),
  },
  { noNullPrototype: true },
);

/** Paths three levels deep, with names that sort differently as paths and as components. */
function pathOf(name: number): string {
  const parts = ['a', 'a-b', 'a.c', 'z'];
  return `/home/${parts[name % 4]}/${parts[(name >> 2) % 4]}${name % 3 === 0 ? '' : `/${name}`}`;
}

/** Does it, if it can be done. Answers whether time shall pass. */
export function applyEdit({ files }: SimulatedNode, { kind, name, other, seed }: Edit): boolean {
  const path = pathOf(name);
  const second = pathOf(other);
  const is = (at: string, type: string): boolean => files.exists(at) && files.stat(at).type === type;
  try {
    if (kind === 'write') files.write(path, noise(seed % 30, seed * 3));
    else if (kind === 'write-large') files.write(path, noise(seed, 10_000 + seed * 40));
    else if (kind === 'copy' && is(second, 'file')) files.write(path, files.read(second));
    else if (kind === 'overwrite' && is(path, 'file')) files.writeAt(path, seed * 20, noise(seed, 50));
    else if (kind === 'append' && is(path, 'file')) files.append(path, noise(seed, seed));
    else if (kind === 'truncate' && is(path, 'file')) files.truncate(path, seed * 10);
    else if (kind === 'hole' && is(path, 'file')) files.writeAt(path, seed * 100, 'after a hole');
    else if (kind === 'remove' && files.exists(path)) files.remove(path);
    else if (kind === 'rename' && is(path, 'file') && !is(second, 'directory')) files.rename(path, second);
    else if (kind === 'chmod' && files.exists(path)) files.chmod(path, seed % 0o1000);
    else if (kind === 'touch' && files.exists(path)) files.touch(path);
    else if (kind === 'link' && is(path, 'file') && !files.exists(second)) files.link(second, path);
    else if (kind === 'symlink' && !files.exists(path)) files.symlink(path, `target ${seed}`);
    else if (kind === 'fifo' && !files.exists(path)) files.special(path, 'fifo');
    else if (kind === 'directory' && !files.exists(path)) files.makeDirectory(path);
  } catch (error) {
    // A file stands where a directory would have to be: then nothing happens.
    if (!(error instanceof Error)) throw error;
  }
  return kind === 'wait';
}
