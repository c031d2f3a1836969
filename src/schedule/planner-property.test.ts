import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import { HOUR_MS, SECOND_MS } from '../model/time.ts';
import {
  conditionsWith,
  type CenterConditions,
  type Grant,
  type Hold,
  type PlannedOffer,
  type PlannerEvent,
} from './plan.ts';
import { newPlanner, step, type PlannerStep } from './planner.ts';
import type { RatePlan } from './rate-plan.ts';
import { parseRate } from './rate-text.ts';
import { SlowPlanner } from './test-planner.ts';
import { isOpen, parseWindows } from './windows.ts';

/** Two nights around the one on which London's clocks go back. */
const START = Temporal.Instant.from('2026-10-24T22:30Z').epochMilliseconds;
const ZONE = 'Europe/London';
const CLIENT_WINDOWS = [
  'any',
  'any',
  '00:00-03:00',
  '01:30-02:30',
  '22:00-24:00, 02:00-06:00',
  '12:00-12:30',
  'never',
];
const CENTER_WINDOWS = [
  'any',
  '22:00-06:00',
  '22:00-08:00',
  '22:00-08:00 except 01:00-01:30',
  '20:00-21:00',
  '01:15-04:00',
];

const RATES = ['unlimited', '300 B/s', '1 kB/s', '200 B/s 23:00-01:30, 5 kB/s', '20 B/s 02:00-03:00'];
const LINES = [null, 'alpha', 'beta'];

interface Action {
  readonly kind: PlannerEvent['kind'] | 'wait' | 'go back';
  readonly client: number;
  readonly snapshot: number;
  readonly windows: number;
  readonly streams: number;
  readonly line: number;
  readonly rate: number;
  readonly outcome: 'committed' | 'paused' | 'failed';
  readonly wait: number;
}

const kinds = fc.oneof(
  { weight: 16, arbitrary: fc.constantFrom<Action['kind']>('offered', 'offered', 'ended', 'wait') },
  { weight: 8, arbitrary: fc.constantFrom<Action['kind']>('online', 'online', 'started', 'progress') },
  { weight: 2, arbitrary: fc.constantFrom<Action['kind']>('withdrawn', 'offline', 'conditions', 'go back') },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Action['kind']>('misbehaved', 'hold', 'release', 'restores', 'learnt'),
  },
);

const action: fc.Arbitrary<Action> = fc.record({
  kind: kinds,
  client: fc.nat(3),
  snapshot: fc.nat(11),
  windows: fc.nat(55),
  streams: fc.nat(3),
  line: fc.nat(2),
  rate: fc.nat(RATES.length ** 3 - 1),
  outcome: fc.constantFrom('committed', 'paused', 'failed'),
  wait: fc.oneof(fc.nat(60 * SECOND_MS), fc.nat(HOUR_MS), fc.constant(6 * HOUR_MS)),
});

const read = (texts: readonly string[], which: number) => parseWindows(texts[which % texts.length]!, ZONE);
const rateOf = (which: number): RatePlan => parseRate(RATES[which % RATES.length]!, ZONE);
const conditionsOf = ({ windows, streams, rate, client }: Action): CenterConditions =>
  conditionsWith(read(CENTER_WINDOWS, windows), streams, {
    rate: rateOf(rate),
    lines: new Map([['alpha', rateOf(Math.floor(rate / RATES.length))]]),
    clientRates: new Map([[clientId(client), rateOf(Math.floor(rate / RATES.length ** 2))]]),
    restoreShare: [0, 0.3, 0.5, 0.9][client]!,
  });
const PLAIN = { line: null, deadline: null, target: null, lastCollected: null };
const clientId = (n: number): ClientId => `client-${n}` as ClientId;

/** Snapshot n is always of the same client, job and place in it. Some have a deadline, near or far, some a target. */
function offerOf({ snapshot: n, windows, line, wait, rate }: Action, now: number): PlannedOffer {
  const wish = rate % 4;
  return {
    snapshot: `snapshot-${String(n).padStart(2, '0')}` as SnapshotId,
    client: clientId(n % 4),
    line: LINES[n % 4 === 3 ? line : n % 3]!,
    job: n % 8 < 4 ? 'docs' : 'mail',
    sequence: Math.floor(n / 8),
    bytes: 1000 * (1 + rate) ** 2,
    windows: read(CLIENT_WINDOWS, windows),
    offeredAt: now,
    deadline: wish === 1 ? now + 4 * wait : null,
    target: wish === 2 ? 2 * HOUR_MS * (1 + line) : null,
    lastCollected: line === 0 ? now - 3 * HOUR_MS : null,
  };
}

function eventOf(action: Action, slow: SlowPlanner, now: number): PlannerEvent {
  const { kind } = action;
  const offer = offerOf(action, now);
  const { snapshot } = offer;
  const client = clientId(action.client);
  // Most that is told about transfers is about ones that exist.
  const running = [...slow.runs.keys()];
  const transfer = running[action.snapshot % (running.length + 1)] ?? snapshot;
  const bytes = (slow.offers.get(transfer)?.offer.bytes ?? 0) * (action.windows / 56);
  const line = LINES[action.line]!;
  if (kind === 'offered') return { kind, offer };
  if (kind === 'withdrawn') return { kind, snapshot };
  if (kind === 'online') return action.rate % 5 > 0 ? { kind, client } : { kind, client, line };
  if (kind === 'offline' || kind === 'misbehaved') return { kind, client };
  if (kind === 'started') return { kind, snapshot: transfer };
  if (kind === 'progress') return { kind, snapshot: transfer, bytes: Math.floor(bytes) };
  if (kind === 'ended') return { kind, snapshot: transfer, outcome: action.outcome };
  if (kind === 'conditions') return { kind, conditions: conditionsOf(action) };
  if (kind === 'hold') return { kind, hold: holdOf(action, now) };
  if (kind === 'learnt') {
    return { kind, client, line, bytesPerSecond: 10 * (1 + action.rate), session: 2 * action.wait };
  }
  if (kind === 'release') return { kind, name: `hold-${action.client}` };
  if (kind === 'restores') return { kind, line, count: action.streams };
  return { kind: 'tick' };
}

/** Some of everything or a line, some of one client. */
const holdOf = ({ client, line, streams, wait, rate }: Action, now: number): Hold => ({
  name: `hold-${client}`,
  ...(rate % 3 === 0
    ? { client: clientId(streams % 4), code: 'held-back' }
    : { code: streams < 2 ? 'load' : 'free-space' }),
  line: LINES[line]!,
  stops: streams % 2 === 1,
  until: now + wait,
});

function assertSafe(slow: SlowPlanner, result: PlannerStep, now: number): void {
  const { windows, streams } = slow.conditions;
  const going = [...slow.runs.values()].filter(({ phase }) => phase !== 'stopping');
  assert.ok(going.length <= Math.min(streams, slow.streams), 'more going than streams');
  assert.equal(new Set([...slow.runs.values()].map(({ offer }) => offer.client)).size, slow.runs.size);
  for (const { offer } of going) {
    const known = slow.offers.get(offer.snapshot)!.offer;
    assert.ok(isOpen(known.windows, now) && isOpen(windows, now), 'outside a window');
  }
  for (const hold of slow.holds.values()) assert.ok((hold.until ?? Infinity) > now);
  assert.ok(result.nextChange === null || result.nextChange > now, 'the next change is past');
}

/** S59: what a step says of rates, with what steps before it said, is never more than a line or the center has. */
function assertRates(slow: SlowPlanner, result: PlannerStep, rates: Map<SnapshotId, number>): void {
  for (const { kind, snapshot } of result.grants) if (kind === 'start') rates.set(snapshot, Infinity);
  for (const { snapshot, bytesPerSecond } of result.rates) rates.set(snapshot, bytesPerSecond ?? Infinity);
  const runs = [...slow.runs.values()];
  const sumOf = (some: typeof runs): number =>
    some.reduce((sum, { offer }) => sum + rates.get(offer.snapshot)!, 0);
  for (const [line, going] of Map.groupBy(runs, (run) => slow.lineOf(run))) {
    const restored = (slow.restores.get(line) ?? 0) > 0;
    assert.ok(sumOf(going) <= slow.lineCap(line) * slow.share(restored), `more than the line ${line} has`);
  }
  const whole = slow.rate(slow.conditions.rate) * slow.share(slow.restoring());
  assert.ok(sumOf(runs) <= whole, 'more than the center has');
}

function assertReasons(slow: SlowPlanner, { reasons }: PlannerStep, now: number): void {
  assert.equal(reasons.size, slow.offers.size);
  const all = [...reasons];
  assert.deepEqual(new Set(all.map(({ snapshot }) => snapshot)), new Set(slow.offers.keys()));
  assert.equal(all.length, slow.offers.size);
  for (const reason of all) {
    assert.deepEqual(reasons.get(reason.snapshot), reason);
    assert.equal(reason.code, slow.reasonCode(reason.snapshot), reason.snapshot);
    assert.ok(reason.until === null || reason.until > now);
    assert.ok(reason.text.length > 0);
  }
}

const stopsOf = (grants: readonly Grant[]): Grant[] =>
  grants.filter(({ kind }) => kind === 'stop').sort((a, b) => (a.snapshot < b.snapshot ? -1 : 1));
const startsOf = (grants: readonly Grant[]): Grant[] => grants.filter(({ kind }) => kind === 'start');

test('S40-S66: any sequence of events gives what looking at everything anew gives, inside streams and windows', () => {
  let [starts, stops] = [0, 0];
  fc.assert(
    fc.property(action, fc.array(action, { minLength: 40, maxLength: 70 }), (first, actions) => {
      let now = START;
      const slow = new SlowPlanner(conditionsOf({ ...first, streams: 1 + (first.streams % 3) }));
      let state = newPlanner(slow.conditions, now);
      let nextChange: number | null = null;
      const rates = new Map<SnapshotId, number>();
      const online = [0, 1, 2, 3].map((client): Action => ({ ...first, kind: 'online', client }));
      for (const action of [...online, ...actions]) {
        if (action.kind === 'wait') now = Math.min(now + action.wait, nextChange ?? Infinity);
        if (action.kind === 'go back') now -= Math.floor(action.wait / 20);
        const event = eventOf(action, slow, now);
        const result = step(state, event, now);
        const expected = slow.step(event, now, result.state.learnt);
        ({ state, nextChange } = result);
        assert.deepEqual(startsOf(result.grants), startsOf(expected));
        assert.deepEqual(stopsOf(result.grants), stopsOf(expected));
        assert.deepEqual(result.grants, [
          ...result.grants.filter(({ kind }) => kind === 'stop'),
          ...startsOf(result.grants),
        ]);
        starts += startsOf(expected).length;
        stops += stopsOf(expected).length;
        assertSafe(slow, result, now);
        assertRates(slow, result, rates);
        assertReasons(slow, result, now);
      }
    }),
    { numRuns: 100 },
  );

  assert.ok(starts > 150 && stops > 50, `hardly anything happened: ${starts} starts, ${stops} stops`);
});

test('S41: ten thousand offers of a thousand clients are all collected, and nothing is left in the state', () => {
  const now = START;
  let state = newPlanner(conditionsWith(parseWindows('any', ZONE), 7), now);
  const running: SnapshotId[] = [];
  let collected = 0;
  const tell = (event: PlannerEvent): void => {
    const result = step(state, event, now);
    state = result.state;
    for (const grant of result.grants) running.push(grant.snapshot);
  };
  for (let n = 0; n < 10_000; n++) {
    const client = clientId(n % 1000);
    const snapshot = `snapshot-${n}` as SnapshotId;
    const windows = parseWindows('any', ZONE);
    const offer = {
      snapshot,
      client,
      job: 'docs',
      sequence: 10_000 - n,
      bytes: 1,
      windows,
      offeredAt: now,
      ...PLAIN,
    };
    tell({ kind: 'offered', offer });
  }
  for (let n = 0; n < 1000; n++) tell({ kind: 'online', client: clientId(n) });
  for (let snapshot = running.shift(); snapshot !== undefined; snapshot = running.shift()) {
    assert.ok(running.length < 7);
    tell({ kind: 'ended', snapshot, outcome: 'committed' });
    collected++;
  }
  assert.equal(collected, 10_000);
  for (let n = 0; n < 1000; n++) tell({ kind: 'offline', client: clientId(n) });
  assert.deepEqual(
    [state.offers.size, state.clients.size, state.runs.size, state.tracks.all.size],
    [0, 0, 0, 0],
  );
  assert.deepEqual([state.waiting.size, state.lines.size, state.retries.items.length], [0, 0, 0]);
});
