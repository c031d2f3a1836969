/** Something that happens at an instant of virtual time. */
export interface Timer {
  readonly due: number;
  readonly sequence: number;
  readonly fire: () => void;
  cancelled: boolean;
}

/** Timers by due time, then by the order in which they were set: a binary heap. */
export class TimerQueue {
  readonly #heap: Timer[] = [];
  #sequence = 0;

  add(due: number, fire: () => void): Timer {
    const timer: Timer = { due, sequence: this.#sequence++, fire, cancelled: false };
    this.#heap.push(timer);
    this.#rise(this.#heap.length - 1);
    return timer;
  }

  /** The next timer that was not cancelled. */
  peek(): Timer | undefined {
    while (this.#heap[0]?.cancelled === true) this.#removeFirst();
    return this.#heap[0];
  }

  pop(): Timer | undefined {
    const first = this.peek();
    if (first !== undefined) this.#removeFirst();
    return first;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(from: number): void {
    let at = from;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#before(child, least)) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #before(one: number, other: number): boolean {
    const a = this.#heap[one] as Timer;
    const b = this.#heap[other] as Timer;
    return a.due < b.due || (a.due === b.due && a.sequence < b.sequence);
  }

  #swap(one: number, other: number): void {
    const held = this.#heap[one] as Timer;
    this.#heap[one] = this.#heap[other] as Timer;
    this.#heap[other] = held;
  }
}
