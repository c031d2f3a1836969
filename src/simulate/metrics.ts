import type { UnixMillis } from '../model/time.ts';
import { nextShared, type Windows } from '../schedule/windows.ts';
import { BIN_MS, type Fate, type NightResult } from './night.ts';
import type { Line } from './network.ts';
import { Reach } from './reach.ts';
import { areaBelow, valueAt } from './steps.ts';
import { Durations } from './usage.ts';

/** What a night came to. Times are milliseconds, sizes bytes; null where there is nothing to measure. */
export interface Metrics {
  readonly clients: number;
  /** Snapshots that became ready before the end, and those of them that were collected. */
  readonly ready: number;
  readonly collected: number;
  /** Those that could have been collected had there been no other: windows, presence and own speed allowed it. */
  readonly reachable: number;
  readonly bytesReady: number;
  readonly bytesCollected: number;
  /** The first moment at which anything was ready and both windows were open. */
  readonly opening: UnixMillis | null;
  /** From the opening until the last was collected; null if not all that could be reached were. */
  readonly allCollected: number | null;
  /** From the opening, of those collected. */
  readonly completionP50: number | null;
  readonly completionP95: number | null;
  readonly completionP99: number | null;
  /** Snapshots not collected by their deadline; those of them that could have been reached. */
  readonly misses: number;
  readonly missesInReach: number;
  readonly withDeadline: number;
  /** How old the center's newest copy got, as a part of the target: the worst client. */
  readonly worstAge: number | null;
  /** Clients whose copy got older than twice its target. */
  readonly starved: number;
  /** Jain's index over bytes collected / bytes ready of each client in reach: 1 is the same for all. */
  readonly jain: number | null;
  /** Of any line and any 10 s: collected bytes over what the conditions allow, and over what the line carries. */
  readonly peakOfCap: number | null;
  readonly peakOfLine: number;
  /** Seconds in which any line carried more than 80 % of what it can; the sum over the lines. */
  readonly secondsAbove80: number;
  /** How many times longer transfers of people took. */
  readonly slowdownP50: number | null;
  readonly slowdownP99: number | null;
  /** Sent in vain because a line was overfull. */
  readonly bytesResent: number;
  readonly broken: number;
  readonly vainOrders: number;
  /** Bytes in spools times hours. */
  readonly stagedByteHours: number;
  readonly decisions: number;
  readonly lines: readonly LineMetrics[];
}

export interface LineMetrics {
  readonly name: string;
  readonly bytes: number;
  /** Of what it could have carried all night. */
  readonly meanOfLine: number;
  readonly peakOfLine: number;
  readonly peakOfCap: number | null;
  readonly slowdownP99: number | null;
}

export function measure(night: NightResult): Metrics {
  const { fleet, network, counts } = night;
  const fates = night.fates.filter(({ snapshot }) => snapshot.readyAt <= fleet.until);
  const done = fates.filter(({ collectedAt }) => collectedAt !== null);
  const opening = openingOf(fates, fleet.conditions.windows);
  const times = done.map(({ collectedAt }) => collectedAt! - (opening ?? 0)).sort((a, b) => a - b);
  const lines = network.lines.map((line, index) => lineMetrics(night, line, index));
  const caps = lines.flatMap(({ peakOfCap }) => peakOfCap ?? []);
  const late = fates.filter((fate) => isLate(fate, fleet.until));
  const reach = new Reach(fleet);
  const inReach = ({ client, snapshot }: Fate, by: UnixMillis): boolean =>
    reach.within(client.spec, snapshot, by);
  const reachable = fates.filter((fate) => inReach(fate, fleet.until));
  const ages = agesOf(night);
  const people = network.lines.map(({ slowdown }) => slowdown);
  return {
    clients: fleet.clients.length,
    ready: fates.length,
    collected: done.length,
    reachable: reachable.length,
    bytesReady: sum(fates.map(({ snapshot }) => snapshot.bytes)),
    bytesCollected: sum(fates.map(({ snapshot, left }) => snapshot.bytes - left)),
    opening,
    allCollected: reachable.every(({ collectedAt }) => collectedAt !== null) ? (times.at(-1) ?? null) : null,
    completionP50: quantile(times, 0.5),
    completionP95: quantile(times, 0.95),
    completionP99: quantile(times, 0.99),
    misses: late.length,
    missesInReach: late.filter((fate) => inReach(fate, fate.snapshot.deadline!)).length,
    withDeadline: fates.filter(({ snapshot }) => snapshot.deadline !== null).length,
    worstAge: ages.length === 0 ? null : ages.reduce((a, b) => Math.max(a, b), 0),
    starved: ages.filter((age) => age > 2).length,
    jain: jainOf(reachable),
    peakOfCap: caps.length === 0 ? null : Math.max(...caps),
    peakOfLine: lines.reduce((most, { peakOfLine }) => Math.max(most, peakOfLine), 0),
    secondsAbove80: sum(network.lines.map((line, index) => secondsAbove(night, line, index, 0.8))),
    slowdownP50: Durations.quantile(people, 0.5),
    slowdownP99: Durations.quantile(people, 0.99),
    bytesResent: Math.round(network.wasted),
    broken: counts.broken,
    vainOrders: counts.vain,
    stagedByteHours: stagedByteHours(fates, fleet.until),
    decisions: counts.decisions,
    lines,
  };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Of sorted values; null of none. */
export function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}

function openingOf(fates: readonly Fate[], center: Windows): UnixMillis | null {
  const known = new Map<string, UnixMillis | null>();
  let first = Infinity;
  for (const { snapshot, client } of fates) {
    if (snapshot.readyAt >= first) continue;
    const windows = snapshot.windows ?? client.spec.windows;
    const key = `${snapshot.readyAt} ${windows.text}`;
    if (!known.has(key)) known.set(key, nextShared([windows, center], snapshot.readyAt)?.start ?? null);
    const opens = known.get(key);
    if (opens !== null) first = Math.min(first, Math.max(opens!, snapshot.readyAt));
  }
  return first === Infinity ? null : first;
}

function isLate({ snapshot, collectedAt }: Fate, until: UnixMillis): boolean {
  const { deadline } = snapshot;
  return deadline !== null && deadline <= until && (collectedAt ?? Infinity) > deadline;
}

/** The greatest age of each client that has a target, as a part of it. */
function agesOf({ fates, fleet }: NightResult): number[] {
  const byClient = Map.groupBy(fates, ({ client }) => client);
  const ages: number[] = [];
  for (const [{ spec }, own] of byClient) {
    if (spec.target === null) continue;
    let newest = spec.lastCollected ?? spec.snapshots[0]?.readyAt ?? fleet.from;
    let oldest = 0;
    const collected = own.filter(({ collectedAt }) => collectedAt !== null);
    collected.sort((a, b) => a.collectedAt! - b.collectedAt!);
    for (const { snapshot, collectedAt } of collected) {
      oldest = Math.max(oldest, collectedAt! - newest);
      newest = Math.max(newest, snapshot.readyAt);
    }
    ages.push(Math.max(oldest, fleet.until - newest) / spec.target);
  }
  return ages;
}

function jainOf(fates: readonly Fate[]): number | null {
  const shares: number[] = [];
  for (const own of Map.groupBy(fates, ({ client }) => client).values()) {
    const ready = sum(own.map(({ snapshot }) => snapshot.bytes));
    if (ready > 0) shares.push(1 - sum(own.map(({ left }) => left)) / ready);
  }
  const squares = sum(shares.map((share) => share * share));
  return squares === 0 ? null : sum(shares) ** 2 / (shares.length * squares);
}

function lineMetrics({ fleet }: NightResult, line: Line, index: number): LineMetrics {
  const { capacity, cap } = fleet.lines[index]!;
  const { bytes } = line.usage;
  const limited = cap.some(({ value }) => Number.isFinite(value));
  let [peakOfLine, peakOfCap] = [0, 0];
  for (const [bin, used] of bytes.entries()) {
    const at = fleet.from + bin * BIN_MS;
    const seconds = BIN_MS / 1000;
    // A bin in which the rate changes is measured by the higher one.
    const most = Math.max(valueAt(capacity, at), valueAt(capacity, at + BIN_MS));
    const allowed = Math.max(valueAt(cap, at), valueAt(cap, at + BIN_MS));
    peakOfLine = Math.max(peakOfLine, used / (most * seconds));
    peakOfCap = Math.max(peakOfCap, used / (allowed * seconds));
  }
  const total = sum([...bytes]);
  return {
    name: line.name,
    bytes: Math.round(total),
    meanOfLine: total / (areaBelow(capacity, fleet.from, fleet.until) / 1000),
    peakOfLine,
    peakOfCap: limited ? peakOfCap : null,
    slowdownP99: Durations.quantile([line.slowdown], 0.99),
  };
}

function secondsAbove({ fleet }: NightResult, line: Line, index: number, share: number): number {
  const { capacity } = fleet.lines[index]!;
  const most = (bin: number): number => valueAt(capacity, fleet.from + bin * BIN_MS);
  const seconds = BIN_MS / 1000;
  return line.usage.bytes.filter((used, bin) => used > most(bin) * seconds * share).length * seconds;
}

function stagedByteHours(fates: readonly Fate[], until: UnixMillis): number {
  const hours = ({ snapshot, collectedAt }: Fate): number =>
    ((collectedAt ?? until) - snapshot.readyAt) / 3_600_000;
  return sum(fates.map((fate) => fate.snapshot.bytes * hours(fate)));
}
