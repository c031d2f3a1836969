/**
 * A priority queue from which anything can be taken out: plain data, so that a planner's state can be copied whole.
 * Each item keeps its own place in a field of the heap's choice, -1 while it is not in. What decides the order of an
 * item must not change while it is in the heap: take it out, change it, put it back.
 */
export interface Heap<Item extends object> {
  readonly items: Item[];
  readonly field: NumberField<Item>;
}

type NumberField<Item> = {
  [Field in keyof Item]: Item[Field] extends number ? (number extends Item[Field] ? Field : never) : never;
}[keyof Item];

export type Before<Item> = (a: Item, b: Item) => boolean;

/** @param field where an item keeps its place; of each item in one heap only */
export function newHeap<Item extends object>(field: NumberField<Item>): Heap<Item> {
  return { items: [], field };
}

export function heapTop<Item extends object>(heap: Heap<Item>): Item | undefined {
  return heap.items[0];
}

/** Puts it in; nothing happens if it is in already. */
export function heapAdd<Item extends object>(heap: Heap<Item>, item: Item, before: Before<Item>): void {
  if (placeOf(heap, item) >= 0) return;
  heap.items.push(item);
  rise(heap, item, heap.items.length - 1, before);
}

/** Takes it out; nothing happens if it is not in. */
export function heapRemove<Item extends object>(heap: Heap<Item>, item: Item, before: Before<Item>): void {
  const place = placeOf(heap, item);
  if (place < 0) return;
  put(heap, item, -1);
  const last = heap.items.pop()!;
  if (last === item) return;
  rise(heap, last, place, before);
  sink(heap, last, placeOf(heap, last), before);
}

function placeOf<Item extends object>({ field }: Heap<Item>, item: Item): number {
  return item[field] as number;
}

function put<Item extends object>(heap: Heap<Item>, item: Item, place: number): void {
  if (place >= 0) heap.items[place] = item;
  (item as Record<PropertyKey, unknown>)[heap.field] = place;
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
