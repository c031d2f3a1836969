import { findClient } from '../ledger/clients.ts';
import type { ClientId } from '../model/ids.ts';
import { HOUR_MS } from '../model/time.ts';
import { type CenterConditions, conditionsWith, type PlannedOffer } from '../schedule/plan.ts';
import type { RatePlan } from '../schedule/rate-plan.ts';
import { parseRate } from '../schedule/rate-text.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { ClientPlace, CollectorParts, Conditions } from './parts.ts';
import type { QueuedOffer } from './past.ts';

/**
 * As the planner wants them.
 * @param places of the machines that may have a rate of their own
 * @throws LowtideError `bad-schedule`, `bad-zone`
 */
export function plannerConditions(
  { windows, zone, streams, rates }: Conditions,
  places: Iterable<ClientPlace> = [],
): CenterConditions {
  const open = parseWindows(windows, zone);
  if (rates === undefined) return conditionsWith(open, streams);
  const plans = new Map(rates.individual.map(({ rate }) => [rate, parseRate(rate, zone)]));
  const own = [...places].flatMap((place): [ClientId, RatePlan][] => {
    const plan = plans.get(rates.rateOf(place) ?? '');
    return plan === undefined ? [] : [[place.client, plan]];
  });
  return conditionsWith(open, streams, {
    rate: parseRate(rates.total, zone),
    clientRate: parseRate(rates.perClient, zone),
    clientRates: new Map(own),
    restoreShare: rates.restoreShare,
    lines: new Map(rates.lines.map(({ name, rate }) => [name, parseRate(rate, zone)])),
  });
}

/** A wish for less would be late whatever is done. */
const SHORTEST_TARGET_MS = HOUR_MS;

/** How old the newest copy of a job may get (S69): the operator's word on this computer, its owner's wish, the operator's on all. */
export function targetOf({ targets }: Conditions, owner: ClientPlace, wished: number | null): number | null {
  const wish = wished === null ? null : Math.max(wished, SHORTEST_TARGET_MS);
  return targets?.of(owner) ?? wish ?? targets?.usual ?? null;
}

/** An offer as the planner wants it. @throws LowtideError `bad-schedule`, `bad-zone` */
export function plannedOffer(offer: QueuedOffer, line: string | null, conditions: Conditions): PlannedOffer {
  const { snapshot, client, wishes, received, offeredAt, lastCollected, job, sequence } = offer;
  return {
    snapshot,
    client,
    line,
    job,
    sequence,
    bytes: Math.max(0, wishes.bytes - received),
    windows: parseWindows(wishes.transfer, wishes.zone),
    offeredAt,
    deadline: null,
    target: targetOf(conditions, offer.owner, wishes.target ?? null),
    lastCollected,
  };
}

/** What is known of a machine that comes from `address`, or from where it was last. */
export async function placeOf(
  { ledger }: CollectorParts,
  client: ClientId,
  address: string | null,
): Promise<ClientPlace> {
  const row = await findClient(ledger.db, client);
  return { client, name: row?.name ?? client, address: address ?? row?.address ?? null };
}

/** Null for none, and for a machine that is not here. */
export function lineOf({ rates }: Conditions, place: ClientPlace | null): string | null {
  return place === null ? null : (rates?.lineOf(place) ?? null);
}

/** Of the hold that a disk without room calls for. */
export const FREE_SPACE = 'free space';

/** How full the disk is, and whether that is too much; null where nobody asks. */
export async function spaceText(
  { world, depot }: CollectorParts,
  { freeSpace = 0 }: Conditions,
): Promise<{ readonly holds: boolean; readonly text: string } | null> {
  if (freeSpace === 0) return null;
  const { free, total } = await world.disk.space(depot.path);
  const share = total === 0 ? 0 : free / total;
  return { holds: share < freeSpace, text: `${percent(share)} of the disk, at least ${percent(freeSpace)}` };
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
