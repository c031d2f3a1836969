import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RandomStream } from '../model/random-stream.ts';
import { HOUR_MS, SECOND_MS } from '../model/time.ts';
import { conditionsWith, type Grant } from '../schedule/plan.ts';
import { parseRate } from '../schedule/rate-text.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { Controller } from './controller.ts';
import type { Fleet } from './fleet.ts';
import { measure } from './metrics.ts';
import type { Line } from './network.ts';
import { simulateNight } from './night.ts';
import { simulate as simulateFleet, type Simulation } from './simulate.ts';
import { constant } from './steps.ts';
import { clientFor, EVENING, fleetFor, lineFor, MEGABYTE } from './test-fleet.ts';

/** Starts everything as soon as it is offered, and never anything again. */
const everybodyAtOnce = (): Controller => ({
  tell(event) {
    const grants: Grant[] =
      event.kind === 'offered'
        ? [{ kind: 'start', snapshot: event.offer.snapshot, client: event.offer.client, until: null }]
        : [];
    return { grants, rates: [], nextChange: null };
  },
});
const random = new RandomStream(1);
const nightOf = (fleet: Fleet, yields = false) =>
  simulateNight(fleet, everybodyAtOnce(), { yields, random, progressMs: HOUR_MS });
function simulate(fleet: Fleet, seed: string, yields: boolean): Simulation {
  const steps = simulateFleet(fleet, seed, yields);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
const bytesOn = ({ usage }: Line): number => usage.bytes.reduce((a, b) => a + b, 0);
/** Moments are whole milliseconds, so the last of each transfer counts fully. */
const near = (value: number, expected: number): void =>
  assert.ok(Math.abs(value - expected) < expected / 10_000, `${value}, not ${expected}`);

describe('a simulated night', () => {
  it('takes as long as bytes over the narrowest line, an order and a receipt', () => {
    const [fate] = nightOf(fleetFor([clientFor('ann', 1000)])).fates;
    near(fate!.collectedAt! - EVENING, 1000 + 100 * SECOND_MS + 300);
  });

  it('shares a line among those who send, and gives what one leaves to the others', () => {
    const fleet = fleetFor([
      clientFor('ann', 100),
      clientFor('ben', 300),
      clientFor('cleo', 300, { speed: MEGABYTE }),
    ]);
    const ends = nightOf(fleet).fates.map(({ collectedAt }) => (collectedAt! - EVENING - 1300) / 1000);
    // 4.5 MB/s each for ann and ben, 1 for cleo; then 9 and 1; then cleo alone.
    const first = 100 / 4.5;
    const expected = [first, first + (300 - 100) / 9, 300];
    for (const [at, end] of ends.entries()) assert.ok(Math.abs(end - expected[at]!) < 0.01, `${end}`);
  });

  it('counts on every line what flowed over it, and no byte twice', () => {
    const lines = [lineFor('center', null, 10), lineFor('north', 0, 2), lineFor('south', 0, 50)];
    const fleet = fleetFor([clientFor('ann', 100, { line: 1 }), clientFor('ben', 700, { line: 2 })], {
      lines,
    });
    const { network } = nightOf(fleet);
    const sums = network.lines.map(bytesOn);
    for (const [at, expected] of [800, 100, 700].entries()) near(sums[at]!, expected * MEGABYTE);
    for (const [at, { usage }] of network.lines.entries()) {
      assert.ok(usage.bytes.every((bytes) => bytes <= [10, 2, 50][at]! * MEGABYTE * 10 * 1.001));
    }
  });

  it('stops at once who goes offline, keeps what arrived, and goes on when he is back', () => {
    const online = [
      { start: EVENING, end: EVENING + 51 * SECOND_MS },
      { start: EVENING + HOUR_MS, end: EVENING + 2 * HOUR_MS },
    ];
    const { night } = simulate(fleetFor([clientFor('ann', 1000, { online })]), '1', false);
    const [first, second] = night.stretches;
    assert.equal(first!.end, online[0]!.end);
    assert.ok(second!.start > online[1]!.start);
    assert.equal(night.fates[0]!.left, 0);
    near(bytesOn(night.network.lines[0]!), 1000 * MEGABYTE);
  });

  it('lets a few broken transfers and silent computers cost time and nothing else', () => {
    const clients = [
      ...Array.from({ length: 20 }, (_, at) => clientFor(`pc-${at}`, 500, { breaksPerHour: 20 })),
      clientFor('mute', 100, { mute: true }),
    ];
    const { night, metrics } = simulate(fleetFor(clients), '7', false);
    assert.ok(metrics.broken > 5 && metrics.vainOrders > 0);
    assert.equal(metrics.collected, 20);
    near(bytesOn(night.network.lines[0]!), 20 * 500 * MEGABYTE + metrics.bytesResent);
  });

  it('is the same night again from the same seed', () => {
    const run = (): unknown => {
      const clients = Array.from({ length: 30 }, (_, at) =>
        clientFor(`pc-${at}`, 100 + at, { breaksPerHour: 3 }),
      );
      const { metrics, night } = simulate(fleetFor(clients), 'seed', false);
      return [metrics, night.stretches.map(({ start, end }) => [start, end])];
    };
    assert.deepEqual(run(), run());
  });

  it('sends nothing outside of the windows but what a stop takes', () => {
    const conditions = conditionsWith(parseWindows('21:00-22:00', 'UTC'), 3);
    const clients = Array.from({ length: 10 }, (_, at) => clientFor(`pc-${at}`, 9000));
    const { night, metrics } = simulate(fleetFor(clients, { conditions }), '1', false);
    assert.equal(metrics.opening, EVENING + HOUR_MS);
    for (const { start, end } of night.stretches) {
      assert.ok(start >= EVENING + HOUR_MS && end <= EVENING + 2 * HOUR_MS + 2 * SECOND_MS);
    }
    assert.ok(metrics.collected < 10);
  });

  it("slows people's transfers when all send at once, and not when collection yields", () => {
    const lines = [
      lineFor('center', null, 10, { foreground: constant(2 * MEGABYTE), foregroundFlow: 2 * MEGABYTE }),
    ];
    const clients = Array.from({ length: 40 }, (_, at) => clientFor(`pc-${at}`, 100));
    assert.ok(measure(nightOf(fleetFor(clients, { lines }))).slowdownP99! > 5);
    assert.equal(measure(nightOf(fleetFor(clients, { lines }), true)).slowdownP99, 1);
  });

  it('collects from laptops before they leave, and from those that stay afterwards (S67)', () => {
    const lines = [lineFor('center', null, 10, { cap: constant(10 * MEGABYTE) })];
    const conditions = conditionsWith(parseWindows('any', 'UTC'), 50, { rate: parseRate('10 MB/s', 'UTC') });
    const windows = parseWindows('20:00-06:00', 'UTC');
    const online = [{ start: EVENING, end: EVENING + 2 * HOUR_MS }];
    const clients = Array.from({ length: 20 }, (_, at) =>
      at < 10
        ? clientFor(`desktop-${at}`, 3000 + at, { windows })
        : clientFor(`laptop-${at}`, 3000 + at, { online, session: 2 * HOUR_MS }),
    );
    const { night, metrics } = simulate(fleetFor(clients, { lines, conditions }), '1', false);
    assert.equal(metrics.collected, 20);
    const order = night.fates.toSorted((a, b) => a.collectedAt! - b.collectedAt!);
    assert.ok(order.slice(0, 10).every(({ client }) => client.spec.online !== null));
  });

  it('leaves the time of restores to them', () => {
    const restores = [{ line: 0, start: EVENING, end: EVENING + 100 * SECOND_MS, rate: 8 * MEGABYTE }];
    const [fate] = nightOf(fleetFor([clientFor('ann', 1000)], { restores })).fates;
    // 99 s at 2 MB/s, then 10.
    const seconds = 100 + (1000 - 2 * 99) / 10;
    assert.ok(Math.abs(fate!.collectedAt! - EVENING - seconds * SECOND_MS - 300) < 10);
  });
});
