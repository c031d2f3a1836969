import { RandomStream } from '../../src/model/random-stream.ts';

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

const DRAWS = 2000;

/** The mean, and between what it lies with 95 %: percentile bootstrap, always the same draws. */
export function bootstrap(values: readonly number[]): Interval {
  const random = new RandomStream('bootstrap');
  const means: number[] = [];
  for (let draw = 0; draw < DRAWS; draw++) {
    let sum = 0;
    for (let at = 0; at < values.length; at++) sum += values[random.below(values.length)]!;
    means.push(sum / values.length);
  }
  means.sort((a, b) => a - b);
  return {
    mean: mean(values),
    low: means[Math.floor(DRAWS * 0.025)]!,
    high: means[Math.floor(DRAWS * 0.975)]!,
  };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
