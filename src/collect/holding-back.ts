import { noteChange } from '../ledger/audit.ts';
import { type Held, heldOf, setHeld } from '../ledger/holds.ts';
import type { ClientRow } from '../ledger/tables.ts';
import type { ClientId } from '../model/ids.ts';
import type { PlannerEvent } from '../schedule/plan.ts';
import type { Collector } from './collector.ts';

const nameOf = (client: ClientId): string => `client ${client}`;

/** As the planner wants it: what is being sent stops, and goes on when the hold is over. */
export function heldBack(client: ClientId, { until }: Held): PlannerEvent {
  const hold = { name: nameOf(client), code: 'held-back', line: null, client, stops: true, until } as const;
  return { kind: 'hold', hold };
}

/**
 * The operator holds a client back, or (null) releases it: it is in the ledger and in the audit before the planner is told,
 * and counts at once.
 */
export async function holdBack(
  { parts: { ledger, world }, planning }: Pick<Collector, 'parts' | 'planning'>,
  row: ClientRow,
  held: Held | null,
): Promise<void> {
  const now = world.clock.now();
  const change = {
    key: `hold ${row.name}`,
    before: heldText(heldOf(row, now)),
    after: heldText(held),
  };
  await ledger.transaction(async (db) => {
    await setHeld(db, row.id, held);
    await noteChange(db, change, now);
  });
  world.monitor.event({ kind: 'changed', ...change });
  planning.tell(held === null ? { kind: 'release', name: nameOf(row.id) } : heldBack(row.id, held));
}

/** For the audit. */
function heldText(held: Held | null): string | null {
  if (held === null) return null;
  const { until, why } = held;
  const end =
    until === null ? 'until released' : `until ${Temporal.Instant.fromEpochMilliseconds(until).toString()}`;
  return why === '' ? end : `${end}: ${why}`;
}
