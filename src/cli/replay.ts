import { lineOf, plannerConditions, targetOf } from '../collect/conditions.ts';
import type { ClientPlace, Conditions } from '../collect/parts.ts';
import { LowtideError } from '../model/errors.ts';
import type { ClientId } from '../model/ids.ts';
import { DAY_MS, type UnixMillis } from '../model/time.ts';
import { Ledger } from '../ledger/ledger.ts';
import { habitsOf } from '../ledger/habits.ts';
import { offersBetween, type PastOffer } from '../ledger/history.ts';
import { centerPaths } from '../node/center/home.ts';
import { readCenterSettings } from '../node/settings/center-settings.ts';
import { parseRate } from '../schedule/rate-text.ts';
import { paceSeen } from '../schedule/seen.ts';
import { parseWindows } from '../schedule/windows.ts';
import { pastWaits, replayFleet, replaySpan } from '../simulate/replay.ts';
import type { Scenario } from '../simulate/scenario.ts';
import { absolute, type Context } from './context.ts';

export interface ReplayChoice {
  readonly days?: string;
  readonly windows?: string;
  readonly streams?: string;
  readonly rate?: string;
}

/** A center's own past as a scenario, and how long its backups really waited. */
export interface Replay {
  readonly scenario: Scenario;
  readonly waits: readonly number[];
}

/** Of a center whose line nobody has described: 1 Gbit/s. */
const CAPACITY = 125_000_000;

/** Reads a center's ledger beside the running center. @throws LowtideError `bad-request`, `not-found` */
export async function readReplay({ world }: Context, data: string, choice: ReplayChoice): Promise<Replay> {
  const paths = centerPaths(absolute(data));
  const { conditions: written } = await readCenterSettings(world, paths.config);
  const days = wholeNumber('--days', choice.days ?? '30', 366);
  const streams =
    choice.streams === undefined ? written.streams : wholeNumber('--streams', choice.streams, 1000);
  const { zone } = written;
  const windows = choice.windows ?? written.windows;
  parseWindows(windows, zone);
  const rate = choice.rate === undefined ? {} : { rate: parseRate(choice.rate, zone) };
  const ledger = await Ledger.openReadOnly(world, paths.ledger);
  try {
    const now = world.clock.now();
    const past = await offersBetween(ledger.db, now - days * DAY_MS, now);
    if (past.length === 0) {
      throw new LowtideError(
        'bad-request',
        `nothing was offered to this center in the last ${days} days: give more --days`,
      );
    }
    const places = new Map(past.map((offer) => [offer.client, placeOf(offer)]));
    const conditions = plannerConditions({ ...written, windows, streams }, places.values());
    const wishes = Map.groupBy(past, ({ client }) => client);
    const fleet = replayFleet(past, {
      name: `${days} days of ${data} again`,
      zone,
      ...replaySpan(past),
      conditions: { ...conditions, ...rate },
      capacity: CAPACITY,
      lineOf: (client) => lineOf(written, places.get(client)!),
      targetOf: (client) => leastTarget(written, places.get(client)!, wishes.get(client)!),
      speeds: await speedsOf(ledger, past, now),
    });
    return { scenario: { fleet, seed: 'past', yields: false }, waits: pastWaits(past) };
  } finally {
    await ledger.close();
  }
}

const placeOf = ({ client, clientName, address }: PastOffer): ClientPlace => ({
  client,
  name: clientName ?? client,
  address,
});

/** Of all that a computer backs up. */
function leastTarget(conditions: Conditions, place: ClientPlace, past: readonly PastOffer[]): number | null {
  const all = past.flatMap(({ target }) => targetOf(conditions, place, target) ?? []);
  return all.length === 0 ? null : all.reduce((a, b) => Math.min(a, b));
}

/** As the collector begins with them. */
async function speedsOf(
  { db }: Ledger,
  past: readonly PastOffer[],
  now: UnixMillis,
): Promise<Map<ClientId, number>> {
  const speeds = new Map<ClientId, number>();
  for (const client of new Set(past.map((offer) => offer.client))) {
    const pace = paceSeen((await habitsOf(db, client)).transfers, now);
    if (pace !== null) speeds.set(client, Math.round(pace));
  }
  return speeds;
}

function wholeNumber(option: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new LowtideError(
    'bad-request',
    `${option} ${JSON.stringify(text)}: expected a whole number from 1 to ${most}`,
  );
}
