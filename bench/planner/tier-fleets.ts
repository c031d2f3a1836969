import type { Fleet, FleetClient } from '../../src/simulate/fleet.ts';
import { center, line, make, threeKinds, type Yaml } from './scenarios.ts';

/** S3: regions of five branches each; their relays reach the center over lines of 100 to 300 Mbit/s. */
export const REGIONS = 12;
const BRANCHES = [20, 50, 50, 80, 100];
const ZONES = ['Europe/Lisbon', 'Europe/Berlin', 'Europe/Athens'];

export function regionFleet(region: number, seed: number): Fleet {
  const zone = ZONES[region % ZONES.length]!;
  const lines: Yaml = {};
  const clients: Yaml[] = [];
  for (const [at, mbit] of BRANCHES.entries()) {
    const name = `r${region}b${at}`;
    lines[name] = line(mbit);
    const median = mbit * 16;
    clients.push(
      ...threeKinds(
        name,
        [name],
        40,
        { median: `${median} MB`, p95: `${median * 4} MB`, most: `${median * 8} MB` },
        { zone },
      ),
    );
  }
  return make({ until: '2026-03-05 12:00', center: center(), lines, clients }, seed * 1000 + region);
}

/** The relays before the center: everything that they have collected waits there from then on. */
export function trunkFleet(relays: readonly FleetClient[]): Fleet {
  const lines = Object.fromEntries(
    relays.map(({ name }, at) => [`to-${name}`, line([100, 200, 300][at % 3]!)]),
  );
  const frame = make(
    {
      until: '2026-03-06 12:00',
      center: center({ windows: '20:00-08:00', capacity: '2 Gbit/s', rate: '1800 Mbit/s' }),
      lines,
      clients: [{ name: 'none', count: 1, sizes: '1 B' }],
    },
    1,
  );
  return { ...frame, clients: relays };
}

/** S11: one after another, so a computer never sends to two. */
export const CENTER_HOURS = ['20:00-23:20', '23:20-02:40', '02:40-06:00'] as const;

export function copiesFleet(hours: string, seed: number): Fleet {
  return make(
    {
      until: '2026-03-06 12:00',
      center: center({ windows: hours }),
      lines: Object.fromEntries([1, 2, 3, 4].map((at) => [`site${at}`, line(100)])),
      clients: [
        {
          name: 'pc',
          count: 200,
          lines: ['site1', 'site2', 'site3', 'site4'],
          sizes: { median: '1200 MB', p95: '5 GB', most: '20 GB' },
          backup: '18:30',
          spread: '80 min',
          target: '36 h',
        },
      ],
    },
    seed,
  );
}
