/**
 * What one planner alone does not show: S3, where regional relays collect from computers and the center from the relays, and
 * S11, where three centers with hours of their own each get a copy.
 *
 *   node bench/planner/tiers.ts [SEEDS]     (5)
 *
 * A tier is a night of its own: what a relay has collected is what it offers upwards, from that moment on. Contenders are
 * the same on both tiers.
 */
import type { ClientId, SnapshotId } from '../../src/model/ids.ts';
import { RandomStream } from '../../src/model/random-stream.ts';
import { parseWindows } from '../../src/schedule/windows.ts';
import type { Fleet, FleetClient } from '../../src/simulate/fleet.ts';
import { simulateNight, type NightResult } from '../../src/simulate/night.ts';
import { progressEvery } from '../../src/simulate/simulate.ts';
import { boundOf } from './bound.ts';
import { contenders, type Contender } from './contenders.ts';
import { loadSolver } from './highs.ts';
import { CENTER_HOURS, copiesFleet, regionFleet, REGIONS, trunkFleet } from './tier-fleets.ts';
import { bootstrap } from './statistics.ts';

const HOUR = 3_600_000;
const CHOSEN: readonly (readonly [name: string, value: number])[] = [
  ['B0', 0],
  ['B1', 0.5],
  ['B3', 50],
  ['B8', 50],
  ['P', 0],
];

function play(fleet: Fleet, contender: Contender, value: number, seed: number): NightResult {
  return simulateNight(fleet, contender.make(fleet, value, seed), {
    yields: false,
    random: new RandomStream(seed, 'failures'),
    progressMs: progressEvery(fleet.clients.length),
  });
}

/** Hours from 20:00 until all is collected; until the end if it is not. */
function hoursOf({ fates, fleet }: NightResult, opening: number): number {
  return (
    fates.reduce((last, { collectedAt }) => Math.max(last, collectedAt ?? fleet.until), opening) / HOUR -
    opening / HOUR
  );
}

/** Both tiers: until the relays have everything, and until the center has. */
function threeTiers(
  contender: Contender,
  value: number,
  seed: number,
): readonly [relays: number, center: number] {
  let opening = Infinity;
  let relays = 0;
  const uplinks = Array.from({ length: REGIONS }, (_, region): FleetClient => {
    const fleet = regionFleet(region, seed);
    opening = Math.min(opening, fleet.from + 2 * HOUR);
    const night = play(fleet, contender, value, seed);
    relays = Math.max(relays, hoursOf(night, fleet.from + 2 * HOUR));
    const arrived = night.fates.filter(({ collectedAt }) => collectedAt !== null);
    arrived.sort((a, b) => a.collectedAt! - b.collectedAt!);
    return {
      ...fleet.clients[0]!,
      id: `relay-${region}` as ClientId,
      name: `relay-${region}`,
      group: 'relays',
      line: region + 1,
      speed: 125_000_000,
      windows: parseWindows('any', 'UTC'),
      online: null,
      target: null,
      snapshots: arrived.map(({ snapshot, collectedAt }, at) => ({
        ...snapshot,
        id: `${region}/${snapshot.id}` as SnapshotId,
        sequence: at + 1,
        readyAt: collectedAt!,
        deadline: null,
      })),
    };
  });
  return [relays, hoursOf(play(trunkFleet(uplinks), contender, value, seed), opening)];
}

/** Every computer owes a copy to each of three centers: until all have one, two, three. */
function threeCenters(contender: Contender, value: number, seed: number): readonly number[] {
  const nights = CENTER_HOURS.map((hours) => play(copiesFleet(hours, seed), contender, value, seed));
  const opening = nights[0]!.fleet.from + 2 * HOUR;
  const byClient = nights[0]!.fates.map((_, at) =>
    nights
      .map(({ fates, fleet }) => ((fates[at]!.collectedAt ?? fleet.until) - opening) / HOUR)
      .sort((a, b) => a - b),
  );
  return [0, 1, 2].map((copy) => byClient.reduce((last, hours) => Math.max(last, hours[copy]!), 0));
}

const seeds = Array.from({ length: Number(process.argv[2] ?? 5) }, (_, at) => at + 1);
const text = (values: readonly number[]): string => {
  const { mean, low, high } = bootstrap(values);
  return `${mean.toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`;
};
console.log(
  '| | S3: relays have all, h | S3: center has all, h | S11: one copy, h | two copies, h | three copies, h |',
);
console.log('| --- | ---: | ---: | ---: | ---: | ---: |');
for (const [name, value] of CHOSEN) {
  const contender = contenders.find((each) => each.name === name)!;
  const tiers = seeds.map((seed) => threeTiers(contender, value, seed));
  const copies = seeds.map((seed) => threeCenters(contender, value, seed));
  const cells = [
    ...[0, 1].map((at) => text(tiers.map((each) => each[at]!))),
    ...[0, 1, 2].map((at) => text(copies.map((each) => each[at]!))),
  ];
  console.log(`| ${name} ${contender.title} | ${cells.join(' | ')} |`);
}
// No order is faster: transfers of any fineness, no overhead. Of S3's center, that it has nothing before its relays have.
const solver = await loadSolver();
const boundHours = (fleet: Fleet): number => {
  const { allCollectedAt } = boundOf(fleet, solver);
  return ((allCollectedAt ?? fleet.until) - fleet.from) / HOUR - 2;
};
const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);
const relays = seeds.map((seed) =>
  most(Array.from({ length: REGIONS }, (_, region) => boundHours(regionFleet(region, seed)))),
);
const thirdCopies = seeds.map((seed) =>
  most(CENTER_HOURS.map((hours) => boundHours(copiesFleet(hours, seed)))),
);
console.log(`| bound | ${text(relays)} | not before the relays | - | - | ${text(thirdCopies)} |`);
