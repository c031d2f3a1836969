/** Something that happens at a moment. It remembers its place so that it can be moved; -1: not in a heap. */
export interface Timed {
  at: number;
  place: number;
}

/**
 * What happens next. Of the same moment, what was put in first comes first, so that one seed gives one run.
 */
export class TimedHeap<Item extends Timed> {
  readonly #items: Item[] = [];
  readonly #turns: number[] = [];
  #turn = 0;

  get size(): number {
    return this.#items.length;
  }

  top(): Item | undefined {
    return this.#items[0];
  }

  /** Puts it in, or moves it to where its `at` belongs now. */
  put(item: Item): void {
    if (item.place === -1) {
      item.place = this.#items.length;
      this.#items.push(item);
      this.#turns.push(0);
    }
    this.#turns[item.place] = this.#turn++;
    this.#rise(item.place);
    this.#sink(item.place);
  }

  remove(item: Item): void {
    const { place } = item;
    if (place === -1) return;
    item.place = -1;
    const last = this.#items.pop()!;
    const turn = this.#turns.pop()!;
    if (last === item) return;
    this.#set(place, last, turn);
    this.#rise(place);
    this.#sink(last.place);
  }

  pop(): Item | undefined {
    const item = this.#items[0];
    if (item !== undefined) this.remove(item);
    return item;
  }

  #set(place: number, item: Item, turn: number): void {
    this.#items[place] = item;
    this.#turns[place] = turn;
    item.place = place;
  }

  #before(a: number, b: number): boolean {
    const [first, second] = [this.#items[a]!.at, this.#items[b]!.at];
    return first === second ? this.#turns[a]! < this.#turns[b]! : first < second;
  }

  #swap(a: number, b: number): void {
    const [item, turn] = [this.#items[a]!, this.#turns[a]!];
    this.#set(a, this.#items[b]!, this.#turns[b]!);
    this.#set(b, item, turn);
  }

  #rise(from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!this.#before(place, above)) return;
      this.#swap(place, above);
      place = above;
    }
  }

  #sink(from: number): void {
    let place = from;
    for (;;) {
      let below = place * 2 + 1;
      if (below >= this.#items.length) return;
      if (below + 1 < this.#items.length && this.#before(below + 1, below)) below++;
      if (!this.#before(below, place)) return;
      this.#swap(place, below);
      place = below;
    }
  }
}
