/** Where the tests of restore restore to: the machine's own files and simulated ones. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Entry } from '../../src/model/entries.ts';
import { type Limits, tinyLimits } from '../../src/model/limits.ts';
import { joinPath, type ByteName, type PathKey } from '../../src/model/paths.ts';
import { restoreSnapshot } from '../../src/restore/restore.ts';
import type { RestorePlan, RestoreReport } from '../../src/restore/restore-plan.ts';
import { SimulatedNode } from '../../src/sim/node.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { Files, ScannedEntry, World } from '../../src/world/ports.ts';
import { type BuiltSnapshot, pathKey } from './build-snapshot.ts';
import type { MemorySource } from './memory-source.ts';
import { realWorld } from './real-world.ts';

/** A world with an empty directory in it. */
export interface RestorePlace {
  readonly world: World;
  readonly directory: PathKey;
  /** Null on the machine's own files. */
  readonly node: SimulatedNode | null;
  /** May it give files away and make devices? */
  readonly superuser: boolean;
  /** Lets time pass until the promise has settled. */
  readonly finish: <T>(promise: Promise<T>) => Promise<T>;
  dispose(): Promise<void>;
}

export async function realPlace(changes: Partial<Limits> = {}): Promise<RestorePlace> {
  const world = await realWorld({ ...tinyLimits, ...changes });
  return {
    world,
    directory: pathKey(world.directory),
    node: null,
    superuser: process.getuid?.() === 0,
    finish: (promise) => promise,
    dispose: () => {
      // Who is not root must be able to empty what was restored.
      execFileSync('chmod', ['-R', 'u+rwX', world.directory]);
      return world.dispose();
    },
  };
}

export function simulatedPlace(changes: Partial<Limits> = {}, superuser = true): RestorePlace {
  const limits = { ...tinyLimits, ...changes };
  const node = new SimulatedNode(new Simulation({ seed: 1 }), { name: 'node', limits });
  node.files.superuser = superuser;
  node.files.makeDirectory('/place');
  return {
    world: node.boot(),
    directory: pathKey('place'),
    node,
    superuser,
    finish: (promise) => node.simulation.finish(promise),
    dispose: () => Promise.resolve(),
  };
}

/** One test in a place of its own. */
export function inPlace(
  name: string,
  make: () => RestorePlace | Promise<RestorePlace>,
  run: (place: RestorePlace) => Promise<void>,
): void {
  test(name, async () => {
    const place = await make();
    try {
      await run(place);
    } finally {
      await place.dispose();
    }
  });
}

/** The same test on the machine's own files, on simulated ones as root and as a user. */
export function everywhere(name: string, run: (place: RestorePlace) => Promise<void>): void {
  inPlace(`${name} (real files)`, realPlace, run);
  inPlace(`${name} (simulated, root)`, simulatedPlace, run);
  inPlace(`${name} (simulated, a user)`, () => simulatedPlace({}, false), run);
}

/** An owner that this place's process can give. */
export function ownerIn({ node }: RestorePlace): { readonly uid: number; readonly gid: number } {
  if (node === null) return { uid: process.getuid!(), gid: process.getgid!() };
  return { uid: node.files.uid, gid: node.files.gid };
}

export const targetOf = ({ directory }: RestorePlace): PathKey => joinPath(directory, 'target' as ByteName);

export type PlanChanges = Partial<Omit<RestorePlan, 'paths' | 'sources'>> & {
  readonly paths?: readonly string[];
  readonly sources?: readonly MemorySource[];
  readonly stop?: AbortSignal;
};

/** Restores into `targetOf(place)`. Sources are called `source 1`, `source 2` ... */
export function restoreIn(
  place: RestorePlace,
  snapshot: BuiltSnapshot,
  { paths = [], sources = [snapshot.source()], stop, ...changes }: PlanChanges = {},
): Promise<RestoreReport> {
  const plan: RestorePlan = {
    signed: snapshot.signed,
    keys: snapshot.keys,
    sources: sources.map((source, at) => ({ name: `source ${at + 1}`, source })),
    target: targetOf(place),
    paths: paths.map(pathKey),
    overwrite: 'never',
    owners: 'numbers',
    ...changes,
  };
  return place.finish(restoreSnapshot(place.world, plan, stop ?? new AbortController().signal));
}

export interface FoundEntry extends ScannedEntry {
  /** SHA-256 of a file's content. */
  readonly content?: string;
}

/** Everything below a directory by its path in it (slashes, a character a byte). */
export async function foundIn(
  { world, finish }: RestorePlace,
  root: PathKey,
): Promise<Map<string, FoundEntry>> {
  const found = new Map<string, FoundEntry>();
  const visit = async (directory: PathKey, shown: string): Promise<void> => {
    const { entries, problems } = await world.files.scan(directory);
    if (problems.length > 0) throw new Error(problems[0]!.message);
    for (const entry of entries) {
      const path = joinPath(directory, entry.name);
      const content = entry.type === 'file' ? { content: hashOf(await bytesIn(world.files, path)) } : {};
      found.set(shown + entry.name, { ...entry, ...content });
      if (entry.type === 'directory') await visit(path, `${shown}${entry.name}/`);
    }
  };
  await finish(visit(root, ''));
  return found;
}

export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export async function bytesIn(files: Files, path: PathKey): Promise<Uint8Array> {
  const source = await files.openSource(path);
  try {
    const bytes = new Uint8Array((await source.stat()).size);
    if ((await source.read(bytes, 0)) !== bytes.length) throw new Error('it ends too early');
    return bytes;
  } finally {
    await source.close();
  }
}

export const shownPath = (entry: Pick<Entry, 'path'>): string => entry.path.replaceAll('\0', '/');
