import { isLowtideError, LowtideError } from '../model/errors.ts';

/** @throws LowtideError `interrupted` once `stop` has aborted */
export function interruptedIf(stop: AbortSignal): void {
  if (stop.aborted) throw new LowtideError('interrupted', 'the restore was interrupted');
}

/** Whether an error ends the whole restore: the disk is full, somebody asked to stop, or the program is wrong. */
export function endsRestore(error: unknown): boolean {
  return !isLowtideError(error) || isLowtideError(error, 'disk-full', 'interrupted', 'crashed');
}

/** The error of one file or page. Everything else goes on up. */
export function ownError(error: unknown): LowtideError {
  if (endsRestore(error)) throw error;
  return error as LowtideError;
}

/** Runs `run` on every item, at most `width` at once. All have ended when this does; the first error is thrown. */
export async function eachAtOnce<T>(
  items: Iterable<T>,
  width: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const errors: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true && errors.length === 0; next = iterator.next()) {
      try {
        await run(next.value);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  if (errors.length > 0) throw errors[0];
}

/** Runs up to `width` things at once; the first error is thrown to whoever comes next. */
export class Lanes {
  readonly #width: number;
  readonly #all: Set<Promise<void>>;
  readonly #running = new Set<Promise<void>>();
  readonly #errors: unknown[] = [];

  /** @param all what runs in these and in others that share the width */
  constructor(width: number, all = new Set<Promise<void>>()) {
    this.#width = width;
    this.#all = all;
  }

  /** Resolves when there is room for the next. */
  async run(work: () => Promise<void>): Promise<void> {
    this.#check();
    const running = work()
      .catch((error: unknown) => void this.#errors.push(error))
      .finally(() => {
        this.#running.delete(running);
        this.#all.delete(running);
      });
    this.#running.add(running);
    this.#all.add(running);
    if (this.#all.size >= this.#width) await Promise.race(this.#all);
    this.#check();
  }

  /** When all have ended. */
  async end(): Promise<void> {
    await Promise.all(this.#running);
    this.#check();
  }

  #check(): void {
    if (this.#errors.length > 0) throw this.#errors[0];
  }
}
