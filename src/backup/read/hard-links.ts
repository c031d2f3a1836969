import type { Stat } from '../../model/entries.ts';

/** Numbers file systems from 0 in the order in which the walk meets them: st_dev itself is not stable. */
export class FileSystems {
  readonly #numbers = new Map<bigint, number>();

  numberOf(device: bigint): number {
    let number = this.#numbers.get(device);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(device, number);
    }
    return number;
  }
}

/** Names one inode of the walk. */
export type LinkKey = string;

export function linkKeyOf(stat: Stat): LinkKey {
  return `${stat.device}:${stat.inode}`;
}

const INODES_MAX = 1 << 16;

/**
 * Something about inodes with several names, kept until the last of them was met. Names outside the walk never come,
 * so the number of inodes is bounded: what finds no place is read once more for each name.
 */
export class PerInode<T> {
  readonly #kept = new Map<LinkKey, { readonly value: T; left: number }>();

  /** False if there is no place. @param links names in all, the first one included */
  keep(key: LinkKey, links: number, value: T): boolean {
    if (this.#kept.size >= INODES_MAX) return false;
    this.#kept.set(key, { value, left: links - 1 });
    return true;
  }

  has(key: LinkKey): boolean {
    return this.#kept.has(key);
  }

  /** For a further name; it is forgotten with the last. */
  take(key: LinkKey): T | undefined {
    const found = this.#kept.get(key);
    if (found === undefined) return undefined;
    found.left--;
    if (found.left <= 0) this.#kept.delete(key);
    return found.value;
  }
}
