/**
 * A priority queue from which anything can be taken out: plain data, so that a planner's state can be copied whole.
 * What decides the order of an item must not change while it is in the heap: take it out, change it, put it back.
 */
export interface Heap<Item extends object> {
  readonly items: Item[];
  readonly places: Map<Item, number>;
}

export type Before<Item> = (a: Item, b: Item) => boolean;

export function newHeap<Item extends object>(): Heap<Item> {
  return { items: [], places: new Map() };
}

export function heapTop<Item extends object>(heap: Heap<Item>): Item | undefined {
  return heap.items[0];
}

/** Puts it in; nothing happens if it is in already. */
export function heapAdd<Item extends object>(heap: Heap<Item>, item: Item, before: Before<Item>): void {
  if (heap.places.has(item)) return;
  heap.items.push(item);
  rise(heap, item, heap.items.length - 1, before);
}

/** Takes it out; nothing happens if it is not in. */
export function heapRemove<Item extends object>(heap: Heap<Item>, item: Item, before: Before<Item>): void {
  const place = heap.places.get(item);
  if (place === undefined) return;
  heap.places.delete(item);
  const last = heap.items.pop()!;
  if (last === item) return;
  rise(heap, last, place, before);
  sink(heap, last, heap.places.get(last)!, before);
}

function put<Item extends object>(heap: Heap<Item>, item: Item, place: number): void {
  heap.items[place] = item;
  heap.places.set(item, place);
}

function rise<Item extends object>(heap: Heap<Item>, item: Item, from: number, before: Before<Item>): void {
  let place = from;
  while (place > 0) {
    const above = (place - 1) >> 1;
    if (!before(item, heap.items[above]!)) break;
    put(heap, heap.items[above]!, place);
    place = above;
  }
  put(heap, item, place);
}

function sink<Item extends object>(heap: Heap<Item>, item: Item, from: number, before: Before<Item>): void {
  const { items } = heap;
  let place = from;
  for (;;) {
    let below = place * 2 + 1;
    if (below >= items.length) break;
    if (below + 1 < items.length && before(items[below + 1]!, items[below]!)) below++;
    if (!before(items[below]!, item)) break;
    put(heap, items[below]!, place);
    place = below;
  }
  put(heap, item, place);
}
