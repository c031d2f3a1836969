import type { RandomStream } from '../model/random-stream.ts';

/** How much a computer has to send. Bytes. */
export type Sizes =
  | { readonly kind: 'list'; readonly sizes: readonly number[] }
  | { readonly kind: 'uniform'; readonly least: number; readonly most: number }
  /** Lognormal: half are below the median, one in twenty above `p95`; nothing above `most`. */
  | { readonly kind: 'median'; readonly median: number; readonly p95: number; readonly most: number }
  /** A heavy tail: of those above any size, 2^-`exponent` are above twice that size. */
  | { readonly kind: 'pareto'; readonly least: number; readonly exponent: number; readonly most: number };

/** z of 95 % below. */
const Z95 = 1.6448536269514722;

/** The size of the `turn`th: lists go round. At least one byte. */
export function drawSize(sizes: Sizes, turn: number, random: RandomStream): number {
  return Math.max(1, Math.round(draw(sizes, turn, random)));
}

function draw(sizes: Sizes, turn: number, random: RandomStream): number {
  switch (sizes.kind) {
    case 'list':
      return sizes.sizes[turn % sizes.sizes.length]!;
    case 'uniform':
      return sizes.least + (sizes.most - sizes.least) * random.fraction();
    case 'median': {
      const sigma = Math.log(sizes.p95 / sizes.median) / Z95;
      return Math.min(sizes.most, sizes.median * Math.exp(sigma * normal(random)));
    }
    case 'pareto':
      return Math.min(sizes.most, sizes.least * (1 - random.fraction()) ** (-1 / sizes.exponent));
    default:
      throw new TypeError('no such distribution');
  }
}

/** Box and Muller's. */
function normal(random: RandomStream): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.fraction()));
  return radius * Math.cos(2 * Math.PI * random.fraction());
}
