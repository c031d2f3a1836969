import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { LowtideError } from '../../model/errors.ts';
import {
  displayPath,
  isWithin,
  joinPath,
  parentPath,
  pathComponents,
  pathToBytes,
  ROOT_PATH,
  type ByteName,
  type PathKey,
} from '../../model/paths.ts';

/** Where the kernel shows itself as files: nothing in them can be kept, and reading some of them never ends. */
const VIRTUAL = new Set(
  (
    'autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts efivarfs ' +
    'fusectl hugetlbfs mqueue nfsd nsfs proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs'
  ).split(' '),
);
/** Behind which there is another program or machine, which may not answer. */
const REMOTE = /^(?:fuse(?!ctl)|nfs|cifs|smb|9p|afs|ceph|lustre|virtiofs)/;
const REFRESH_MS = 5000;
const PROBED_MS = 60_000;

interface Mount {
  readonly path: PathKey;
  readonly type: string;
}

/**
 * What is mounted where, so that a walk knows before it touches a mount point whether that is wise: a call into a file
 * system whose server hangs does not come back, and nothing can be done about it any more.
 */
export class Mounts {
  readonly #answerMs: number;
  #read = -Infinity;
  /** Mount points that need care, by the directory that they are in. */
  #below = new Map<PathKey, Map<ByteName, Mount>>();
  #remote: readonly Mount[] = [];
  #virtual: readonly Mount[] = [];
  readonly #probes = new Map<PathKey, { readonly at: number; readonly answers: Promise<boolean> }>();

  /** @param answerMs how long a server may take to answer */
  constructor(answerMs: number) {
    this.#answerMs = answerMs;
  }

  /** Mount points directly in a directory that are the kernel's own or another program's. */
  in(directory: PathKey): ReadonlyMap<ByteName, Mount> | null {
    this.#refresh();
    return this.#below.get(directory) ?? null;
  }

  /** The type of the kernel's own file system that a path is on; null if it is on none. */
  virtualAt(path: PathKey): string | null {
    this.#refresh();
    return this.#virtual.findLast((mount) => isWithin(path, mount.path))?.type ?? null;
  }

  /** The mount of another program or machine that a path is in, if any. */
  remoteAt(path: PathKey): Mount | null {
    this.#refresh();
    return this.#remote.findLast((mount) => isWithin(path, mount.path)) ?? null;
  }

  isRemote({ type }: Mount): boolean {
    return REMOTE.test(type);
  }

  /** Whether it answers in time. Asked by another process, so that only that one hangs. */
  answers({ path }: Mount): Promise<boolean> {
    const known = this.#probes.get(path);
    const now = performance.now();
    if (known !== undefined && now - known.at < PROBED_MS) return known.answers;
    return this.#ask(path);
  }

  /**
   * Work of one thread on paths of which some may be behind a server. When it takes too long and the server does not
   * answer any more, the work is given up.
   * @throws LowtideError `source-unreadable`
   */
  async guard<T>(paths: readonly PathKey[], run: (stop?: AbortSignal) => Promise<T>): Promise<T> {
    const mount = this.#firstRemote(paths);
    if (mount === null) return await run();
    const stop = new AbortController();
    const done = new AbortController();
    const watching = this.#watch(mount, stop, done.signal);
    try {
      return await run(stop.signal);
    } catch (error) {
      throw stop.signal.aborted ? this.unanswered(mount) : error;
    } finally {
      done.abort();
      await watching;
    }
  }

  unanswered({ path, type }: Mount): LowtideError {
    const message = `${displayPath(path)} (${type}) has not answered for ${this.#answerMs / 1000} s: it is left out`;
    return new LowtideError('source-unreadable', message);
  }

  #firstRemote(paths: readonly PathKey[]): Mount | null {
    this.#refresh();
    if (this.#remote.length === 0) return null;
    for (const path of paths) {
      const mount = this.remoteAt(path);
      if (mount !== null) return mount;
    }
    return null;
  }

  async #watch(mount: Mount, stop: AbortController, done: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.#answerMs, undefined, { signal: done, ref: false }).catch(() => undefined);
      if (done.aborted) return;
      if (!(await this.#ask(mount.path))) return stop.abort();
    }
  }

  #ask(path: PathKey): Promise<boolean> {
    const now = performance.now();
    const answers = probe(pathToBytes(path), this.#answerMs);
    this.#probes.set(path, { at: now, answers });
    return answers;
  }

  #refresh(): void {
    const now = performance.now();
    if (now - this.#read < REFRESH_MS) return;
    this.#read = now;
    const mounts = mountsIn(readMounts());
    this.#virtual = mounts.filter(({ type }) => VIRTUAL.has(type));
    this.#remote = mounts.filter((mount) => this.isRemote(mount));
    this.#below = new Map();
    for (const mount of [...this.#virtual, ...this.#remote]) {
      if (mount.path === ROOT_PATH) continue;
      const parent = parentPath(mount.path);
      const names = this.#below.get(parent) ?? new Map<ByteName, Mount>();
      names.set(pathComponents(mount.path).at(-1)!, mount);
      this.#below.set(parent, names);
    }
  }
}

function readMounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'latin1');
  } catch {
    return ''; // Then nothing is known to need care.
  }
}

/** The last mount at a place hides those before it. */
export function mountsIn(text: string): readonly Mount[] {
  const mounts = new Map<PathKey, Mount>();
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const escaped = before.split(' ')[4];
    const [type] = after.split(' ');
    if (escaped === undefined || type === undefined || type === '') continue;
    const shown = escaped.replaceAll(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const path = shown
      .split('/')
      .filter((name) => name !== '')
      .reduce<PathKey>((parent, name) => joinPath(parent, name as ByteName), ROOT_PATH);
    mounts.delete(path);
    mounts.set(path, { path, type });
  }
  return [...mounts.values()];
}

function probe(path: Uint8Array, answerMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    // Bytes that are no text cannot be an argument of a process here: those are trusted.
    const text = Buffer.from(path).toString('utf8');
    if (!Buffer.from(text, 'utf8').equals(path)) return resolve(true);
    const script = 'stat -- "$1" && stat -f -- "$1"';
    const child = spawn('sh', ['-c', script, 'sh', text], { stdio: 'ignore', detached: true });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.unref();
      resolve(false);
    }, answerMs);
    const answered = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    // An error is an answer too: the walk meets it and tells it.
    child.on('exit', answered);
    child.on('error', answered);
  });
}
