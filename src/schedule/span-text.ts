import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';
import { Scanner } from './scanner.ts';

/** Longest first: a span is written in the largest that fits. */
const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ['d', DAY_MS],
  ['h', HOUR_MS],
  ['min', MINUTE_MS],
];
const LONGEST_MS = 366 * DAY_MS;

/**
 * Milliseconds of `90 min`, `24 h` or `7 d` (docs/scheduling.md S69).
 * @throws LowtideError `bad-schedule` with the place and what was expected there
 */
export function parseSpan(text: string): number {
  const scanner = new Scanner(text);
  const count = scanner.number() ?? scanner.fail('a span of time such as 24 h');
  const unit = scanner.exactly(UNITS.map(([name]) => name)) ?? scanner.fail('"min", "h" or "d"');
  if (!scanner.ended) scanner.fail('the end');
  const span = count * UNITS.find(([name]) => name === unit)![1];
  if (span === 0 || span > LONGEST_MS) scanner.fail('from 1 min to 366 d', 0);
  return span;
}

/** As `parseSpan` reads it. */
export function spanText(ms: number): string {
  // People say 24 h and 36 h, and 2 d from there on.
  const [name, unit] =
    UNITS.find(([, each]) => ms % each === 0 && (each < DAY_MS || ms > each)) ?? UNITS.at(-1)!;
  return `${Math.round(ms / unit)} ${name}`;
}
