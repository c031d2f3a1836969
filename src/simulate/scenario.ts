import { LowtideError, messageOf } from '../model/errors.ts';
import { RandomStream } from '../model/random-stream.ts';
import type { UnixMillis } from '../model/time.ts';
import { conditionsWith, type CenterConditions } from '../schedule/plan.ts';
import { parseRate } from '../schedule/rate-text.ts';
import { UNLIMITED, type RatePlan } from '../schedule/rate-plan.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { Fleet, FleetLine, FleetRestore } from './fleet.ts';
import { clientsOf } from './groups.ts';
import { stepsOf } from './rate-steps.ts';
import type { LineYaml, ScenarioYaml } from './scenario-shape.ts';
import { constant } from './steps.ts';

/** A scenario file as it was read, and how to say that something at a place of it is wrong. */
export interface ScenarioSource {
  readonly value: ScenarioYaml;
  readonly bad: (place: readonly PropertyKey[], message: string) => LowtideError;
}

/** What a scenario file comes to. */
export interface Scenario {
  readonly fleet: Fleet;
  readonly seed: string;
  readonly yields: boolean;
}

/** What reads the texts of a scenario and puts a place in front of what is wrong with them. */
export interface Reader {
  readonly zone: string;
  readonly from: UnixMillis;
  readonly until: UnixMillis;
  readonly bad: ScenarioSource['bad'];
  check<T>(place: readonly PropertyKey[], work: () => T): T;
}

const FLEET_MOST = 2_000_000;

/**
 * Makes the fleet: everything that chance decides is drawn here from the seed.
 * @throws LowtideError `bad-config` with line and column
 */
export function readScenario(source: ScenarioSource, seed?: string): Scenario {
  const { value } = source;
  const reader = newReader(source);
  const used = seed ?? String(value.seed);
  const lines = linesOf(value, reader);
  const total = value.clients.reduce((sum, { count }) => sum + count, 0);
  if (total > FLEET_MOST) throw source.bad(['clients'], `at most ${FLEET_MOST} clients in all`);
  refuseTwins(value, source);
  const outages = value.outages.map((span, at) => spanOf(reader, span, ['outages', at]));
  const conditions = conditionsOf(value, reader);
  const fleet: Fleet = {
    name: value.name,
    zone: value.zone,
    from: reader.from,
    until: reader.until,
    lines,
    conditions,
    clients: value.clients.flatMap((group, at) =>
      clientsOf(group, ['clients', at], {
        reader,
        lines,
        outages,
        center: conditions.windows,
        random: new RandomStream(used, group.name, at),
      }),
    ),
    restores: restoresOf(value, reader, lines),
  };
  return { fleet, seed: used, yields: value.yields };
}

/** Computers are told apart by the name of their group and a number. */
function refuseTwins({ clients }: ScenarioYaml, { bad }: ScenarioSource): void {
  const names = clients.map(({ name }) => name);
  const twin = names.findIndex((name, at) => names.indexOf(name) < at);
  if (twin !== -1) throw bad(['clients', twin, 'name'], `there are two groups named ${names[twin]}`);
}

function newReader({ value, bad }: ScenarioSource): Reader {
  const check = <T>(place: readonly PropertyKey[], work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw bad(place, messageOf(error));
    }
  };
  check(['zone'], () => parseWindows('any', value.zone));
  const from = check(['from'], () => momentOf(value.from, value.zone));
  const until = check(['until'], () => momentOf(value.until, value.zone));
  if (until <= from) throw bad(['until'], 'expected a moment after from');
  if (until - from > 62 * 86_400_000) throw bad(['until'], 'expected at most 62 days after from');
  return { zone: value.zone, from, until, bad, check };
}

/** `2026-03-02 18:00` on the clocks of a zone. @throws LowtideError `bad-config` */
export function momentOf(text: string, zone: string): UnixMillis {
  try {
    return Temporal.PlainDateTime.from(text.trim().replace(' ', 'T')).toZonedDateTime(zone).epochMilliseconds;
  } catch {
    throw new LowtideError(
      'bad-config',
      `${JSON.stringify(text.slice(0, 80))} is not a moment: write 2026-03-02 18:00`,
    );
  }
}

function spanOf(
  reader: Reader,
  span: { readonly from: string; readonly until: string },
  place: readonly PropertyKey[],
): { start: UnixMillis; end: UnixMillis } {
  const start = reader.check([...place, 'from'], () => momentOf(span.from, reader.zone));
  const end = reader.check([...place, 'until'], () => momentOf(span.until, reader.zone));
  if (end <= start) throw reader.bad([...place, 'until'], 'expected a moment after from');
  return { start, end };
}

const planAt = (reader: Reader, text: string | undefined, place: readonly PropertyKey[]): RatePlan =>
  text === undefined ? UNLIMITED : reader.check(place, () => parseRate(text, reader.zone));

function conditionsOf({ center, lines }: ScenarioYaml, reader: Reader): CenterConditions {
  const windows = reader.check(['center', 'windows'], () => parseWindows(center.windows, reader.zone));
  return conditionsWith(windows, center.streams, {
    rate: planAt(reader, center.rate, ['center', 'rate']),
    clientRate: planAt(reader, center['client-rate'], ['center', 'client-rate']),
    restoreShare: center['restore-share'],
    lines: new Map(
      Object.entries(lines)
        .filter(([, { rate }]) => rate !== undefined)
        .map(([name, { rate }]) => [name, planAt(reader, rate, ['lines', name, 'rate'])]),
    ),
  });
}

function linesOf(value: ScenarioYaml, reader: Reader): FleetLine[] {
  const { center } = value;
  const ownRate = center.rate === undefined ? {} : { rate: center.rate };
  const ownPeople = center.foreground === undefined ? {} : { foreground: center.foreground };
  const own: LineYaml = {
    capacity: center.capacity,
    'foreground-flow': center['foreground-flow'],
    ...ownRate,
    ...ownPeople,
  };
  const lines = [lineOf(reader, 'center', own, null, ['center'])];
  const indexes = new Map<string, number>();
  const add = (name: string, wanted: readonly string[]): number => {
    const place = ['lines', name];
    const known = indexes.get(name);
    if (known !== undefined) return known;
    const line = value.lines[name]!;
    if (wanted.includes(name)) throw reader.bad([...place, 'into'], 'these lines lead into each other');
    if (line.into !== undefined && value.lines[line.into] === undefined) {
      throw reader.bad([...place, 'into'], `there is no line ${line.into}`);
    }
    const parent = line.into === undefined ? 0 : add(line.into, [...wanted, name]);
    const index = lines.push(lineOf(reader, name, line, parent, place)) - 1;
    indexes.set(name, index);
    return index;
  };
  for (const name of Object.keys(value.lines)) {
    if (name === 'center') throw reader.bad(['lines', name], "center is the name of the center's own line");
    add(name, []);
  }
  return lines;
}

function lineOf(
  reader: Reader,
  name: string,
  line: LineYaml,
  parent: number | null,
  place: readonly PropertyKey[],
): FleetLine {
  const { from, until } = reader;
  const capacity = stepsOf(planAt(reader, line.capacity, [...place, 'capacity']), from, until);
  if (capacity.some(({ value }) => !Number.isFinite(value))) {
    throw reader.bad([...place, 'capacity'], 'expected a rate for all times: what the line really carries');
  }
  const flow = reader.check([...place, 'foreground-flow'], () =>
    parseRate(line['foreground-flow'], reader.zone),
  );
  const foreground =
    line.foreground === undefined
      ? constant(0)
      : stepsOf(planAt(reader, line.foreground, [...place, 'foreground']), from, until);
  return {
    name,
    parent,
    capacity,
    cap: stepsOf(planAt(reader, line.rate, [...place, 'rate']), from, until),
    foreground: foreground.map(({ at, value }) => ({ at, value: Number.isFinite(value) ? value : 0 })),
    foregroundFlow: flow.rows[0]?.bytesPerSecond ?? 0,
  };
}

function restoresOf(value: ScenarioYaml, reader: Reader, lines: readonly FleetLine[]): FleetRestore[] {
  return value.restores.map((restore, at) => {
    const place = ['restores', at];
    const line = lines.findIndex(({ name }) => name === (restore.line ?? 'center'));
    if (line === -1) throw reader.bad([...place, 'line'], `there is no line ${restore.line}`);
    const rate = planAt(reader, restore.rate, [...place, 'rate']).rows[0]?.bytesPerSecond;
    if (rate === undefined || rate === null)
      throw reader.bad([...place, 'rate'], 'expected a rate such as 20 MB/s');
    return { ...spanOf(reader, restore, place), line, rate };
  });
}
