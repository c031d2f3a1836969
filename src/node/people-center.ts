import { z } from 'zod';
import { formatAddress } from '../identity/addresses.ts';
import { findClient, findClientByName, revokeClient } from '../ledger/clients.ts';
import { listOffers } from '../ledger/offers.ts';
import type { ClientRow } from '../ledger/tables.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import { parseManifest } from '../format/manifest.ts';
import type { UnixMillis } from '../model/time.ts';
import type { ReasonCode } from '../schedule/plan.ts';
import type { Forecast, OfferForecast } from '../schedule/forecast.ts';
import { forecastOf } from './center-forecast.ts';
import type { CenterHome } from './center-home.ts';
import { type ClientLine, clientLines } from './center-view.ts';
import { checked } from './people.ts';

/** What people may ask of a center: over its local socket while it runs, else of the data folder itself. */
export interface CenterPeople {
  plan(ask: PlanAsk): Promise<CenterPlan>;
  token(wish: TokenAsk): Promise<TokenAnswer>;
  clients(ask: object): Promise<{ readonly clients: readonly ClientLine[] }>;
  /** Shuts a computer out, also one that is connected, within half a minute. What it has sent stays. */
  revoke(ask: { readonly client: string }): Promise<{ readonly client: ClientId; readonly name: string }>;
}

export type PlanAsk = z.input<typeof planAsk>;
export type TokenAsk = z.input<typeof tokenAsk>;

export interface TokenAnswer {
  readonly token: string;
  readonly name: string;
  readonly expires: UnixMillis;
  readonly addresses: readonly string[];
}

/** What waits and why (SEED 221), with the conditions that it waits under. */
export interface CenterPlan {
  readonly center: CenterId;
  readonly name: string;
  readonly running: boolean;
  readonly now: UnixMillis;
  readonly windows: string;
  readonly zone: string;
  readonly streams: number;
  readonly offers: readonly PlannedLine[];
  /** Tonight, before it happens (S70); null if there is too much to tell in passing. */
  readonly forecast: PlanForecast | null;
}

/** Of a center that is not running: as if it ran and every computer were connected. */
export interface PlanForecast extends Pick<Forecast, 'nightEnd' | 'fitting' | 'left' | 'done'> {
  readonly everybody: boolean;
}

export interface PlannedLine {
  readonly snapshot: SnapshotId;
  readonly client: ClientId;
  readonly clientName: string;
  readonly job: string;
  readonly takenAt: UnixMillis;
  readonly offeredAt: UnixMillis;
  readonly bytes: number;
  /** Bytes of them that are here already. */
  readonly received: number;
  /** The client's own windows. */
  readonly transfer: string;
  readonly transferZone: string;
  readonly code: ReasonCode | 'base-unknown';
  readonly until: UnixMillis | null;
  readonly text: string;
  readonly expected: Expected | null;
}

/** What the forecast says of one of them. */
export type Expected = Pick<OfferForecast, 'place' | 'start' | 'end' | 'stretches' | 'fits' | 'why'>;

export interface CenterDesk {
  readonly home: CenterHome;
  /** False where a command has opened the data folder itself. */
  readonly running: boolean;
}

const tokenAsk = z.strictObject({
  name: z.string(),
  lifetimeMs: z.number().positive().nullable().default(null),
});
const planAsk = z.strictObject({ night: z.string().nullable().default(null) });
const nothing = z.strictObject({});

export function centerPeople(desk: CenterDesk): CenterPeople {
  const { ledger } = desk.home.center;
  return {
    plan: checked(planAsk, ({ night }) => planOf(desk, night)),
    token: checked(tokenAsk, (ask) => makeToken(desk, ask)),
    clients: checked(nothing, async () => ({ clients: await clientLines(ledger.db) })),
    revoke: checked(z.strictObject({ client: z.string() }), ({ client }) => revoke(desk, client)),
  };
}

async function makeToken({ home }: CenterDesk, ask: z.output<typeof tokenAsk>): Promise<TokenAnswer> {
  const { addresses } = home.settings;
  const { text, token } = await home.enrollment.makeToken({
    addresses,
    name: ask.name,
    role: 'agent',
    ...(ask.lifetimeMs !== null && { lifetimeMs: ask.lifetimeMs }),
  });
  return { token: text, name: token.name, expires: token.expires, addresses: addresses.map(formatAddress) };
}

async function planOf({ home, running }: CenterDesk, night: string | null): Promise<CenterPlan> {
  const { center, authority } = home;
  const { ledger, collector, world } = center;
  const names = new Map((await clientLines(ledger.db)).map(({ id, name }) => [id, name]));
  const offers = await listOffers(ledger.db);
  const now = world.clock.now();
  const everybody = !running;
  const forecast = forecastOf(collector, { night, everybody }, now);
  const expected = new Map(forecast?.offers.map((offer) => [offer.snapshot, offer]));
  return {
    center: authority.face.id,
    name: authority.face.name,
    running,
    now,
    ...collector.conditions,
    forecast: forecast && nightOf(forecast, everybody),
    offers: offers.map((offer) => {
      const { snapshot, client, wishes, offeredAt, received } = offer;
      const { job, takenAt } = parseManifest(offer.manifest).manifest;
      const reason = collector.reasonFor(snapshot) ?? UNPLANNED;
      const { code, until, text } = reason;
      return {
        snapshot,
        client,
        clientName: names.get(client) ?? client.slice(0, 12),
        job,
        takenAt,
        offeredAt,
        bytes: wishes.bytes,
        received,
        transfer: wishes.transfer,
        transferZone: wishes.zone,
        code,
        until,
        text,
        expected: expectedOf(expected.get(snapshot)),
      };
    }),
  };
}

function nightOf({ nightEnd, fitting, left, done }: Forecast, everybody: boolean): PlanForecast {
  return { nightEnd, fitting, left, done, everybody };
}

function expectedOf(offer: OfferForecast | undefined): Expected | null {
  if (offer === undefined) return null;
  const { place, start, end, stretches, fits, why } = offer;
  return { place, start, end, stretches, fits, why };
}

const UNPLANNED = {
  code: 'base-unknown',
  until: null,
  text: 'leans on a snapshot that this center does not have: the computer must send everything again',
} as const;

async function revoke({ home }: CenterDesk, text: string): Promise<{ client: ClientId; name: string }> {
  const { ledger, world } = home.center;
  const row: ClientRow | null =
    (await findClientByName(ledger.db, text)) ?? (await findClient(ledger.db, text as ClientId));
  if (row === null) {
    throw new LowtideError(
      'not-found',
      `there is no client ${text}: 'lowtide center client list' shows them`,
    );
  }
  await revokeClient(ledger.db, row.id, world.clock.now());
  return { client: row.id, name: row.name };
}
