import type { Recorded } from './monitor.ts';

export interface TranscriptOptions {
  /** The IANA zone in which hours are told. */
  readonly zone: string;
  /** What people call a client, a center or any other id. */
  readonly names?: ReadonlyMap<string, string>;
  /** Leaves out what is of no interest; everything is told unless said. */
  readonly include?: (record: Recorded) => boolean;
}

/**
 * One line a record: `00:00:00 center ordered ann-laptop docs#1`, with the date on a line of its own where the day
 * changes. Snapshots are called by job and the order in which the machine took them; order ids are left out.
 */
export function transcript(records: readonly Recorded[], options: TranscriptOptions): string[] {
  const names = new Map([...(options.names ?? []), ...snapshotNames(records)]);
  const lines: string[] = [];
  let day = '';
  for (const record of records) {
    if (options.include?.(record) === false) continue;
    const local = Temporal.Instant.fromEpochMilliseconds(record.time).toZonedDateTimeISO(options.zone);
    const date = local.toPlainDate().toString();
    if (date !== day) lines.push(`-- ${date}`);
    day = date;
    const time = local.toPlainTime().toString({ smallestUnit: 'second' });
    lines.push(`${time} ${record.node} ${wordsOf(record, names)}`);
  }
  return lines;
}

/** Names for the snapshots that were taken: `docs#1` is the first of job docs on its machine. */
function snapshotNames(records: readonly Recorded[]): Map<string, string> {
  const names = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const record of records) {
    if (record.what !== 'event' || record.event.kind !== 'taken') continue;
    const { job, snapshot } = record.event;
    if (names.has(snapshot)) continue;
    const key = `${record.node} ${job}`;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    names.set(snapshot, `${job}#${count}`);
  }
  return names;
}

function wordsOf(record: Recorded, names: ReadonlyMap<string, string>): string {
  if (record.what === 'problem') {
    const { severity, path, code, message } = record.problem;
    return `${severity} ${path} ${code}: ${message}`;
  }
  const { kind, ...fields } = record.event;
  return [kind, ...fieldWords(fields, names)].join(' ');
}

/** Ids and names by themselves, counts with their field's name, flags only when set. */
function fieldWords(fields: object, names: ReadonlyMap<string, string>): string[] {
  const words: string[] = [];
  for (const [field, value] of Object.entries<unknown>({ ...fields })) {
    if (field === 'order' || (field === 'job' && 'snapshot' in fields)) continue;
    if (typeof value === 'string') words.push(field === 'message' ? `(${value})` : nameOf(value, names));
    else if (typeof value === 'number') words.push(`${field}=${value}`);
    else if (value === true) words.push(field);
  }
  return words;
}

function nameOf(text: string, names: ReadonlyMap<string, string>): string {
  return names.get(text) ?? (/^[0-9a-f]{32,}$/.test(text) ? text.slice(0, 8) : text);
}
