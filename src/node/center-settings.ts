import { z } from 'zod';
import type { Conditions } from '../collect/parts.ts';
import { type Address, formatAddress, parseAddress } from '../identity/addresses.ts';
import { messageOf } from '../model/errors.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { World } from '../world/ports.ts';
import { type ReadYaml, YamlFile } from './yaml-file.ts';

export const DEFAULT_PORT = 7700;
const STREAMS_MAX = 1000;

/** What the operator of a center decides (SEED 222): `center.yaml` in its data folder. */
export interface CenterSettings {
  readonly conditions: Conditions;
  readonly listen: Address;
  /** At which agents reach it: they travel in tokens and in the certificate. */
  readonly addresses: readonly Address[];
}

const shape = z.strictObject({
  windows: z.string().default('any'),
  zone: z.string(),
  streams: z
    .number()
    .int('expected a whole number')
    .min(0, 'expected 0 (collect nothing) or more')
    .max(STREAMS_MAX)
    .default(2),
  listen: z.string().default(`0.0.0.0:${DEFAULT_PORT}`),
  addresses: z.array(z.string()).min(1, 'expected at least one address, such as backup.example.org:7700'),
});
type CenterYaml = ReadYaml<z.infer<typeof shape>>;

const fileOf = (world: World, path: string): YamlFile<z.infer<typeof shape>> =>
  new YamlFile(world, path, shape, () => Object.keys(shape.shape));

/** @throws LowtideError `bad-config` with file, line, column and what was expected; `not-found` */
export async function readCenterSettings(world: World, path: string): Promise<CenterSettings> {
  const read = await fileOf(world, path).read();
  const { windows, zone, streams, listen, addresses } = read.value;
  check(read, 'zone', () => parseWindows('any', zone));
  check(read, 'windows', () => parseWindows(windows, zone));
  return {
    conditions: { windows, zone, streams },
    listen: check(read, 'listen', () => parseAddress(listen, DEFAULT_PORT)),
    addresses: check(read, 'addresses', () => addresses.map((text) => parseAddress(text, DEFAULT_PORT))),
  };
}

function check<T>(read: CenterYaml, key: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw read.bad([key], messageOf(error));
  }
}

/** Writes the file with comments, unless it is there. */
export async function createCenterSettings(
  world: World,
  path: string,
  settings: CenterSettings,
): Promise<void> {
  const { conditions, listen, addresses } = settings;
  const { windows, zone, streams } = conditions;
  await fileOf(world, path)
    .create(`# What suits this center. A running center sees changes of windows, zone and streams within a minute;
# listen and addresses count from its next start.

# When it collects: any, HH:MM-HH:MM, "Mon-Fri 22:00-06:00, Sat-Sun any", "22:00-08:00 except Sun".
windows: ${JSON.stringify(windows)}
# The IANA time zone of the windows.
zone: ${JSON.stringify(zone)}
# Computers that may send at the same time. 0 collects nothing.
streams: ${streams}
# Where it listens.
listen: ${JSON.stringify(formatAddress(listen))}
# Where computers reach it: names or IP addresses with ports. They travel in join tokens.
addresses: ${JSON.stringify(addresses.map(formatAddress))}
`);
}
