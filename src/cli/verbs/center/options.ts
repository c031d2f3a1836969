import type { Command } from 'commander';
import { type Address, parseAddress } from '../../../identity/addresses.ts';
import { LowtideError } from '../../../model/errors.ts';
import type { CenterFace } from '../../../model/exchange.ts';
import { type CollectingSettings, DEFAULT_PORT } from '../../../node/settings/collecting-settings.ts';
import type { CommonOptions, Context } from '../../context.ts';
import { hostName } from '../../software.ts';
import { collect } from '../../verb.ts';
import { withRoleData } from '../agent/options.ts';

/** What others join: the verbs that centers and relays have in common are written once for both. */
export type NodeRole = CenterFace['kind'];

export interface NodeOptions extends CommonOptions {
  readonly data?: string;
}

export const withNodeData = (command: Command, role: NodeRole): Command => withRoleData(command, role);

/** What to add to a command line that is suggested. */
export const dataSuffix = ({ data }: NodeOptions): string => (data === undefined ? '' : ` --data ${data}`);

export interface CollectingOptions extends NodeOptions {
  readonly windows: string;
  readonly zone?: string;
  readonly streams: string;
  readonly listen: string;
  readonly address?: readonly string[];
}

/** Options of what a new center or relay collects, and where it is reached. */
export function withCollectingOptions(command: Command): Command {
  return command
    .option(
      '--windows <WINDOWS>',
      'when it collects, such as "22:00-08:00" or "Mon-Fri 20:00-06:00, Sat-Sun any"',
      'any',
    )
    .option('--zone <ZONE>', "IANA time zone of the windows; else the machine's")
    .option('--streams <N>', 'computers that may send at the same time', '2')
    .option('--listen <HOST:PORT>', 'where it listens', `0.0.0.0:${DEFAULT_PORT}`)
    .option('--address <HOST:PORT>', "how it is reached; else the machine's name (repeatable)", collect);
}

/** @throws LowtideError `bad-request`, `bad-name` */
export function collectingWish({ world }: Context, options: CollectingOptions): CollectingSettings {
  const listen: Address = parseAddress(options.listen, DEFAULT_PORT);
  const addresses = (options.address ?? [hostName()]).map((text) => parseAddress(text, listen.port));
  const zone = options.zone ?? world.clock.zone;
  const conditions = { windows: options.windows, zone, streams: streamsOf(options.streams) };
  return { conditions, listen, addresses };
}

function streamsOf(text: string): number {
  if (/^[0-9]{1,4}$/.test(text) && Number(text) <= 1000) return Number(text);
  throw new LowtideError('bad-request', `--streams ${text} is not a number from 0 to 1000`);
}
