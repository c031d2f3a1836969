import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { goodputOf, shareFairly, type SharedLine, type Wanting } from './fair-share.ts';

interface TestLine extends SharedLine {
  readonly children: TestLine[];
  readonly wanting: Set<Wanting>;
}

const lineOf = (capacity: number, parent: TestLine | null): TestLine => {
  const line: TestLine = { capacity, parent, children: [], wanting: new Set() };
  parent?.children.push(line);
  return line;
};

const trees = fc
  .record({
    top: fc.integer({ min: 1, max: 1000 }),
    below: fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 4 }),
    flows: fc.array(
      fc.record({
        line: fc.nat(),
        cap: fc.integer({ min: 1, max: 500 }),
        weight: fc.integer({ min: 1, max: 3 }),
      }),
      { minLength: 1, maxLength: 12 },
    ),
  })
  .map(({ top, below, flows }) => {
    const root = lineOf(top, null);
    const lines = [root, ...below.map((capacity) => lineOf(capacity, root))];
    for (const { line, cap, weight } of flows) {
      const on = lines[line % lines.length]!;
      on.wanting.add({ line: on, cap, weight });
    }
    return { root, lines };
  });

describe('fair shares', () => {
  it('are max-min fair: each has its cap, or a full line on its way on which nobody gets more', () => {
    fc.assert(
      fc.property(trees, ({ root, lines }) => {
        const rates = new Map<Wanting, number>();
        shareFairly(root, (wanting, rate) => rates.set(wanting, rate));
        const on = (line: SharedLine): Wanting[] =>
          [...rates.keys()].filter((each) => each.line === line || each.line.parent === line);
        const used = (line: SharedLine): number =>
          on(line).reduce((sum, each) => sum + rates.get(each)! * each.weight, 0);
        for (const line of lines) assert.ok(used(line) <= line.capacity + 1e-6);
        for (const [each, rate] of rates) {
          assert.ok(rate <= each.cap);
          if (rate > each.cap - 1e-9) continue;
          const way = [each.line, ...(each.line.parent === null ? [] : [each.line.parent])];
          const narrow = way.filter((line) => used(line) >= line.capacity - 1e-6);
          assert.ok(narrow.some((line) => on(line).every((other) => rates.get(other)! <= rate + 1e-6)));
        }
      }),
    );
  });

  it('lose little of wide shares and a quarter at most of narrow ones', () => {
    assert.ok(goodputOf(10e6) > 0.999);
    assert.equal(goodputOf(1000), 0.75);
    assert.ok(goodputOf(50_000) < goodputOf(100_000));
  });
});
