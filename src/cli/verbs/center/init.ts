import type { Command } from 'commander';
import { formatAddress, parseAddress } from '../../../identity/addresses.ts';
import { LowtideError } from '../../../model/errors.ts';
import { createCenterHome } from '../../../node/center-home.ts';
import { DEFAULT_PORT } from '../../../node/center-settings.ts';
import { parseWindows } from '../../../schedule/windows.ts';
import { describeWindows } from '../../../schedule/windows-text.ts';
import { dataFolder, type Context } from '../../context.ts';
import { hostName } from '../../software.ts';
import { pairLines } from '../../text.ts';
import { action, collect, newVerb } from '../../verb.ts';
import { type CenterOptions, withCenterData } from './options.ts';

interface InitOptions extends CenterOptions {
  readonly name?: string;
  readonly windows: string;
  readonly zone?: string;
  readonly streams: string;
  readonly listen: string;
  readonly address?: readonly string[];
}

export function centerInitVerb(): Command {
  const verb = newVerb('init', {
    summary: 'Make a center: the place where backups finally live',
    about:
      'Makes its keys, its store, its ledger and its settings (center.yaml) in a data folder. The addresses are ' +
      'how other computers reach it; they travel in join tokens. The windows are when it collects.',
    examples: [
      [
        'lowtide center init --name tokyo --windows 22:00-08:00 --zone Asia/Tokyo --address center.example:7700',
        'collects at night, reached at center.example',
      ],
      ['lowtide center init --listen 127.0.0.1:7700 --address 127.0.0.1:7700', 'for trying on one machine'],
    ],
  });
  return withCenterData(verb)
    .option('--name <NAME>', "what people call it; else the machine's name")
    .option(
      '--windows <WINDOWS>',
      'when it collects, such as "22:00-08:00" or "Mon-Fri 20:00-06:00, Sat-Sun any"',
      'any',
    )
    .option('--zone <ZONE>', "IANA time zone of the windows; else the machine's")
    .option('--streams <N>', 'computers that may send at the same time', '2')
    .option('--listen <HOST:PORT>', 'where it listens', `0.0.0.0:${DEFAULT_PORT}`)
    .option('--address <HOST:PORT>', "how it is reached; else the machine's name (repeatable)", collect)
    .action(action(init));
}

async function init(context: Context, options: InitOptions): Promise<void> {
  const { world, output } = context;
  const data = dataFolder('center', options.data);
  const name = options.name ?? hostName();
  const listen = parseAddress(options.listen, DEFAULT_PORT);
  const addresses = (options.address ?? [hostName()]).map((text) => parseAddress(text, listen.port));
  const zone = options.zone ?? world.clock.zone;
  const conditions = { windows: options.windows, zone, streams: streamsOf(options.streams) };
  const windows = describeWindows(parseWindows(options.windows, zone));
  const { face } = await createCenterHome(world, data, name, { conditions, listen, addresses });
  output.message({ message_type: 'initialized', data, center: face.id, name: face.name, addresses });
  const facts = [
    ['collects', `${windows}, ${conditions.streams} at a time`],
    ['listens on', formatAddress(listen)],
    ['reached at', addresses.map(formatAddress).join(', ')],
    ['settings', `${data}/center.yaml`],
  ] as const;
  output.line(`Made the center ${face.name} in ${data}.`);
  for (const line of pairLines(facts)) output.line('  ' + line);
  output.line('');
  output.line('Next, start it, and let a computer in:');
  output.line('  lowtide center run' + suffix(options));
  output.line('  lowtide center token --name NAME-OF-THE-COMPUTER' + suffix(options));
}

const suffix = ({ data }: CenterOptions): string => (data === undefined ? '' : ` --data ${data}`);

function streamsOf(text: string): number {
  if (/^[0-9]{1,4}$/.test(text) && Number(text) <= 1000) return Number(text);
  throw new LowtideError('bad-request', `--streams ${text} is not a number from 0 to 1000`);
}
