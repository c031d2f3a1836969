import { LowtideError } from '../../src/model/errors.ts';
import type { Fleet } from '../../src/simulate/fleet.ts';
import { readScenario } from '../../src/simulate/scenario.ts';
import { scenarioShape } from '../../src/simulate/scenario-shape.ts';

/** One of S1-S12 of FIELD A.4.4: a fleet for each seed, with one snapshot a computer. */
export interface BenchScenario {
  readonly name: string;
  readonly title: string;
  readonly fleet: (seed: number) => Fleet;
  /** Of which scenario the bounds hold here too, because only what the planner is told is another. */
  readonly boundsOf?: string;
}

export type Yaml = Record<string, unknown>;

const ZONE = 'Europe/Berlin';
/** People use a twentieth of every line at night, a quarter by day; collection may take nine tenths at night. */
export const line = (mbit: number, into?: string): Yaml => ({
  capacity: `${mbit} Mbit/s`,
  rate: `${mbit * 0.5} Mbit/s Mon-Fri 07:00-19:00, ${mbit * 0.9} Mbit/s`,
  foreground: `${mbit * 0.25} Mbit/s Mon-Fri 07:00-19:00, ${mbit * 0.05} Mbit/s`,
  'foreground-flow': `${Math.max(1, mbit * 0.05)} Mbit/s`,
  ...(into === undefined ? {} : { into }),
});
export const center = (more: Yaml = {}): Yaml => ({
  windows: '20:00-06:00',
  streams: 200,
  capacity: '10 Gbit/s',
  rate: '9 Gbit/s',
  ...more,
});

export function make(yaml: Yaml, seed: number, days = 1): Fleet {
  const value = scenarioShape.parse({ zone: ZONE, from: '2026-03-02 18:00', ...yaml });
  const bad = (place: readonly PropertyKey[], message: string): LowtideError =>
    new LowtideError('bad-config', `${place.join('.')}: ${message}`);
  const { fleet } = readScenario({ value, bad }, String(seed));
  // One snapshot each: how long it takes until all is collected must not depend on what comes the day after.
  const clients = fleet.clients.map((client) => ({ ...client, snapshots: client.snapshots.slice(0, days) }));
  return { ...fleet, clients };
}

/** Three kinds of people: those who are home early, those who are up late, those who do not mind. */
export const threeKinds = (
  name: string,
  lines: readonly string[],
  count: number,
  sizes: Yaml,
  more: Yaml = {},
): Yaml[] =>
  [
    ['early', '20:00-23:30', Math.round(count / 4)] as const,
    ['late', '01:00-05:00', Math.round(count / 4)] as const,
    ['all', '20:00-06:00', count - 2 * Math.round(count / 4)] as const,
  ].map(([kind, windows, part]) => ({
    name: `${name}-${kind}`,
    count: part,
    lines,
    windows,
    sizes,
    backup: '18:30',
    spread: '80 min',
    target: '36 h',
    deadline: '06:00',
    speed: '100 Mbit/s',
    ...more,
  }));

const BRANCH_SPEEDS = [20, 30, 50, 80, 100];
/** Fifty branches of 20 computers; what they have grows with the line, to about `load` of what it carries a night. */
function branches(load: number, more: Yaml = {}, extra: Yaml = {}, count = 50, each = 20): Yaml {
  const lines: Yaml = {};
  const clients: Yaml[] = [];
  for (let branch = 0; branch < count; branch++) {
    const mbit = BRANCH_SPEEDS[branch % BRANCH_SPEEDS.length]!;
    const name = `b${branch + 1}`;
    lines[name] = line(mbit);
    // The mean of this lognormal is about 1.4 times its median.
    const night = ((mbit * 0.9) / 8) * 36_000;
    const median = Math.round((night * load) / each / 1.4);
    clients.push(
      ...threeKinds(
        name,
        [name],
        each,
        { median: `${median} MB`, p95: `${median * 4} MB`, most: `${median * 8} MB` },
        extra,
      ),
    );
  }
  return { until: '2026-03-05 12:00', center: center(), lines, clients, ...more };
}

export const scenarios: readonly BenchScenario[] = [
  {
    name: 'S1',
    title: 'one LAN, 1,000 computers, one center at 1 Gbit/s',
    fleet: (seed) =>
      make(
        {
          until: '2026-03-04 12:00',
          center: center({
            capacity: '1 Gbit/s',
            rate: '900 Mbit/s',
            foreground: '50 Mbit/s',
            'foreground-flow': '50 Mbit/s',
          }),
          clients: threeKinds(
            'pc',
            [],
            1000,
            { median: '1500 MB', p95: '7500 MB', most: '30 GB' },
            { speed: '1 Gbit/s' },
          ),
        },
        seed,
      ),
  },
  {
    name: 'S2',
    title: '50 branches of 20 computers behind 20-100 Mbit/s',
    fleet: (seed) => make(branches(0.4), seed),
  },
  {
    name: 'S4',
    title: '600 laptops with office hours behind 8 lines of 100 Mbit/s, three days',
    fleet: (seed) =>
      make(
        {
          until: '2026-03-06 20:00',
          center: center({ windows: 'any' }),
          lines: Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`office${at + 1}`, line(100)])),
          clients: [
            {
              name: 'full',
              count: 400,
              lines: Array.from({ length: 8 }, (_, at) => `office${at + 1}`),
              speed: '50 Mbit/s',
              sizes: { median: '1500 MB', p95: '6 GB', most: '12 GB' },
              backup: '19:00',
              spread: '60 min',
              target: '72 h',
              age: '24 h',
              presence: [{ hours: 'Mon-Fri 09:00-17:30', chance: 0.8, jitter: '60 min' }],
            },
            {
              name: 'part',
              count: 200,
              lines: Array.from({ length: 8 }, (_, at) => `office${at + 1}`),
              speed: '50 Mbit/s',
              windows: '08:00-13:00',
              sizes: { median: '1500 MB', p95: '5 GB', most: '8 GB' },
              backup: '19:00',
              spread: '60 min',
              target: '48 h',
              age: '24 h',
              presence: [{ hours: 'Mon-Fri 09:00-12:30', chance: 0.8, jitter: '30 min' }],
            },
          ],
        },
        seed,
      ),
  },
  {
    name: 'S5',
    title: 'first-full storm: 200 computers with full backups, six nights',
    fleet: (seed) =>
      make(
        {
          until: '2026-03-08 12:00',
          center: center({ streams: 100 }),
          lines: Object.fromEntries([1, 2, 3, 4].map((at) => [`site${at}`, line(200)])),
          clients: threeKinds(
            'pc',
            ['site1', 'site2', 'site3', 'site4'],
            200,
            { median: '20 GB', p95: '80 GB', most: '150 GB' },
            { target: '120 h' },
          ).map((group) => without(group, 'deadline')),
        },
        seed,
      ),
  },
  {
    name: 'S6',
    title: 'month-end burst: as S2, one in five computers with five times as much',
    fleet: (seed) => {
      const fleet = make(branches(0.2), seed);
      const clients = fleet.clients.map((client, at) =>
        at % 5 === 0 ? { ...client, snapshots: client.snapshots.map(fiveTimes) } : client,
      );
      return { ...fleet, clients };
    },
  },
  {
    name: 'S7',
    title: 'as S2, the center down from 21:30 to 23:30',
    fleet: (seed) =>
      make(branches(0.2, { outages: [{ from: '2026-03-02 21:30', until: '2026-03-02 23:30' }] }), seed),
  },
  {
    name: 'S8a',
    title: 'the night of 23 hours (London, 29 March)',
    fleet: (seed) => make(dstNight('2026-03-28 18:00', '2026-03-31 12:00'), seed),
  },
  {
    name: 'S8b',
    title: 'the night of 25 hours (London, 25 October)',
    fleet: (seed) => make(dstNight('2026-10-24 18:00', '2026-10-27 12:00'), seed),
  },
  {
    name: 'S9',
    title: 'heavy-tailed sizes and one giant, 400 computers behind 4 lines',
    fleet: (seed) =>
      make(
        {
          until: '2026-03-06 12:00',
          center: center({ streams: 60 }),
          lines: Object.fromEntries([1, 2, 3, 4].map((at) => [`site${at}`, line(400)])),
          clients: [
            ...threeKinds('pc', ['site1', 'site2', 'site3', 'site4'], 399, {
              least: '1 GB',
              pareto: 1.2,
              most: '100 GB',
            }),
            ...threeKinds('giant', ['site1'], 1, { least: '380 GB', most: '381 GB' }),
          ].filter(({ count }) => (count as number) > 0),
        },
        seed,
      ),
  },
  {
    name: 'S10',
    title: 'as S2 with a mass restore at the center from 21:00 to 01:00',
    fleet: (seed) =>
      make(
        branches(0.35, {
          center: center({ capacity: '2 Gbit/s', rate: '1800 Mbit/s', 'restore-share': 0.6 }),
          restores: [{ from: '2026-03-02 21:00', until: '2026-03-03 01:00', rate: '1200 Mbit/s' }],
        }),
        seed,
      ),
  },
  ...[0, 25, 50].map((error): BenchScenario => ({
    name: `S12-${error}`,
    title: `as S2, sizes announced up to ${error} % wrong`,
    boundsOf: 'S2',
    fleet: (seed) => make(branches(0.4, {}, { 'size-error': error / 100 }), seed),
  })),
  {
    name: 'S13',
    title:
      'four streams, six transfers of hours, and ninety laptops that turn up with less than an hour left',
    fleet: (seed) => make(latecomers(), seed),
  },
];

/** Not of FIELD: what pre-emption is for. Each transfer of a server takes hours, each of a laptop minutes. */
function latecomers(): Yaml {
  const common = { target: '36 h', deadline: '06:00', speed: '100 Mbit/s' };
  const late = ['21:00', '22:00', '23:00'].map((backup) => ({
    name: `laptop-${backup.slice(0, 2)}`,
    count: 30,
    windows: `${backup}-${backup.slice(0, 2)}:59`,
    backup,
    spread: '10 min',
    sizes: { median: '800 MB', p95: '1600 MB', most: '3 GB' },
    ...common,
  }));
  const servers = {
    name: 'server',
    count: 6,
    windows: '20:00-06:00',
    backup: '18:30',
    spread: '60 min',
    sizes: { median: '200 GB', p95: '250 GB', most: '300 GB' },
    ...common,
  };
  return {
    until: '2026-03-05 12:00',
    center: center({ streams: 4 }),
    lines: { office: line(450) },
    clients: [servers, ...late].map((client) => ({ ...client, lines: ['office'] })),
  };
}

function without(yaml: Yaml, key: string): Yaml {
  return Object.fromEntries(Object.entries(yaml).filter(([name]) => name !== key));
}

function fiveTimes<T extends { readonly bytes: number; readonly announced: number }>(snapshot: T): T {
  return { ...snapshot, bytes: snapshot.bytes * 5, announced: snapshot.announced * 5 };
}

function dstNight(from: string, until: string): Yaml {
  const groups = [
    ['early', '21:00-01:30', 100],
    ['late', '00:30-03:30', 100],
    ['all', '20:00-06:00', 200],
  ] as const;
  return {
    zone: 'Europe/London',
    from,
    until,
    center: center({
      capacity: '400 Mbit/s',
      rate: '360 Mbit/s',
      foreground: '20 Mbit/s',
      'foreground-flow': '20 Mbit/s',
    }),
    clients: groups.map(([name, windows, count]) => ({
      name,
      count,
      windows,
      backup: '18:30',
      spread: '80 min',
      sizes: { median: '1300 MB', p95: '6500 MB', most: '20 GB' },
      target: '36 h',
      deadline: '06:00',
    })),
  };
}
