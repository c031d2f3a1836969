import type { Ledger } from '../../ledger/ledger.ts';
import { type KnownCost, SourceCost } from '../../restore/source-cost.ts';

/** What is known of each source, by its name. */
export type KnownCosts = Readonly<Record<string, KnownCost>>;

const PREFIX = 'source/';

/** Costs of the sources that a restore reads from: measured by it, and remembered for the next in facts of the ledger. */
export class SourceCosts {
  readonly #costs = new Map<string, SourceCost>();

  constructor(known: KnownCosts = {}) {
    for (const [name, cost] of Object.entries(known)) this.#costs.set(name, new SourceCost(cost));
  }

  /** @param first of a source that was never asked; nothing is known of it without */
  of(name: string, first: KnownCost | null = null): SourceCost {
    const cost = this.#costs.get(name) ?? new SourceCost(first);
    this.#costs.set(name, cost);
    return cost;
  }

  get known(): KnownCosts {
    const known = [...this.#costs].map(([name, cost]) => [name, cost.known] as const);
    return Object.fromEntries(known.filter((each): each is [string, KnownCost] => each[1] !== null));
  }
}

export async function loadCosts(ledger: Ledger): Promise<SourceCosts> {
  const rows = await ledger.db
    .selectFrom('facts')
    .selectAll()
    .where('name', '>=', PREFIX)
    .where('name', '<', `${PREFIX}\uffff`)
    .execute();
  const known = rows.map(({ name, value }) => [name.slice(PREFIX.length), JSON.parse(value) as KnownCost]);
  return new SourceCosts(Object.fromEntries(known) as KnownCosts);
}

export async function saveCosts(ledger: Ledger, known: KnownCosts): Promise<void> {
  for (const [name, cost] of Object.entries(known)) await ledger.setFact(PREFIX + name, JSON.stringify(cost));
}
