import { UNLIMITED, type RatePlan, type RateRow } from './rate-plan.ts';
import { Scanner } from './scanner.ts';
import { readSpan, windowsOf, type Draft } from './windows-text.ts';
import { readCommonZone } from './zone-text.ts';
import { checkZone } from './zones.ts';

/** Bytes per second of each; larger ones first among those that are written equally short. */
const UNITS: readonly (readonly [name: string, bytes: number])[] = [
  ['GB/s', 1e9],
  ['MB/s', 1e6],
  ['kB/s', 1e3],
  ['B/s', 1],
  ['GiB/s', 2 ** 30],
  ['MiB/s', 2 ** 20],
  ['KiB/s', 2 ** 10],
  ['Gbit/s', 1e9 / 8],
  ['Mbit/s', 1e6 / 8],
  ['kbit/s', 1e3 / 8],
];
/** More than any line carries; beyond it sums would lose bytes. */
const HIGHEST = 1e12;

interface DraftRow {
  readonly bytesPerSecond: number | null;
  readonly hours: Draft | null;
}

/**
 * Reads rates by time of day in the grammar of docs/scheduling.md S60: `20 MB/s`, `unlimited`,
 * `5 MB/s Mon-Fri 08:00-18:00, 100 Mbit/s Sat-Sun, 50 MB/s`.
 * @param zone of the hours that name none
 * @throws LowtideError `bad-schedule` with the place and what was expected there, `bad-zone` with the nearest name
 */
export function parseRate(text: string, zone: string): RatePlan {
  const fallback = checkZone(zone);
  const scanner = new Scanner(text);
  const drafts: DraftRow[] = [];
  do {
    if (drafts.at(-1)?.hours === null)
      scanner.fail('hours in front of this comma: what follows would never count');
    drafts.push(readRow(scanner));
  } while (scanner.mark(','));
  const common = readCommonZone(scanner) ?? fallback;
  if (!scanner.ended) scanner.fail('hours such as Mon-Fri 08:00-18:00, a comma or the end');
  return planOf(
    drafts.map(({ bytesPerSecond, hours }) => ({
      bytesPerSecond,
      hours: hours && windowsOf([hours], common),
    })),
  );
}

function readRow(scanner: Scanner): DraftRow {
  const bytesPerSecond = readAmount(scanner);
  const timed = scanner.dayAhead || /^(?:daily|any)$/.test(scanner.wordAhead()) || scanner.digitAhead;
  return { bytesPerSecond, hours: timed ? readSpan(scanner, scanner.days()) : null };
}

function readAmount(scanner: Scanner): number | null {
  if (scanner.word('unlimited') !== null) return null;
  const place = scanner.place;
  const count = scanner.decimal() ?? scanner.fail('a rate such as 20 MB/s, or "unlimited"');
  const unit = scanner.exactly(UNITS.map(([name]) => name));
  // "Mb/s" is read as bits by some and as bytes by others.
  if (unit === null)
    return scanner.fail('a unit: kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s or kbit/s, Mbit/s, Gbit/s');
  const rate = Math.round(count * UNITS.find(([name]) => name === unit)![1]);
  if (rate === 0)
    scanner.fail('a rate above 0 (to collect nothing at some time, leave it out of the windows)', place);
  if (rate > HIGHEST) scanner.fail('at most 1000 GB/s', place);
  return rate;
}

function planOf(rows: readonly RateRow[]): RatePlan {
  if (rows.every(({ bytesPerSecond }) => bytesPerSecond === null)) return UNLIMITED;
  const text = rows.map(({ bytesPerSecond, hours }) =>
    [rateText(bytesPerSecond), ...(hours === null ? [] : [hours.text])].join(' '),
  );
  return { text: text.join(', '), rows };
}

/** `12.5 MB/s`: exact, in the unit in which it is shortest; `unlimited` for null. */
export function rateText(bytesPerSecond: number | null): string {
  if (bytesPerSecond === null) return 'unlimited';
  const exact = UNITS.map(([name, bytes]) => ({ name, count: bytesPerSecond / bytes })).filter(
    ({ count }) => Number(count.toFixed(3)) === count && count >= 1,
  );
  const texts = exact.map(({ name, count }) => `${count} ${name}`);
  return texts.sort((a, b) => a.length - b.length)[0] ?? `${bytesPerSecond} B/s`;
}
