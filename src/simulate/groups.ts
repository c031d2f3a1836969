import type { RandomStream } from '../model/random-stream.ts';
import { LowtideError } from '../model/errors.ts';
import { nearestOf } from '../model/nearest.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, type UnixMillis } from '../model/time.ts';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import { parseRate } from '../schedule/rate-text.ts';
import { subtract, unite, type Span } from '../schedule/spans.ts';
import { checkWindowsMeet, intervalsBetween, parseWindows, type Windows } from '../schedule/windows.ts';
import { parseSize, parseSpan } from './amounts.ts';
import type { FleetClient, FleetLine, FleetSnapshot } from './fleet.ts';
import type { Reader } from './scenario.ts';
import type { GroupYaml, SizesYaml } from './scenario-shape.ts';
import { drawSize, type Sizes } from './sizes.ts';

/** Backups taken this long before the beginning are waiting when it comes. */
const WAITING_MS = 12 * HOUR_MS;

type Place = readonly PropertyKey[];

interface Surroundings {
  readonly reader: Reader;
  readonly lines: readonly FleetLine[];
  readonly outages: readonly Span[];
  readonly center: Windows;
  readonly random: RandomStream;
}

interface Presence {
  readonly spans: readonly Span[];
  readonly chance: number;
  readonly jitter: number;
}

/** What the clients of a group have in common. */
interface Group {
  readonly yaml: GroupYaml;
  readonly lines: readonly number[];
  readonly windows: Windows;
  readonly speed: number;
  readonly sizes: Sizes;
  /** One for each backup of the stretch, before the spread. */
  readonly turns: readonly UnixMillis[];
  readonly spread: number;
  readonly target: number | null;
  /** By how much a deadline is after the backup's turn, for each. */
  readonly deadlines: readonly (UnixMillis | null)[];
  readonly age: number;
  readonly presence: readonly Presence[] | null;
}

/** The clients of one group of a scenario file. @throws LowtideError `bad-config` with line and column */
export function clientsOf(yaml: GroupYaml, place: Place, around: Surroundings): FleetClient[] {
  const group = groupOf(yaml, place, around);
  return Array.from({ length: yaml.count }, (_, at) => clientOf(group, at, around));
}

function groupOf(yaml: GroupYaml, place: Place, { reader, lines, center }: Surroundings): Group {
  const zone = yaml.zone ?? reader.zone;
  const at = <T>(key: keyof GroupYaml, work: () => T): T => reader.check([...place, key], work);
  at('zone', () => parseWindows('any', zone));
  const span = (key: 'spread' | 'target' | 'age'): number => at(key, () => parseSpan(yaml[key]!));
  const windows = at('windows', () => parseWindows(yaml.windows, zone));
  at('windows', () => checkWindowsMeet(windows, center, reader.from));
  const speed = at('speed', () => parseRate(yaml.speed, zone)).rows[0]?.bytesPerSecond;
  if (speed === null || speed === undefined)
    throw reader.bad([...place, 'speed'], 'expected a rate such as 100 Mbit/s');
  const turns = at('backup', () => [yaml.backup].flat().flatMap((time) => turnsOf(time, zone, reader)));
  turns.sort((a, b) => a - b);
  const { deadline } = yaml;
  return {
    yaml,
    lines:
      yaml.lines.length === 0 ? [0] : at('lines', () => yaml.lines.map((name) => lineIndex(lines, name))),
    windows,
    speed,
    sizes: readSizes(yaml.sizes, [...place, 'sizes'], reader),
    turns,
    spread: span('spread'),
    target: yaml.target === undefined ? null : span('target'),
    deadlines: at('deadline', () =>
      turns.map((turn) => (deadline === undefined ? null : nextTimeAfter(deadline, zone, turn))),
    ),
    age: span('age'),
    presence: presenceOf(yaml, place, zone, reader),
  };
}

function lineIndex(lines: readonly FleetLine[], name: string): number {
  const index = lines.findIndex((line) => line.name === name);
  if (index >= 0) return index;
  const meant = nearestOf(
    name,
    lines.map((line) => line.name),
  );
  throw new LowtideError(
    'bad-config',
    `there is no line ${name}${meant === null ? '' : `; did you mean ${meant}?`}`,
  );
}

function timeOf(text: string): Temporal.PlainTime {
  if (/^\d{1,2}:\d{2}$/.test(text)) {
    try {
      return Temporal.PlainTime.from(text.padStart(5, '0'));
    } catch {
      // Said below.
    }
  }
  throw new LowtideError(
    'bad-config',
    `${JSON.stringify(text.slice(0, 80))} is not a time of day such as 20:00`,
  );
}

/** The moments of a time of day: what was taken in the hours before the beginning waits already. */
function turnsOf(text: string, zone: string, { from, until }: Reader): UnixMillis[] {
  const time = timeOf(text);
  const dateOf = (at: UnixMillis): Temporal.PlainDate =>
    Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).toPlainDate();
  const turns: UnixMillis[] = [];
  for (let date = dateOf(from - DAY_MS), last = dateOf(until); Temporal.PlainDate.compare(date, last) <= 0;) {
    const at = date.toZonedDateTime({ timeZone: zone, plainTime: time }).epochMilliseconds;
    if (at > from - WAITING_MS && at < until) turns.push(at);
    date = date.add({ days: 1 });
  }
  return turns;
}

function nextTimeAfter(text: string, zone: string, at: UnixMillis): UnixMillis {
  const time = timeOf(text);
  const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
  const same = local.toPlainDate().toZonedDateTime({ timeZone: zone, plainTime: time }).epochMilliseconds;
  if (same > at) return same;
  const next = local.toPlainDate().add({ days: 1 });
  return next.toZonedDateTime({ timeZone: zone, plainTime: time }).epochMilliseconds;
}

function readSizes(yaml: SizesYaml, place: Place, reader: Reader): Sizes {
  const size = (text: string, key: Place): number => reader.check(key, () => parseSize(text));
  if (typeof yaml === 'string') return { kind: 'list', sizes: [size(yaml, place)] };
  if (Array.isArray(yaml)) {
    return { kind: 'list', sizes: (yaml as readonly string[]).map((text, at) => size(text, [...place, at])) };
  }
  const { median, p95, least, most, pareto } = yaml as Exclude<SizesYaml, string | readonly string[]>;
  const upTo = most === undefined ? Infinity : size(most, [...place, 'most']);
  if (median !== undefined && p95 !== undefined) {
    const [middle, high] = [size(median, [...place, 'median']), size(p95, [...place, 'p95'])];
    if (high < middle) throw reader.bad([...place, 'p95'], 'expected at least the median');
    if (upTo < high) throw reader.bad([...place, 'most'], 'expected at least p95');
    return { kind: 'median', median: middle, p95: high, most: upTo };
  }
  const from = least === undefined ? 0 : size(least, [...place, 'least']);
  if (upTo < from) throw reader.bad([...place, 'most'], 'expected no less than least');
  if (least !== undefined && pareto !== undefined) {
    return { kind: 'pareto', least: from, exponent: pareto, most: upTo };
  }
  if (least !== undefined && most !== undefined) return { kind: 'uniform', least: from, most: upTo };
  throw reader.bad(place, 'expected median with p95, least with most, or least with pareto');
}

function presenceOf(yaml: GroupYaml, place: Place, zone: string, reader: Reader): Presence[] | null {
  if (yaml.presence === undefined) return null;
  return yaml.presence.map(({ hours, chance, jitter }, at) => {
    const own = [...place, 'presence', at];
    const windows = reader.check([...own, 'hours'], () => parseWindows(hours, zone));
    return {
      spans: intervalsBetween(windows, reader.from - DAY_MS, reader.until + DAY_MS),
      chance,
      jitter: reader.check([...own, 'jitter'], () => parseSpan(jitter)),
    };
  });
}

function clientOf(group: Group, at: number, { reader, outages, random }: Surroundings): FleetClient {
  const { yaml } = group;
  const name = `${yaml.name}-${at + 1}`;
  // Drawn once for the client: a machine is as large tomorrow as it is today.
  const bytes = drawSize(group.sizes, at, random);
  const snapshots = group.turns.map((turn, sequence): FleetSnapshot => {
    const readyAt = turn + Math.floor(random.fraction() * group.spread);
    const error = yaml['size-error'] * (2 * random.fraction() - 1);
    return {
      id: `${name}/${sequence + 1}` as SnapshotId,
      sequence: sequence + 1,
      bytes,
      announced: Math.max(1, Math.round(bytes * (1 + error))),
      readyAt,
      deadline: group.deadlines[sequence]!,
    };
  });
  return {
    id: name as ClientId,
    name,
    group: yaml.name,
    line: group.lines[at % group.lines.length]!,
    speed: group.speed,
    windows: group.windows,
    online: onlineOf(group, reader, outages, random),
    session: sessionOf(group.presence, reader),
    snapshots,
    target: group.target,
    lastCollected: (snapshots[0]?.readyAt ?? reader.from) - group.age,
    breaksPerHour: yaml['breaks-per-hour'],
    mute: random.chance(yaml.mute),
  };
}

/** The mean of the hours that are written down: a center that has seen a client come and go knows no more. */
function sessionOf(presence: readonly Presence[] | null, { from, until }: Reader): number | null {
  const whole = (presence ?? [])
    .flatMap(({ spans }) => spans)
    .filter(({ start, end }) => start > from - DAY_MS && end < until + DAY_MS);
  if (whole.length === 0) return null;
  return Math.round(whole.reduce((sum, { start, end }) => sum + end - start, 0) / whole.length);
}

function onlineOf(
  { presence }: Group,
  { from, until }: Reader,
  outages: readonly Span[],
  random: RandomStream,
): Span[] | null {
  if (presence === null && outages.length === 0) return null;
  const spans = presence?.flatMap(({ spans, chance, jitter }) =>
    spans
      .filter(() => random.chance(chance))
      .map(({ start, end }) => ({
        start: Math.round(start + jitter * (2 * random.fraction() - 1)),
        end: Math.round(end + jitter * (2 * random.fraction() - 1)),
      })),
  ) ?? [{ start: from, end: until + MINUTE_MS }];
  return subtract(unite(spans), unite(outages)).filter(({ end }) => end > from);
}
