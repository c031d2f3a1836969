import { RandomStream } from '../../src/model/random-stream.ts';
import { HOUR_MS, type UnixMillis } from '../../src/model/time.ts';
import { conditionsWith, type Grant, type PlannerEvent } from '../../src/schedule/plan.ts';
import { newPlanner, step } from '../../src/schedule/planner.ts';
import { parseWindows } from '../../src/schedule/windows.ts';
import { plannerController, type Controller, type Decision } from '../../src/simulate/controller.ts';
import type { Fleet } from '../../src/simulate/fleet.ts';
import { valueAt } from '../../src/simulate/steps.ts';
import { Baseline, type Rules, type Waiting } from './baseline.ts';

/** One way to decide who sends when, with the values it is tuned over. */
export interface Contender {
  readonly name: string;
  readonly title: string;
  /** Which family the targets name: `jitter` and `fifo` are what the planner is held against. */
  readonly family: 'planner' | 'jitter' | 'fifo' | 'other' | 'ablation';
  readonly tuned: readonly number[];
  readonly make: (fleet: Fleet, value: number, seed: number) => Controller;
  /** Backups are taken while they are sent: nobody knows their size before, and what was stopped begins anew. */
  readonly spoolless?: true;
}

const SLOTS = [10, 50, 150, 400];
const fifo = (): number => 0;
const hashOf = (text: string): number => new RandomStream(text).fraction();

const capOf = (fleet: Fleet, { offer }: Waiting, at: UnixMillis): number => {
  const line = fleet.lines.find(({ name }) => name === offer.line) ?? fleet.lines[0]!;
  return Math.min(valueAt(line.cap, at), valueAt(line.capacity, at));
};
const speedOf = (fleet: Fleet): Map<string, number> =>
  new Map(fleet.clients.map(({ id, speed }) => [id, speed]));
const deadlineOf = ({ offer, track }: Waiting): number =>
  Math.min(
    offer.deadline ?? Infinity,
    offer.target === null ? Infinity : (offer.lastCollected ?? offer.offeredAt) + offer.target,
    track.current?.end ?? Infinity,
  );
/** How long it would take alone. */
const timeOf = (
  fleet: Fleet,
  speeds: ReadonlyMap<string, number>,
  waiting: Waiting,
  now: UnixMillis,
): number => (waiting.left / Math.min(capOf(fleet, waiting, now), speeds.get(waiting.offer.client)!)) * 1000;

const spread =
  (share: number, draw: (waiting: Waiting) => number): NonNullable<Rules['notBefore']> =>
  (waiting, span, now) => {
    const offset = draw(waiting) * share * (span.end - span.start);
    return Math.max(now, span.start + offset);
  };
const slotted =
  (rules: (fleet: Fleet) => Omit<Rules, 'slots'>): Contender['make'] =>
  (fleet, slots) =>
    new Baseline(fleet, { slots, ...rules(fleet) });

const baselines: readonly Contender[] = [
  {
    name: 'B0',
    title: 'all at the opening',
    family: 'other',
    tuned: [0],
    make: (fleet) => new Baseline(fleet, { slots: Infinity, key: fifo }),
  },
  {
    name: 'B1',
    title: 'jitter over a part of the window',
    family: 'jitter',
    tuned: [0.25, 0.5, 1],
    make(fleet, share, seed) {
      const random = new RandomStream(seed, 'jitter');
      return new Baseline(fleet, {
        slots: Infinity,
        key: fifo,
        notBefore: spread(share, () => random.fraction()),
      });
    },
  },
  {
    name: 'B2',
    title: 'fixed offset by hash',
    family: 'jitter',
    tuned: [0.5, 1],
    make: (fleet, share) =>
      new Baseline(fleet, {
        slots: Infinity,
        key: fifo,
        notBefore: spread(share, ({ offer }) => hashOf(offer.client)),
      }),
  },
  {
    name: 'B3',
    title: 'FIFO with slots',
    family: 'fifo',
    tuned: [4, ...SLOTS],
    make: slotted(() => ({ key: fifo })),
  },
  {
    name: 'B4',
    title: 'Amanda: bandwidth gate, largest first',
    family: 'other',
    tuned: [1, 2, 4],
    make(fleet, over) {
      const speeds = speedOf(fleet);
      return new Baseline(fleet, {
        slots: Infinity,
        key: (waiting, now) => -timeOf(fleet, speeds, waiting, now),
        fits(next, running) {
          let sum = 0;
          for (const each of running) {
            if (each.offer.line === next.offer.line) sum += speeds.get(each.offer.client)!;
          }
          return sum < capOf(fleet, next, fleet.from) * over;
        },
      });
    },
  },
  {
    name: 'B5',
    title: 'shortest first',
    family: 'other',
    tuned: SLOTS,
    make: slotted(() => ({ key: ({ left }) => left })),
  },
  {
    name: 'B6',
    title: 'longest first',
    family: 'other',
    tuned: SLOTS,
    make: slotted((fleet) => {
      const speeds = speedOf(fleet);
      return { key: (waiting, now) => -timeOf(fleet, speeds, waiting, now) };
    }),
  },
  {
    name: 'B7',
    title: 'earliest deadline',
    family: 'other',
    tuned: SLOTS,
    make: slotted(() => ({ key: deadlineOf })),
  },
  {
    name: 'B7p',
    title: 'earliest deadline, pre-emptive',
    family: 'other',
    tuned: [50],
    make: slotted(() => ({ key: deadlineOf, preempts: true })),
  },
  {
    name: 'B8',
    title: 'least laxity',
    family: 'other',
    tuned: SLOTS,
    make: slotted((fleet) => {
      const speeds = speedOf(fleet);
      return { key: (waiting, now) => deadlineOf(waiting) - timeOf(fleet, speeds, waiting, now) };
    }),
  },
  {
    name: 'B9',
    title: 'chance by hour and age',
    family: 'other',
    tuned: [0.25, 0.5, 1, 2],
    make(fleet, eagerness, seed) {
      const random = new RandomStream(seed, 'chance');
      // Every quarter of an hour it starts with a chance that grows with the age: the wait until then is drawn at once.
      return new Baseline(fleet, {
        slots: Infinity,
        key: fifo,
        notBefore({ offer }, _, now) {
          const age = (now - (offer.lastCollected ?? offer.offeredAt)) / (offer.target ?? 36 * HOUR_MS);
          const chance = Math.min(1, 0.25 * eagerness * Math.max(0.2, age));
          const turns = chance === 1 ? 0 : Math.floor(Math.log(1 - random.fraction()) / Math.log(1 - chance));
          return now + (turns + random.fraction()) * 0.25 * HOUR_MS;
        },
      });
    },
  },
  {
    name: 'B10',
    title: 'uncoordinated token buckets',
    family: 'other',
    tuned: [2, 8, 20, 50],
    make(fleet, sharers) {
      return new Baseline(fleet, {
        slots: Infinity,
        key: fifo,
        rate: (waiting) => capOf(fleet, waiting, fleet.from) / sharers,
      });
    },
  },
  {
    name: 'B11',
    title: 'no spool: sent while the backup is taken',
    family: 'other',
    tuned: [0],
    make: (fleet) => new Baseline(fleet, { slots: Infinity, key: fifo, ignoresClientWindows: true }),
  },
];

const planner = (fleet: Fleet): Controller => plannerController(fleet.conditions, fleet.from);
/** The planner that is told something else than what is so. */
const changed =
  (
    event: (event: PlannerEvent) => PlannerEvent,
    conditions: (fleet: Fleet) => Fleet['conditions'] = (fleet) => fleet.conditions,
  ): Contender['make'] =>
  (fleet) => {
    const inner = plannerController(conditions(fleet), fleet.from);
    return { tell: (told, now) => inner.tell(event(told), now) };
  };

/** The planner, whose word that somebody has to give way is taken back before it is heard. */
const unpreempted: Contender['make'] = ({ conditions, from }) => {
  const state = newPlanner(conditions, from);
  return {
    tell(event, now) {
      const { grants, rates, nextChange } = step(state, event, now);
      const gives = (grant: Grant): boolean => grant.kind === 'stop' && grant.code === 'more-urgent';
      for (const { snapshot } of grants.filter(gives)) {
        const run = state.runs.get(snapshot)!;
        run.phase = run.begun ? 'running' : 'ordered';
      }
      return { grants: grants.filter((grant) => !gives(grant)), rates, nextChange };
    },
  };
};

const ANY = parseWindows('any', 'UTC');
const ablations: readonly Contender[] = [
  {
    name: 'P-line',
    title: 'planner without lines',
    family: 'ablation',
    tuned: [0],
    make: changed(
      (event) => (event.kind === 'offered' ? { ...event, offer: { ...event.offer, line: null } } : event),
      ({ conditions }) => conditionsWith(conditions.windows, conditions.streams),
    ),
  },
  {
    name: 'P-laxity',
    title: 'planner that does not know when windows end',
    family: 'ablation',
    tuned: [0],
    make: (fleet) => new Windowless(fleet),
  },
  {
    name: 'P-preempt',
    title: 'planner without pre-emption',
    family: 'ablation',
    tuned: [0],
    make: unpreempted,
  },
  {
    name: 'P-spool',
    title: 'planner without a spool, sizes guessed',
    family: 'ablation',
    tuned: [0],
    // To take a turn back would cost all that was sent.
    make: unpreempted,
    spoolless: true,
  },
  {
    name: 'P-age',
    title: 'planner without targets and deadlines',
    family: 'ablation',
    tuned: [0],
    make: changed((event) =>
      event.kind === 'offered'
        ? { ...event, offer: { ...event.offer, target: null, deadline: null, lastCollected: null } }
        : event,
    ),
  },
];

export const contenders: readonly Contender[] = [
  ...baselines,
  { name: 'P', title: 'the planner', family: 'planner', tuned: [0], make: planner },
  ...ablations,
];

/** Offers a snapshot to the planner, with no windows of its own, when its windows open, and withdraws it when they close. */
class Windowless implements Controller {
  readonly #inner: Controller;
  readonly #gate: Baseline;
  readonly #offers = new Map<string, PlannerEvent & { readonly kind: 'offered' }>();

  constructor(fleet: Fleet) {
    this.#inner = plannerController({ ...fleet.conditions, windows: ANY }, fleet.from);
    // A baseline without slots starts and stops exactly when windows open and close: its grants are the gate.
    this.#gate = new Baseline(fleet, { slots: Infinity, key: fifo });
  }

  tell(event: PlannerEvent, now: UnixMillis): Decision {
    const grants: Decision['grants'][number][] = [];
    const rates: Decision['rates'][number][] = [];
    let nextChange: UnixMillis | null = null;
    const pass = (told: PlannerEvent): void => {
      const decision = this.#inner.tell(told, now);
      grants.push(...decision.grants);
      rates.push(...decision.rates);
      nextChange = decision.nextChange;
    };
    if (event.kind === 'offered') this.#offers.set(event.offer.snapshot, event);
    const gate = this.#gate.tell(
      event.kind === 'ended' && event.outcome !== 'committed' ? { kind: 'tick' } : event,
      now,
    );
    if (event.kind !== 'offered') pass(event);
    else pass({ kind: 'tick' });
    for (const { kind, snapshot } of gate.grants) {
      const offered = this.#offers.get(snapshot)!;
      if (kind === 'start') pass({ ...offered, offer: { ...offered.offer, windows: ANY } });
      else {
        pass({ kind: 'withdrawn', snapshot });
        this.#gate.tell({ kind: 'ended', snapshot, outcome: 'paused' }, now);
      }
    }
    const changes = [nextChange, gate.nextChange].filter((at) => at !== null);
    return { grants, rates, nextChange: changes.length === 0 ? null : Math.min(...changes) };
  }
}
