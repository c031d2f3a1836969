import type { SealedBlock } from '../format/block.ts';
import { LowtideError } from '../model/errors.ts';
import { MINUTE_MS, SECOND_MS } from '../model/time.ts';
import type { Clock } from '../world/ports.ts';
import type { SourceCost } from './source-cost.ts';

/** Whether another source would do better is asked when this one has been waited for so long, and again and again. */
const LOOK_MS = 5 * SECOND_MS;
/** A source that gives nothing for so long has failed, whether or not there is another. */
const PATIENCE_MS = 2 * MINUTE_MS;

export interface Asking {
  readonly clock: Clock;
  readonly cost: SourceCost;
  readonly open: (stop: AbortSignal) => AsyncIterable<SealedBlock>;
  /** @param bytesPerMs as it was since it was asked; 0 while nothing comes */
  readonly worthLeaving: (bytesPerMs: number) => boolean;
  readonly onLeave: () => void;
}

/**
 * The blocks of one answer, for as long as it is worth waiting for them. Ends when the answer does, when it was left, and
 * when `stop` aborts. Time that the reader takes does not count.
 * @throws LowtideError `center-unreachable` when patience is at its end, and what the source says
 */
export async function* patiently(asking: Asking, stop: AbortSignal): AsyncGenerator<SealedBlock> {
  const { clock, cost, open } = asking;
  const over = new AbortController();
  const until = AbortSignal.any([stop, over.signal]);
  const blocks = open(until)[Symbol.asyncIterator]();
  const watch = new Watch(asking);
  void watch.run(until);
  let waiting = false;
  try {
    for (let isFirst = true; ; isFirst = false) {
      const from = clock.monotonic();
      waiting = true;
      const next = await watch.wait(blocks.next(), from);
      if (next === null) {
        const ms = clock.monotonic() - from;
        if (isFirst) cost.answered(ms);
        else cost.came(0, ms);
        return;
      }
      waiting = false;
      const ms = clock.monotonic() - from;
      if (isFirst) cost.answered(ms);
      if (next.done === true) return;
      const { length } = next.value.bytes;
      if (!isFirst) cost.came(length, ms);
      watch.came(length, ms);
      yield next.value;
    }
  } finally {
    over.abort();
    const closed = blocks.return?.();
    // One that hangs cannot be waited for; its line ends with `until`.
    if (waiting) closed?.catch(() => undefined);
    else await closed;
  }
}

type Next = IteratorResult<SealedBlock>;

/** Looks at one answer from time to time. */
class Watch {
  readonly #asking: Asking;
  #look: (() => void) | null = null;
  #bytes = 0;
  #ms = 0;

  constructor(asking: Asking) {
    this.#asking = asking;
  }

  async run(until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      await this.#asking.clock.sleep(LOOK_MS, until);
      this.#look?.();
    }
  }

  came(bytes: number, ms: number): void {
    this.#bytes += bytes;
    this.#ms += ms;
  }

  /** Null if it was left, or everything was stopped. A race would keep every block until the end of the waiting. */
  async wait(next: Promise<Next>, from: number): Promise<Next | null> {
    const { promise, resolve, reject } = Promise.withResolvers<Next | null>();
    next.then(resolve, reject);
    this.#look = () => {
      try {
        if (this.#isOver(from)) resolve(null);
      } catch (error) {
        reject(error);
      }
    };
    try {
      return await promise;
    } finally {
      this.#look = null;
    }
  }

  #isOver(from: number): boolean {
    const { clock, worthLeaving, onLeave } = this.#asking;
    const silent = clock.monotonic() - from;
    if (silent >= PATIENCE_MS) {
      throw new LowtideError('center-unreachable', `it gave nothing for ${silent / SECOND_MS} s`);
    }
    const ms = this.#ms + silent;
    if (ms < LOOK_MS || !worthLeaving(silent >= LOOK_MS ? 0 : this.#bytes / ms)) return false;
    onLeave();
    return true;
  }
}
