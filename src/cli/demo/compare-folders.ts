import type { BigIntStats } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises';

/**
 * Compares a folder with its restored copy, entry by entry, with nothing but node:fs: what checks a restore must not be
 * made of what restores.
 */
export interface Comparison {
  readonly entries: number;
  readonly files: number;
  readonly bytes: number;
  /** The first of them, as sentences. */
  readonly differences: readonly string[];
  readonly differenceCount: number;
  /** Entries that somebody changed in the original after the backup began. */
  readonly changed: number;
  /** Files of the original that this user may not read. */
  readonly unreadable: number;
}

export interface ComparisonOptions {
  /** When the backup began, milliseconds since 1970: what changed later is not compared. */
  readonly since: number;
  /** Absolute paths in the original that were not backed up. */
  readonly skip: ReadonlySet<string>;
  /** Compare owners too: only root can restore those of others. */
  readonly owners: boolean;
  readonly stop: AbortSignal;
}

const DIFFERENCES_KEPT = 20;
const READ_BYTES = 1 << 20;
const SLASH = Buffer.from('/');

interface Pair {
  readonly original: Buffer;
  readonly copy: Buffer;
}

export async function compareFolders(
  original: string,
  copy: string,
  options: ComparisonOptions,
): Promise<Comparison> {
  const work = new Work(options);
  const open: Pair[] = [{ original: Buffer.from(original), copy: Buffer.from(copy) }];
  for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
    options.stop.throwIfAborted();
    open.push(...(await work.compare(pair)));
  }
  return work.result();
}

class Work {
  readonly #options: ComparisonOptions;
  readonly #differences: string[] = [];
  /** Inode of the copy by inode of the original, of files with several names. */
  readonly #links = new Map<string, bigint>();
  readonly #buffers = [Buffer.alloc(READ_BYTES), Buffer.alloc(READ_BYTES)] as const;
  #count = { entries: 0, files: 0, bytes: 0, differenceCount: 0, changed: 0, unreadable: 0 };

  constructor(options: ComparisonOptions) {
    this.#options = options;
  }

  result(): Comparison {
    return { ...this.#count, differences: this.#differences };
  }

  /** Answers the pairs within, if this is a directory. */
  async compare(pair: Pair): Promise<Pair[]> {
    const { original, copy } = pair;
    if (this.#options.skip.has(original.toString())) return [];
    const [a, b] = await Promise.all([statOf(original), statOf(copy)]);
    if (a === null) return this.#gone(pair);
    if (a.isSocket()) return [];
    if (this.#isNewer(a) && !a.isDirectory()) {
      this.#count.changed++;
      return [];
    }
    if (b === null) return this.#differ(original, 'is missing in the copy');
    this.#count.entries++;
    if (typeOf(a) !== typeOf(b)) return this.#differ(original, 'has another type in the copy');
    this.#compareStats(original, a, b);
    if (a.isSymbolicLink()) await this.#compareTargets(pair);
    if (a.isFile()) await this.#compareFiles(pair, a, b);
    return a.isDirectory() ? await this.#within(pair) : [];
  }

  #isNewer(stat: BigIntStats): boolean {
    const since = BigInt(Math.floor(this.#options.since)) * 1_000_000n;
    return stat.mtimeNs >= since || stat.ctimeNs >= since;
  }

  async #gone({ original, copy }: Pair): Promise<Pair[]> {
    // Deleted in the original since, or never there: only the copy's own directory can tell, and it is older.
    const parent = await statOf(original.subarray(0, original.lastIndexOf(SLASH)));
    if (parent !== null && this.#isNewer(parent)) this.#count.changed++;
    else this.#differ(copy, 'is in the copy only');
    return [];
  }

  #differ(path: Buffer, what: string): [] {
    this.#count.differenceCount++;
    if (this.#differences.length < DIFFERENCES_KEPT) this.#differences.push(`${path.toString()} ${what}`);
    return [];
  }

  #compareStats(path: Buffer, a: BigIntStats, b: BigIntStats): void {
    const newer = this.#isNewer(a);
    if (!newer && a.mtimeNs !== b.mtimeNs) this.#differ(path, 'has another time of change');
    if (!a.isSymbolicLink() && (a.mode & 0o7777n) !== (b.mode & 0o7777n))
      this.#differ(path, 'has another mode');
    if (this.#options.owners && (a.uid !== b.uid || a.gid !== b.gid)) this.#differ(path, 'has another owner');
    if (a.rdev !== b.rdev) this.#differ(path, 'is another device');
  }

  async #compareTargets({ original, copy }: Pair): Promise<void> {
    const [a, b] = await Promise.all([
      readlink(original, { encoding: 'buffer' }),
      readlink(copy, { encoding: 'buffer' }),
    ]);
    if (!a.equals(b)) this.#differ(original, 'points elsewhere');
  }

  async #compareFiles({ original, copy }: Pair, a: BigIntStats, b: BigIntStats): Promise<void> {
    this.#count.files++;
    if (a.nlink > 1n) {
      const key = `${a.dev}/${a.ino}`;
      const known = this.#links.get(key);
      this.#links.set(key, b.ino);
      if (known !== undefined && known !== b.ino) this.#differ(original, 'is linked in the original only');
    }
    if (a.size !== b.size) return void this.#differ(original, 'has another size');
    const left = await open(original).catch(() => null);
    if (left === null) return void this.#count.unreadable++;
    await using right = await open(copy);
    try {
      if (!(await this.#sameContent(left, right))) this.#differ(original, 'has other content');
    } finally {
      await left.close();
    }
    this.#count.bytes += Number(a.size);
  }

  async #sameContent(left: FileHandle, right: FileHandle): Promise<boolean> {
    const [a, b] = this.#buffers;
    for (let position = 0; ;) {
      const [{ bytesRead: reads }, { bytesRead: same }] = await Promise.all([
        left.read(a, 0, READ_BYTES, position),
        right.read(b, 0, READ_BYTES, position),
      ]);
      if (reads !== same || a.compare(b, 0, same, 0, reads) !== 0) return false;
      if (reads === 0) return true;
      position += reads;
    }
  }

  async #within({ original, copy }: Pair): Promise<Pair[]> {
    const [names, copied] = await Promise.all([namesIn(original), namesIn(copy)]);
    if (names === null || copied === null) {
      if (names === null) this.#count.unreadable++;
      return [];
    }
    const all = new Map([...names, ...copied].map((name) => [name.toString('latin1'), name]));
    return [...all.values()].map((name) => ({
      original: Buffer.concat([original, SLASH, name]),
      copy: Buffer.concat([copy, SLASH, name]),
    }));
  }
}

const typeOf = (stat: BigIntStats): bigint => stat.mode & 0o170000n;

async function statOf(path: Buffer): Promise<BigIntStats | null> {
  return await lstat(path, { bigint: true }).catch(() => null);
}

async function namesIn(path: Buffer): Promise<Buffer[] | null> {
  return await readdir(path, { encoding: 'buffer' }).catch(() => null);
}
