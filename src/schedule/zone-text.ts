import type { Scanner } from './scanner.ts';
import { checkZone } from './zones.ts';

/** The zone at the end of one window or time; null if none is named there. */
export function readZone(scanner: Scanner): string | null {
  const name = scanner.zoneName('except', 'any', 'never', 'daily');
  return name === null ? null : checkZone(name);
}

/** `(Zone)` at the end of the text, for everything in it that names no zone (S15). */
export function readCommonZone(scanner: Scanner): string | null {
  if (!scanner.mark('(')) return null;
  const name = scanner.zoneName() ?? scanner.fail('a time zone such as Europe/London');
  if (!scanner.mark(')')) scanner.fail('")"');
  return checkZone(name);
}
