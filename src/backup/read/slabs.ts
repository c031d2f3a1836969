import { LowtideError } from '../../model/errors.ts';

/** Memory that tasks in other threads see without a copy. */
export function sharedBytes(length: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(length));
}

/** A reusable piece of shared memory, so that tasks in other threads see it without a copy. Free at its last release. */
export class Slab {
  readonly bytes: Uint8Array;
  readonly #free: (slab: Slab) => void;
  #holders = 1;

  constructor(length: number, free: (slab: Slab) => void) {
    this.bytes = sharedBytes(length);
    this.#free = free;
  }

  hold(): void {
    this.#holders++;
  }

  readonly release = (): void => {
    this.#holders--;
    if (this.#holders === 0) this.#free(this);
    if (this.#holders < 0) throw new TypeError('a slab was released once too often');
  };

  /** For its pool, which gives it to somebody else. */
  reuse(): void {
    this.#holders = 1;
  }
}

/** The bound on what a run holds in memory: whoever wants a slab waits until one is free. */
export class SlabPool {
  readonly #length: number;
  readonly #most: number;
  readonly #free: Slab[] = [];
  readonly #waiting: { resolve: (slab: Slab) => void; reject: (error: Error) => void }[] = [];
  #made = 0;
  #closed = false;

  /** @param length bytes of each slab */
  constructor(length: number, most: number) {
    this.#length = length;
    this.#most = most;
  }

  take(): Promise<Slab> {
    if (this.#closed) return Promise.reject(closedError());
    const slab = this.#free.pop();
    if (slab !== undefined) {
      slab.reuse();
      return Promise.resolve(slab);
    }
    if (this.#made < this.#most) {
      this.#made++;
      return Promise.resolve(new Slab(this.#length, (freed) => this.#freed(freed)));
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Whoever waits for a slab gets the error `interrupted`. */
  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closedError());
  }

  #freed(slab: Slab): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#free.push(slab);
      return;
    }
    slab.reuse();
    next.resolve(slab);
  }
}

const closedError = (): LowtideError => new LowtideError('interrupted', 'the backup has been stopped');
