import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initAlone, openAlone } from '../../node/alone/alone.ts';
import { takeAlone } from '../../node/alone/backup.ts';
import { depotSource } from '../../depot/depot.ts';
import { LowtideError, messageOf } from '../../model/errors.ts';
import type { Problem } from '../../model/events.ts';
import { joinPath, pathKeyOf, type ByteName } from '../../model/paths.ts';
import { restoreSnapshot } from '../../restore/restore.ts';
import { SnapshotReader } from '../../restore/snapshot-reader.ts';
import { errnoName, errnoWords } from '../../world/system/errno.ts';
import type { NativeAttributes } from '../../world/system/native-attributes.ts';
import type { World } from '../../world/ports.ts';
import { softwareName, hostName } from '../software.ts';
import { attributeKinds, unlock } from './attribute-kinds.ts';
import { fileKinds } from './file-kinds.ts';
import { IT, type Kind } from './kinds.ts';
import { metadataKinds } from './metadata-kinds.ts';

export type Result = 'kept' | 'not supported' | 'needs root' | 'not kept';

export interface Finding {
  readonly group: Kind['group'];
  readonly name: string;
  readonly result: Result;
  /** Why, or what is to be known beside the result; '' for nothing. */
  readonly detail: string;
}

/** One kind in a folder of its own. */
interface Specimen {
  readonly kind: Kind;
  /** In the folder of the probe. */
  readonly folder: string;
  /** What the source shows; null if it could not be made. */
  readonly made: string | null;
  /** Set if it could not be made. */
  readonly finding: Finding | null;
}

/**
 * Makes one of every kind in a folder below `path`, backs it up into a depot of its own, restores it beside, compares,
 * and removes everything.
 */
export async function examine(
  world: World,
  native: NativeAttributes,
  path: string,
  stop: AbortSignal,
): Promise<readonly Finding[]> {
  const work = mkdtempSync(join(checkedFolder(path), '.lowtide-doctor-'));
  const depot = mkdtempSync(join(tmpdir(), 'lowtide-doctor-'));
  const probe = new Probe(world, native, work, join(depot, 'depot'), stop);
  try {
    return await probe.run();
  } finally {
    probe.remove();
    execFileSync('rm', ['-rf', '--', depot]);
  }
}

/** A link on the way would not be followed by the backup. */
function checkedFolder(path: string): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path);
  } catch (error) {
    throw new LowtideError('not-found', `${path} cannot be examined: ${errnoWords(error)}`);
  }
  throw new LowtideError('bad-request', `${path} is no folder: name one on the file system to examine`);
}

class Probe {
  readonly #world: World;
  readonly #native: NativeAttributes;
  readonly #work: string;
  readonly #depot: string;
  readonly #stop: AbortSignal;
  readonly #problems: Problem[] = [];
  readonly #specimens: Specimen[] = [];

  constructor(world: World, native: NativeAttributes, work: string, depot: string, stop: AbortSignal) {
    // Its own problems are its result.
    const problem = (found: Problem): void => void this.#problems.push(found);
    this.#world = { ...world, monitor: { event: () => {}, progress: () => {}, problem } };
    this.#native = native;
    this.#work = work;
    this.#depot = depot;
    this.#stop = stop;
  }

  get #source(): string {
    return join(this.#work, 'source');
  }

  get #target(): string {
    return join(this.#work, 'restored');
  }

  async run(): Promise<readonly Finding[]> {
    mkdirSync(this.#source);
    const kinds = [...fileKinds(), ...metadataKinds(), ...attributeKinds(this.#native)];
    for (const [at, kind] of kinds.entries()) this.#specimens.push(this.#make(kind, `${at}`));
    const password = Buffer.from(this.#world.random.bytes(16)).toString('hex');
    await initAlone(this.#world, this.#depot, password);
    const alone = await openAlone(
      this.#world,
      this.#depot,
      { kind: 'passphrase', passphrase: password },
      'write',
    );
    try {
      const request = {
        paths: [pathKeyOf(this.#source)],
        name: 'doctor',
        excludes: [],
        excludeCaches: false,
        oneFileSystem: false,
        level: 1,
        host: hostName(),
        software: softwareName(),
      };
      const { signed } = await takeAlone(this.#world, alone, request, this.#stop);
      const { keys } = alone.keyring;
      const sources = [{ name: 'depot', source: depotSource(alone.depot) }];
      const reader = new SnapshotReader(this.#world, signed, keys, sources, this.#stop);
      const target = pathKeyOf(this.#target);
      const how = { target, paths: [], overwrite: 'never', owners: 'numbers' } as const;
      await restoreSnapshot(this.#world, { signed, keys, sources, ...how }, this.#stop);
      const findings: Finding[] = [];
      for (const specimen of this.#specimens) findings.push(await this.#compare(specimen, reader));
      return findings;
    } finally {
      await alone.depot.close();
    }
  }

  #make(kind: Kind, folder: string): Specimen {
    const whole = join(this.#source, folder);
    mkdirSync(whole);
    const failed = (result: Result, detail: string): Specimen => {
      const { group, name } = kind;
      return { kind, folder, made: null, finding: { group, name, result, detail } };
    };
    try {
      kind.make(whole);
      const made = kind.look(whole);
      if (kind.expected !== undefined && made !== kind.expected)
        return failed(
          'not supported',
          `this file system keeps ${short(made)} instead of ${short(kind.expected)}`,
        );
      return { kind, folder, made, finding: null };
    } catch (error) {
      const forbidden = ['EPERM', 'EACCES'].includes(errnoName(error)) && process.geteuid!() !== 0;
      if (forbidden) return failed('needs root', '');
      if (errnoName(error) === '' && !hasStatus(error)) throw error;
      const plain = hasStatus(error) || ['EOPNOTSUPP', 'ENOTTY'].includes(errnoName(error));
      return failed('not supported', plain ? '' : errnoWords(error));
    }
  }

  async #compare({ kind, folder, made, finding }: Specimen, reader: SnapshotReader): Promise<Finding> {
    if (finding !== null) return finding;
    const { group, name, recorded, remark = '' } = kind;
    const found =
      recorded === undefined ? this.#restored(kind, folder) : await this.#recorded(kind, folder, reader);
    if (found === made) return { group, name, result: 'kept', detail: remark };
    const told = this.#problems.filter(
      ({ path }) => path.includes(`/source/${folder}/`) || path.endsWith(`/${folder}`),
    );
    const why = told.map(({ message }) => message).join('; ');
    return {
      group,
      name,
      result: 'not kept',
      detail: why === '' ? `${short(found)} instead of ${short(made!)}` : why,
    };
  }

  #restored(kind: Kind, folder: string): string {
    try {
      return kind.look(join(this.#target, this.#source, folder));
    } catch (error) {
      return `nothing (${messageOf(error)})`;
    }
  }

  async #recorded(kind: Kind, folder: string, reader: SnapshotReader): Promise<string> {
    const path = joinPath(pathKeyOf(join(this.#source, folder)), IT as string as ByteName);
    const entry = await reader.entry(path);
    return entry === null ? 'nothing' : kind.recorded!(entry);
  }

  remove(): void {
    for (const { folder } of this.#specimens) {
      for (const root of [this.#source, join(this.#target, this.#source)])
        unlock(this.#native, join(root, folder, IT));
    }
    try {
      execFileSync('chmod', ['-R', 'u+rwX', '--', this.#work], { stdio: 'ignore' });
    } catch {
      // What matters of it shows in the removal.
    }
    execFileSync('rm', ['-rf', '--', this.#work]);
  }
}

/** Of a program that ended with an error of its own. */
const hasStatus = (error: unknown): boolean => typeof (error as { status?: unknown }).status === 'number';

const SHORT = 60;
const short = (text: string): string => (text.length <= SHORT ? text : `${text.slice(0, SHORT)}...`);

/** Type of the file system that a folder is on, and what it is mounted from: `ext4 on /dev/sda1`. */
export function fileSystemOf(path: string): string {
  const real = checkedFolder(path);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n').map(mountIn);
  const holding = mounts.filter(({ at }) => at === '/' || real === at || real.startsWith(`${at}/`));
  const longest = Math.max(...holding.map(({ at }) => at.length));
  const mount = holding.findLast(({ at }) => at.length === longest);
  return mount === undefined ? 'unknown' : `${mount.type} on ${mount.from}`;
}

function mountIn(line: string): { readonly at: string; readonly type: string; readonly from: string } {
  const [before = '', after = ''] = line.split(' - ');
  const at = (before.split(' ')[4] ?? '').replaceAll(/\\(\d{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  const [type = '', from = ''] = after.split(' ');
  return { at, type, from };
}
