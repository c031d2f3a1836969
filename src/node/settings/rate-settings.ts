import { z } from 'zod';
import type { ClientPlace, RateConditions, TargetConditions } from '../../collect/parts.ts';
import { ipBytes } from '../../identity/addresses.ts';
import { LowtideError } from '../../model/errors.ts';
import { parseRate } from '../../schedule/rate-text.ts';
import { parseSpan } from '../../schedule/span-text.ts';
import { checkedAt } from './checked-at.ts';
import type { ReadYaml } from './yaml-file.ts';

const someClients = z.array(z.string()).min(1, 'expected names of computers, or ranges such as 10.1.0.0/16');

/** How fast things may go (SEED 222), in center.yaml and relay.yaml. */
export const rateKeys = {
  rate: z.string().default('unlimited'),
  clientRate: z.string().default('unlimited'),
  restoreShare: z.number().min(0).max(0.9, 'expected a part from 0 to 0.9').default(0),
  freeSpace: z.number().min(0).max(0.9, 'expected a part from 0 to 0.9').default(0.05),
  target: z.string().optional(),
  lines: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(100),
        rate: z.string(),
        clients: someClients,
      }),
    )
    .default([]),
  computers: z
    .array(
      z.strictObject({
        clients: someClients,
        rate: z.string().optional(),
        target: z.string().optional(),
      }),
    )
    .default([]),
};
const shape = z.strictObject({ ...rateKeys, zone: z.string() });

export interface RateSettings {
  readonly rates: RateConditions;
  readonly targets: TargetConditions;
  readonly freeSpace: number;
}

type Read = ReadYaml<z.infer<typeof shape>>;
type Matcher = (place: ClientPlace) => boolean;

/** @throws LowtideError `bad-config` with file, line, column and what was expected */
export function rateSettings(read: Read): RateSettings {
  const { rate, clientRate, restoreShare, freeSpace, zone, target } = read.value;
  checkedAt(read, ['rate'], () => parseRate(rate, zone));
  checkedAt(read, ['clientRate'], () => parseRate(clientRate, zone));
  const lines = linesOf(read);
  const own = computersOf(read);
  const usual = target === undefined ? null : checkedAt(read, ['target'], () => parseSpan(target));
  const rates = {
    total: rate,
    perClient: clientRate,
    restoreShare,
    lines,
    lineOf: (place: ClientPlace): string | null =>
      lines.find(({ matchers }) => matchers.some((matches) => matches(place)))?.name ?? null,
    individual: own.flatMap((computer) =>
      computer.rate === null ? [] : { ...computer, rate: computer.rate },
    ),
    rateOf: (place: ClientPlace): string | null => firstOf(own, place, (computer) => computer.rate),
  };
  const of = (place: ClientPlace): number | null => firstOf(own, place, (computer) => computer.target);
  return { rates, targets: { usual, of }, freeSpace };
}

function linesOf(read: Read) {
  const names = read.value.lines.map(({ name }) => name);
  return read.value.lines.map(({ name, rate, clients }, at) => {
    // They would be one line to the planner, at the rate of the last.
    if (names.indexOf(name) < at) throw read.bad(['lines', at, 'name'], `there are two lines named ${name}`);
    checkedAt(read, ['lines', at, 'rate'], () => parseRate(rate, read.value.zone));
    return { name, rate, matchers: matchersOf(read, ['lines', at, 'clients'], clients) };
  });
}

interface Computer {
  readonly matchers: readonly Matcher[];
  readonly rate: string | null;
  readonly target: number | null;
}

function computersOf(read: Read): Computer[] {
  return read.value.computers.map(({ clients, rate, target }, at) => {
    const place = ['computers', at];
    if (rate === undefined && target === undefined)
      throw read.bad(place, 'expected a rate, a target or both');
    if (rate !== undefined) checkedAt(read, [...place, 'rate'], () => parseRate(rate, read.value.zone));
    return {
      matchers: matchersOf(read, [...place, 'clients'], clients),
      rate: rate ?? null,
      target: target === undefined ? null : checkedAt(read, [...place, 'target'], () => parseSpan(target)),
    };
  });
}

const matchersOf = (read: Read, place: readonly PropertyKey[], clients: readonly string[]): Matcher[] =>
  clients.map((text, at) => checkedAt(read, [...place, at], () => matcherOf(text)));

/** What the first entry says that names a machine and says it. */
function firstOf<T>(
  computers: readonly Computer[],
  place: ClientPlace,
  said: (computer: Computer) => T | null,
): T | null {
  for (const computer of computers) {
    const word = said(computer);
    if (word !== null && computer.matchers.some((matches) => matches(place))) return word;
  }
  return null;
}

/** A name, or `address/bits`. */
function matcherOf(text: string): Matcher {
  if (!text.includes('/')) return ({ name, client }) => name === text || client === text;
  const [address = '', bits = ''] = text.split('/');
  const range = ipBytes(address);
  const length = Number(bits);
  if (range === null || !/^[0-9]{1,3}$/.test(bits) || length > range.length * 8) {
    throw new LowtideError(
      'bad-request',
      `${JSON.stringify(text)} is not a range: write 10.1.0.0/16 or 2001:db8::/32`,
    );
  }
  return ({ address: from }) => {
    const bytes = from === null ? null : ipBytes(from.replace(/^::ffff:/i, ''));
    return bytes !== null && bytes.length === range.length && startsWith(bytes, range, length);
  };
}

function startsWith(bytes: Uint8Array, range: Uint8Array, bits: number): boolean {
  for (let at = 0; at * 8 < bits; at++) {
    const shift = Math.max(0, 8 - (bits - at * 8));
    if (bytes[at]! >> shift !== range[at]! >> shift) return false;
  }
  return true;
}

/** The part of a new file that these settings are. */
export const RATE_TEXT = `# How fast all computers together may send, by time of day: unlimited, "20 MB/s", "5 MB/s Mon-Fri 08:00-18:00, 50 MB/s".
rate: unlimited
# And each of them.
clientRate: unlimited
# Part of these rates that is kept free while somebody restores, 0 to 0.9.
restoreShare: 0
# Part of the disk that stays free: below it nothing is collected.
freeSpace: 0.05
# Lines that computers share, with what they may carry; computers by name or by address range.
# lines:
#   - name: kyoto
#     rate: "2 MB/s 08:00-20:00, 10 MB/s"
#     clients: [10.7.0.0/16, kyoto-relay]
# How old the newest copy of a job may get: who is nearest to it is collected first. A job's own wish wins.
# target: 24 h
# Computers with a rate or a target of their own; these win over both.
# computers:
#   - clients: [ann-laptop, 10.9.0.0/16]
#     rate: "500 kB/s 08:00-18:00, 5 MB/s"
#     target: 12 h
`;
