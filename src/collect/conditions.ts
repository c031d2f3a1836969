import { parseManifest } from '../format/manifest.ts';
import { findClient } from '../ledger/clients.ts';
import type { Offer } from '../ledger/offers.ts';
import type { ClientId } from '../model/ids.ts';
import { type CenterConditions, conditionsWith, type Hold, type PlannedOffer } from '../schedule/plan.ts';
import { parseRate } from '../schedule/rate-text.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { ClientPlace, CollectorParts, Conditions } from './parts.ts';

/** As the planner wants them. @throws LowtideError `bad-schedule`, `bad-zone` */
export function plannerConditions({ windows, zone, streams, rates }: Conditions): CenterConditions {
  const open = parseWindows(windows, zone);
  if (rates === undefined) return conditionsWith(open, streams);
  return conditionsWith(open, streams, {
    rate: parseRate(rates.total, zone),
    clientRate: parseRate(rates.perClient, zone),
    restoreShare: rates.restoreShare,
    lines: new Map(rates.lines.map(({ name, rate }) => [name, parseRate(rate, zone)])),
  });
}

/** An offer as the planner wants it. @throws LowtideError `bad-schedule`, `bad-zone` */
export function plannedOffer(offer: Offer, line: string | null): PlannedOffer {
  const { snapshot, client, wishes, received, offeredAt } = offer;
  const { manifest } = parseManifest(offer.manifest);
  return {
    snapshot,
    client,
    line,
    job: `${manifest.instance}/${manifest.job}`,
    sequence: manifest.sequence,
    bytes: Math.max(0, wishes.bytes - received),
    windows: parseWindows(wishes.transfer, wishes.zone),
    offeredAt,
    deadline: null,
    target: null,
    lastCollected: null,
  };
}

/** What is known of a machine that comes from `address`. */
export async function placeOf(
  { ledger }: CollectorParts,
  client: ClientId,
  address: string | null,
): Promise<ClientPlace> {
  return { client, name: (await findClient(ledger.db, client))?.name ?? client, address };
}

/** Null for none, and for a machine that is not here. */
export function lineOf({ rates }: Conditions, place: ClientPlace | null): string | null {
  return place === null ? null : (rates?.lineOf(place) ?? null);
}

/** Of the hold that a disk without room calls for. */
export const FREE_SPACE = 'free space';

/** The hold that the disk calls for now (S66); null for none. */
export async function spaceHold(
  { world, depot }: CollectorParts,
  { freeSpace = 0 }: Conditions,
): Promise<Hold | null> {
  if (freeSpace === 0) return null;
  const { free, total } = await world.disk.space(depot.path);
  if (free >= total * freeSpace) return null;
  return { name: FREE_SPACE, code: 'free-space', line: null, stops: true, until: null };
}
