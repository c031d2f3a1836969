import type { BackupResult } from '../../backup/plan.ts';
import { type SourceCommand, withCommandSources } from '../../backup/command-sources.ts';
import { takeBackup } from '../../backup/take-backup.ts';
import { mergeRoots } from '../../backup/walk/roots.ts';
import { JOB_NAME, openManifestDetails, type SignedManifest } from '../../format/manifest.ts';
import { LowtideError } from '../../model/errors.ts';
import { baseName, displayBytes, type PathKey } from '../../model/paths.ts';
import type { World } from '../../world/ports.ts';
import { Past } from './past.ts';
import { type AloneDepot, instanceOf, signerOf } from './alone.ts';

/** Pack groups of a depot that stands alone: nothing is drained, so all runs share them. */
const DATA_GROUP = 'data';
const META_GROUP = 'meta';
const NAME_LENGTH = 60;

export interface AloneRequest {
  readonly paths: readonly PathKey[];
  /** The job's name; null: the one under which the same paths were backed up before, else a new one. */
  readonly name: string | null;
  /** Their outputs are backed up too, as files in `/`. */
  readonly commands?: readonly SourceCommand[];
  /** Where outputs wait. */
  readonly temporary?: string;
  readonly excludes: readonly string[];
  readonly excludeCaches: boolean;
  readonly oneFileSystem: boolean;
  /** zstd level, 0 for none. */
  readonly level: number;
  readonly host: string;
  readonly software: string;
}

/**
 * One backup into a depot that was opened to write. Sequence, previous and base are those of the job's newest
 * manifest in the depot: it has no ledger. What an interrupted run stored is found again by the next.
 * @throws LowtideError as `takeBackup` and `withCommandSources`; `bad-name`, `no-key`
 */
export async function takeAlone(
  world: World,
  alone: AloneDepot,
  request: AloneRequest,
  stop: AbortSignal,
): Promise<BackupResult> {
  const { commands = [], temporary = alone.depot.path } = request;
  const options = { directory: temporary, environment: {}, timeoutMs: null, stop };
  const sources = await withCommandSources(world, commands, options, request.paths.length === 0);
  try {
    const paths = [...request.paths, ...sources.paths];
    return await takePaths(sources.world, alone, { ...request, paths }, stop);
  } finally {
    sources.close();
  }
}

async function takePaths(
  world: World,
  alone: AloneDepot,
  request: AloneRequest,
  stop: AbortSignal,
): Promise<BackupResult> {
  const { depot, keyring } = alone;
  const { paths, name, excludes, excludeCaches, oneFileSystem, level, host, software } = request;
  const instance = instanceOf(keyring);
  const past = new Past(world, alone, instance);
  const newest = await past.newest();
  const job = name === null ? await jobFor(alone, past, newest, paths) : checkJobName(name);
  const end = newest.find(({ manifest }) => manifest.job === job) ?? null;
  const plan = {
    client: keyring.signed.keyring.client,
    instance,
    signingKey: signerOf(keyring),
    keys: keyring.keys.newest,
    keyStore: keyring.keys,
    keyring: keyring.signed.hash,
    job,
    sequence: (end?.manifest.sequence ?? 0) + 1,
    previous: end?.id ?? null,
    base: end,
    roots: paths,
    excludes,
    excludeCaches,
    oneFileSystem,
    labels: {},
    host,
    software,
    spool: 'depot',
    dataGroup: DATA_GROUP,
    metaGroup: META_GROUP,
    quotaBytes: null,
    level,
  } as const;
  const result = await takeBackup(world, depot, plan, stop);
  await past.note([...newest.filter((signed) => signed !== end), result.signed]);
  return result;
}

/** @throws LowtideError `bad-name` */
export function checkJobName(name: string): string {
  if (JOB_NAME.test(name)) return name;
  throw new LowtideError(
    'bad-name',
    `${JSON.stringify(name)} cannot be a job's name: use small letters, digits, ".", "_" and "-", a letter or digit first, at most 100`,
  );
}

/** The same paths go on in their chain, so that unchanged files are not read again; other paths begin one. */
async function jobFor(
  alone: AloneDepot,
  past: Past,
  newest: readonly SignedManifest[],
  paths: readonly PathKey[],
): Promise<string> {
  const wanted = JSON.stringify(mergeRoots(paths));
  const isWanted = ({ manifest }: SignedManifest): boolean => {
    const { roots } = openManifestDetails(alone.keyring.keys, manifest);
    return JSON.stringify(mergeRoots(roots)) === wanted;
  };
  const known = newest.findLast(isWanted) ?? (await past.all()).findLast(isWanted);
  if (known !== undefined) return known.manifest.job;
  const taken = new Set(newest.map(({ manifest }) => manifest.job));
  const wish = nameFrom(paths);
  for (let number = 2, name = wish; ; name = `${wish}-${number++}`) if (!taken.has(name)) return name;
}

/** `/home/ann/My Documents` gives `my-documents`. */
function nameFrom(paths: readonly PathKey[]): string {
  const first = mergeRoots(paths)[0] ?? ('' as PathKey);
  const words = displayBytes(baseName(first)).toLowerCase().normalize('NFKD');
  const name = words
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replaceAll(/^[._-]+|[._-]+$/g, '')
    .slice(0, NAME_LENGTH);
  return name === '' ? 'root' : name;
}
