import { z } from 'zod';
import { formatAddress } from '../../identity/addresses.ts';
import { copiesIn } from '../../ledger/copies.ts';
import { type ForecastErrors, forecastErrors } from '../../ledger/forecasts.ts';
import { listOffers } from '../../ledger/offers.ts';
import { broughtBy, MEMBERS_MAX, membersTold, setMembersMax, setQuota } from '../../ledger/quotas.ts';
import { LowtideError } from '../../model/errors.ts';
import type { CenterId, ClientId, SnapshotId } from '../../model/ids.ts';
import { parseManifest } from '../../format/manifest.ts';
import { DAY_MS, type UnixMillis } from '../../model/time.ts';
import type { ReasonCode } from '../../schedule/plan.ts';
import type { Collector } from '../../collect/collector.ts';
import type { Authority } from '../../identity/authority.ts';
import type { Enrollment } from '../../identity/enrollment.ts';
import type { Role } from '../../identity/token.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { CenterFace } from '../../model/exchange.ts';
import type { World } from '../../world/ports.ts';
import type { Forecast, OfferForecast } from '../../schedule/forecast.ts';
import { type ConditionTable, conditionTable } from './condition-table.ts';
import { forecastOf } from './forecast.ts';
import { type ClientLine, linesOf } from './view.ts';
import type { CollectingSettings } from '../settings/collecting-settings.ts';
import { type HeldClient, type HoldAsk, holdAsk, holdClient, releaseClient } from './held-clients.ts';
import { computerNamed, directClientNamed } from './named-client.ts';
import { checked } from '../people.ts';
import { letIn, shutOut, type Standing } from './standing.ts';

/** What people may ask of a node that others join: over its local socket while it runs, else of the data folder itself. */
export interface CenterPeople {
  plan(ask: PlanAsk): Promise<CenterPlan>;
  /** What suits the node, what of that is measured, and what was changed lately. */
  conditions(ask: object): Promise<ConditionTable>;
  token(wish: TokenAsk): Promise<TokenAnswer>;
  clients(ask: object): Promise<{ readonly clients: readonly ClientLine[] }>;
  /** Shuts a computer out, also one that is connected, within half a minute. What it has sent stays. */
  revoke(ask: { readonly client: string }): Promise<Standing>;
  letIn(ask: { readonly client: string }): Promise<Standing>;
  /** Bounds what a computer may bring, or a relay with its subtree; counts at once. */
  setQuota(ask: QuotaAsk): Promise<ClientQuota>;
  /** Collects nothing from a computer, or a relay with its subtree, for a while or until it is released; counts at once. */
  hold(ask: HoldAsk): Promise<HeldClient>;
  releaseClient(ask: { readonly client: string }): Promise<HeldClient>;
}

/** What is left out stays as it is. */
export interface QuotaAsk {
  readonly client: string;
  /** Bytes; null for no bound. */
  readonly quota?: number | null | undefined;
  /** How many machines a relay may tell of; null for the default. */
  readonly machines?: number | null | undefined;
}

export interface ClientQuota {
  readonly client: ClientId;
  readonly name: string;
  readonly quota: number | null;
  /** Bytes that it has brought or has on offer. */
  readonly brought: number;
  /** Of a relay: how many machines it may tell of, and has told of. Null of a computer. */
  readonly machines: { readonly most: number; readonly told: number } | null;
}

export type PlanAsk = z.input<typeof planAsk>;
export type TokenAsk = z.input<typeof tokenAsk>;

export interface TokenAnswer {
  readonly token: string;
  readonly name: string;
  readonly role: Role;
  /** Name of the computer whose backups it lets be read. */
  readonly reads: string | null;
  readonly expires: UnixMillis;
  readonly addresses: readonly string[];
  /** Names of the centers that it leads to. */
  readonly centers: readonly string[];
}

/** What waits and why (SEED 221), with the conditions that it waits under. */
export interface CenterPlan {
  readonly center: CenterId;
  readonly name: string;
  readonly kind: CenterFace['kind'];
  readonly running: boolean;
  readonly now: UnixMillis;
  readonly windows: string;
  readonly zone: string;
  readonly streams: number;
  readonly offers: readonly PlannedLine[];
  /** Tonight, before it happens (S70); null if there is too much to tell in passing. */
  readonly forecast: PlanForecast | null;
  /** How good the forecasts of the last two weeks were; null if nothing was foreseen and came. */
  readonly errors: ForecastErrors | null;
}

/** Of a center that is not running: as if it ran and every computer were connected. */
export interface PlanForecast extends Pick<Forecast, 'nightEnd' | 'fitting' | 'left' | 'done'> {
  readonly everybody: boolean;
}

export interface PlannedLine {
  readonly snapshot: SnapshotId;
  readonly client: ClientId;
  readonly clientName: string;
  /** The relay that offers it here; null if its computer does. */
  readonly via: string | null;
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

/** What the handlers need: a center's or a relay's data folder, open. */
export interface CenterDesk {
  readonly node: { readonly world: World; readonly ledger: Ledger; readonly collector: Collector };
  readonly authority: Authority;
  readonly settings: Pick<CollectingSettings, 'addresses'>;
  readonly enrollment: Enrollment;
  /** False where a command has opened the data folder itself. */
  readonly running: boolean;
  /** What keeps the settings file from being in force; left out where whoever opened it has just read it. */
  readonly mistake?: () => Promise<string | null>;
}

const tokenAsk = z.strictObject({
  name: z.string(),
  role: z.enum(['agent', 'relay', 'peer']).default('agent'),
  /** Name or id of the computer whose backups an agent may read beside its own. */
  reads: z.string().optional(),
  lifetimeMs: z.number().positive().nullable().default(null),
});
const planAsk = z.strictObject({ night: z.string().nullable().default(null) });
const bound = z.number().int().min(0).nullable().optional();
const quotaAsk = z.strictObject({ client: z.string(), quota: bound, machines: bound });
const oneClient = z.strictObject({ client: z.string() });
const nothing = z.strictObject({});

export function centerPeople(desk: CenterDesk): CenterPeople {
  return {
    plan: checked(planAsk, ({ night }) => planOf(desk, night)),
    conditions: checked(nothing, () => conditionTable(desk)),
    token: checked(tokenAsk, (ask) => makeToken(desk, ask)),
    clients: checked(nothing, async () => ({ clients: await linesOf(desk) })),
    revoke: checked(oneClient, ({ client }) => shutOut(desk, client)),
    letIn: checked(oneClient, ({ client }) => letIn(desk, client)),
    setQuota: checked(quotaAsk, (ask) => giveQuota(desk, ask)),
    hold: checked(holdAsk, (ask) => holdClient(desk, ask)),
    releaseClient: checked(oneClient, ({ client }) => releaseClient(desk, client)),
  };
}

async function makeToken(desk: CenterDesk, ask: z.output<typeof tokenAsk>): Promise<TokenAnswer> {
  const { addresses } = desk.settings;
  const read = ask.reads === undefined ? null : await computerNamed(desk, ask.reads);
  const { text, token } = await desk.enrollment.makeToken({
    addresses,
    name: ask.name,
    role: ask.role,
    ...(read !== null && { reads: read.id }),
    ...(ask.lifetimeMs !== null && { lifetimeMs: ask.lifetimeMs }),
  });
  const { name, role, expires, centers } = token;
  const reads = read?.name ?? null;
  const facts = { name, role, reads, expires, centers: centers.map((face) => face.name) };
  return { token: text, ...facts, addresses: addresses.map(formatAddress) };
}

async function planOf(desk: CenterDesk, night: string | null): Promise<CenterPlan> {
  const { node, authority, running } = desk;
  const { ledger, collector, world } = node;
  const now = world.clock.now();
  const clients = new Map((await linesOf(desk)).map((line) => [line.id, line]));
  const nameOf = (client: ClientId): string => clients.get(client)?.name ?? client.slice(0, 12);
  const offers = await listOffers(ledger.db);
  const waiting = await copiesIn(ledger.db, [authority.face.id], ['waiting']);
  const lastCodes = new Map(waiting.map((copy) => [copy.snapshot, copy.code]));
  const everybody = !running;
  const forecast = forecastOf(collector, { night, everybody }, now);
  const expected = new Map(forecast?.offers.map((offer) => [offer.snapshot, offer]));
  return {
    center: authority.face.id,
    name: authority.face.name,
    kind: authority.face.kind,
    running,
    now,
    ...collector.conditions,
    forecast: forecast && nightOf(forecast, everybody),
    errors: await forecastErrors(ledger.db, now - JUDGED_MS),
    offers: offers.map((offer) => {
      const { snapshot, wishes, offeredAt, received } = offer;
      const { client, job, takenAt } = parseManifest(offer.manifest).manifest;
      const reason = collector.planning.reasonFor(snapshot) ?? UNPLANNED;
      const { code, until } = reason;
      const whys: Partial<Record<typeof code, string | undefined>> = {
        'held-back': clients.get(offer.client)?.held?.why,
        'backing-off': lastCodes.get(snapshot),
      };
      const why = whys[code] ?? '';
      return {
        snapshot,
        client,
        clientName: nameOf(client),
        via: offer.client === client ? null : nameOf(offer.client),
        job,
        takenAt,
        offeredAt,
        bytes: wishes.bytes,
        received,
        transfer: wishes.transfer,
        transferZone: wishes.zone,
        code,
        until,
        text: why === '' ? reason.text : `${reason.text} (${why})`,
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

/** Forecasts are judged by the nights of so long. */
const JUDGED_MS = 14 * DAY_MS;

const UNPLANNED = {
  code: 'base-unknown',
  until: null,
  text: 'leans on a snapshot that is not here, until a pull or a full backup of the computer brings that',
} as const;

async function giveQuota(desk: CenterDesk, ask: QuotaAsk): Promise<ClientQuota> {
  const { node, authority } = desk;
  const { ledger } = node;
  const instead = 'give that a quota, which counts for all that is below it';
  const { id, name, role, ...known } = await directClientNamed(desk, ask.client, instead);
  if (ask.machines !== undefined && role !== 'relay') {
    throw new LowtideError('wrong-state', `${name} is no relay: nobody comes through it`);
  }
  const { quota = known.quota, machines = known.members_max } = ask;
  await ledger.transaction(async (db) => {
    await setQuota(db, id, quota);
    await setMembersMax(db, id, machines);
  });
  const { face } = authority;
  const brought = await broughtBy(ledger.db, id, { node: face.id, keptOnly: face.kind === 'relay' });
  const told = await membersTold(ledger.db, id);
  const bounds = role === 'relay' ? { most: machines ?? MEMBERS_MAX, told } : null;
  return { client: id, name, quota, brought, machines: bounds };
}
