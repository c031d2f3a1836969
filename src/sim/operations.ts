import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** One numbered thing that a node did to its disk, its databases, its user files or the network. */
export interface Operation {
  /** Counted from 0 over the whole simulation. */
  readonly index: number;
  readonly node: string;
  /** `disk.sync`, `database.commit`, `network.send` ... */
  readonly kind: string;
  readonly detail: string;
  /** False for reads: to crash around them shows nothing that a crash around the last change does not. */
  readonly changes: boolean;
}

export type Verdict = 'crash-before' | 'crash-after' | undefined;

/** Looks at each operation just before it happens, and may ask for a crash of the node that does it. */
export type Observer = (operation: Operation) => Verdict;

export interface OperationRequest {
  readonly node: string;
  readonly kind: string;
  readonly detail: string;
  readonly changes: boolean;
  /** What is written, for the trace hash. */
  readonly bytes?: readonly Uint8Array[];
}

/** Thrown through a port's effect when its node has crashed in it; it never reaches node code. */
export class CrashedInOperation extends Error {
  override readonly name = 'CrashedInOperation';
}

/** Numbers the operations of all nodes, keeps the hash of the trace, and asks the observers. */
export class Operations {
  readonly #hash = createHash('sha256');
  readonly #observers = new Set<Observer>();
  readonly #now: () => number;
  #count = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get count(): number {
    return this.#count;
  }

  /** SHA-256 over every operation so far with its time and bytes: equal for equal seeds. */
  traceHash(): string {
    return this.#hash.copy().digest('hex');
  }

  /** @returns a function that ends the observation */
  observe(observer: Observer): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  perform<T>(request: OperationRequest, crash: () => void, effect: () => T): T {
    const { bytes = [], ...rest } = request;
    const operation: Operation = { index: this.#count++, ...rest };
    const sum = bytes.reduce((value, piece) => crc32(piece, value), 0);
    this.#hash.update(JSON.stringify([this.#now(), rest.node, rest.kind, rest.detail, sum]));
    const verdict = this.#ask(operation);
    if (verdict === 'crash-before') {
      crash();
      throw new CrashedInOperation();
    }
    const result = effect();
    if (verdict === 'crash-after') {
      crash();
      throw new CrashedInOperation();
    }
    return result;
  }

  #ask(operation: Operation): Verdict {
    let verdict: Verdict;
    for (const observer of this.#observers) verdict = observer(operation) ?? verdict;
    return verdict;
  }
}

/** An observer that crashes the node which does operation `index`. */
export function crashAt(index: number, when: 'before' | 'after'): Observer {
  return (operation) => (operation.index === index ? `crash-${when}` : undefined);
}
