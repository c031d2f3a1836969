import { z } from 'zod';
import type { ClientPlace, RateConditions } from '../collect/parts.ts';
import { ipBytes } from '../identity/addresses.ts';
import { LowtideError } from '../model/errors.ts';
import { parseRate } from '../schedule/rate-text.ts';
import { checkedAt } from './checked-at.ts';
import type { ReadYaml } from './yaml-file.ts';

/** How fast things may go (SEED 222), in center.yaml and relay.yaml. */
export const rateKeys = {
  rate: z.string().default('unlimited'),
  clientRate: z.string().default('unlimited'),
  restoreShare: z.number().min(0).max(0.9, 'expected a part from 0 to 0.9').default(0),
  freeSpace: z.number().min(0).max(0.9, 'expected a part from 0 to 0.9').default(0.05),
  lines: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(100),
        rate: z.string(),
        clients: z.array(z.string()).min(1, 'expected names of computers, or ranges such as 10.1.0.0/16'),
      }),
    )
    .default([]),
};
const shape = z.strictObject({ ...rateKeys, zone: z.string() });

export interface RateSettings {
  readonly rates: RateConditions;
  readonly freeSpace: number;
}

/** @throws LowtideError `bad-config` with file, line, column and what was expected */
export function rateSettings(read: ReadYaml<z.infer<typeof shape>>): RateSettings {
  const { rate, clientRate, restoreShare, freeSpace, lines, zone } = read.value;
  checkedAt(read, ['rate'], () => parseRate(rate, zone));
  checkedAt(read, ['clientRate'], () => parseRate(clientRate, zone));
  const known = lines.map((line, at) => {
    checkedAt(read, ['lines', at, 'rate'], () => parseRate(line.rate, zone));
    const matchers = line.clients.map((text, each) =>
      checkedAt(read, ['lines', at, 'clients', each], () => matcherOf(text)),
    );
    return { name: line.name, rate: line.rate, matchers };
  });
  const lineOf = (place: ClientPlace): string | null =>
    known.find(({ matchers }) => matchers.some((matches) => matches(place)))?.name ?? null;
  const rates = { total: rate, perClient: clientRate, restoreShare, lines: known, lineOf };
  return { rates, freeSpace };
}

/** A name, or `address/bits`. */
function matcherOf(text: string): (place: ClientPlace) => boolean {
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
`;
