import { z } from 'zod';
import type { Conditions } from '../../collect/parts.ts';
import { type Address, formatAddress, parseAddress } from '../../identity/addresses.ts';
import { parseWindows } from '../../schedule/windows.ts';
import { checkedAt } from './checked-at.ts';
import { RATE_TEXT, rateKeys, rateSettings } from './rate-settings.ts';
import { STRAIN_TEXT, strainKeys, strainSettings } from './strain-settings.ts';
import type { ReadYaml } from './yaml-file.ts';

export const DEFAULT_PORT = 7700;
const STREAMS_MAX = 1000;

/** What the operator of a node that others join decides (SEED 222): center.yaml and relay.yaml have it in common. */
export interface CollectingSettings {
  readonly conditions: Conditions;
  readonly listen: Address;
  /** At which machines below reach it: they travel in tokens and in the certificate. */
  readonly addresses: readonly Address[];
}

export const collectingKeys = {
  windows: z.string().default('any'),
  zone: z.string(),
  streams: z
    .number()
    .int('expected a whole number')
    .min(0, 'expected 0 (collect nothing) or more')
    .max(STREAMS_MAX)
    .default(2),
  ...rateKeys,
  ...strainKeys,
  listen: z.string().default(`0.0.0.0:${DEFAULT_PORT}`),
  addresses: z.array(z.string()).min(1, 'expected at least one address, such as backup.example.org:7700'),
};
const shape = z.strictObject(collectingKeys);

/** @throws LowtideError `bad-config` with file, line, column and what was expected */
export function collectingSettings(read: ReadYaml<z.infer<typeof shape>>): CollectingSettings {
  const { windows, zone, streams, listen, addresses } = read.value;
  checkHours(read, 'windows', windows, 'zone', zone);
  return {
    conditions: {
      windows,
      zone,
      streams,
      ...rateSettings(read),
      ...strainSettings(read),
      written: writtenOf(read.value),
    },
    listen: checkedAt(read, ['listen'], () => parseAddress(listen, DEFAULT_PORT)),
    addresses: checkedAt(read, ['addresses'], () =>
      addresses.map((text) => parseAddress(text, DEFAULT_PORT)),
    ),
  };
}

/** Of the keys that are conditions: what they are, in one line each. */
function writtenOf(settings: z.infer<typeof shape>): Record<string, string> {
  const values: Readonly<Record<string, unknown>> = settings;
  const keys = Object.keys(collectingKeys).filter((key) => !START_KEYS.includes(key));
  const rows = keys.map((key): [string, unknown] => [key, values[key]]);
  return Object.fromEntries(
    rows.map(([key, value]) => [key, typeof value === 'string' ? value : (JSON.stringify(value) ?? '')]),
  );
}

/** They count from the next start. */
const START_KEYS: readonly string[] = ['listen', 'addresses'];

export function checkHours(
  read: ReadYaml<unknown>,
  windowsKey: string,
  windows: string,
  zoneKey: string,
  zone: string,
): void {
  checkedAt(read, [zoneKey], () => parseWindows('any', zone));
  checkedAt(read, [windowsKey], () => parseWindows(windows, zone));
}

/** The part of a new file that these settings are. */
export function collectingText({ conditions, listen, addresses }: CollectingSettings): string {
  const { windows, zone, streams } = conditions;
  return `# When it collects: any, HH:MM-HH:MM, "Mon-Fri 22:00-06:00, Sat-Sun any", "22:00-08:00 except Sun".
windows: ${JSON.stringify(windows)}
# The IANA time zone of the windows.
zone: ${JSON.stringify(zone)}
# Computers that may send at the same time. 0 collects nothing.
streams: ${streams}
${RATE_TEXT}${STRAIN_TEXT}# Where it listens.
listen: ${JSON.stringify(formatAddress(listen))}
# Where computers reach it: names or IP addresses with ports. They travel in join tokens.
addresses: ${JSON.stringify(addresses.map(formatAddress))}
`;
}
