import type { UnixMillis } from '../model/time.ts';
import type { CopyLine } from '../node/reading.ts';
import { copyText, saidOf } from './copy-text.ts';
import { bytesText } from '../model/bytes-text.ts';
import { hangingLines, noteLines, plural, tableLines, timeText, WIDTH } from './text.ts';

/** How each copy of a snapshot stands, and below it the way that it took, hop by hop; to be shown two columns further in. */
export function copiesText(copies: readonly CopyLine[], zone: string, now: UnixMillis): string[] {
  return copies.flatMap((copy) => [
    ...hangingLines(saidOf(copy.center, stateText(copy, zone, now)), WIDTH - 2),
    ...hopLines(copy, zone).map((line) => `  ${line}`),
  ]);
}

/** Without the way, for the head of a list. */
export function copiesBriefly(copies: readonly CopyLine[], zone: string, now: UnixMillis): string[] {
  return copies.flatMap((copy) => noteLines(saidOf(copy.center, stateText(copy, zone, now)), -2));
}

function stateText(copy: CopyLine, zone: string, now: UnixMillis): string {
  const next = copy.hops.findLast(({ arrivedAt }) => arrivedAt === null)?.name ?? null;
  const text = copyText({ ...copy, next }, copy.center, zone, now);
  const since = copy.phase === 'safe' ? (copy.arrivedAt ?? copy.since) : null;
  return since === null ? text : `${text} since ${timeText(since, zone)}`;
}

function hopLines({ hops }: CopyLine, zone: string): string[] {
  if (hops.length === 0) return [];
  const columns = [
    { title: 'Hop' },
    { title: `Offered (${zone})` },
    { title: `Arrived (${zone})` },
    { title: 'Sent', align: 'right' },
    { title: 'Attempts' },
  ] as const;
  const rows = hops.map(({ name, offeredAt, arrivedAt, bytes, attempts }) => [
    name,
    timeText(offeredAt, zone),
    arrivedAt === null ? 'not yet' : timeText(arrivedAt, zone),
    bytesText(bytes),
    plural(attempts, 'order'),
  ]);
  return tableLines(columns, rows);
}
