import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { heapAdd, heapRemove, heapTop, newHeap } from './heap.ts';

interface Item {
  readonly key: number;
  place: number;
}
const before = (a: Item, b: Item): boolean => a.key < b.key;

test('the top is the least of what was put in and not taken out again', () => {
  const action = fc.record({ add: fc.boolean(), which: fc.nat(19) });
  fc.assert(
    fc.property(fc.array(fc.nat(9), { minLength: 20, maxLength: 20 }), fc.array(action), (keys, actions) => {
      const items = keys.map((key): Item => ({ key, place: -1 }));
      const heap = newHeap<Item>('place');
      const inside = new Set<Item>();
      for (const { add, which } of actions) {
        const item = items[which]!;
        if (add) heapAdd(heap, item, before);
        else heapRemove(heap, item, before);
        if (add) inside.add(item);
        else inside.delete(item);
        assert.equal(heap.items.length, inside.size);
        assert.equal(items.filter(({ place }) => place >= 0).length, inside.size);
        const least = Math.min(...[...inside].map(({ key }) => key));
        assert.equal(heapTop(heap)?.key ?? Infinity, least);
        heap.items.forEach((item, place) => assert.equal(item.place, place));
      }
    }),
    { numRuns: 300 },
  );
});

test('putting in and taking out costs a logarithm of comparisons', () => {
  const heap = newHeap<Item>('place');
  let comparisons = 0;
  const counted = (a: Item, b: Item): boolean => {
    comparisons++;
    return a.key < b.key;
  };
  const items = Array.from({ length: 4096 }, (_, i): Item => ({ key: (i * 2654435761) % 4096, place: -1 }));
  for (const item of items) heapAdd(heap, item, counted);
  for (const item of items) heapRemove(heap, item, counted);
  assert.ok(comparisons < items.length * 12 * 4, String(comparisons));
});
