import type { Command } from 'commander';
import { formatAddress } from '../../../identity/addresses.ts';
import { createCenterHome } from '../../../node/center/home.ts';
import type { CollectingSettings } from '../../../node/settings/collecting-settings.ts';
import { parseWindows } from '../../../schedule/windows.ts';
import { describeWindows } from '../../../schedule/windows-text.ts';
import { dataFolder, type Context } from '../../context.ts';
import { hostName } from '../../software.ts';
import { pairLines } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import {
  type CollectingOptions,
  collectingWish,
  dataSuffix,
  withCollectingOptions,
  withNodeData,
} from './options.ts';

interface InitOptions extends CollectingOptions {
  readonly name?: string;
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
  withNodeData(verb, 'center').option('--name <NAME>', "what people call it; else the machine's name");
  return withCollectingOptions(verb).action(action(init));
}

async function init(context: Context, options: InitOptions): Promise<void> {
  const { world, output } = context;
  const data = dataFolder('center', options.data);
  const name = options.name ?? hostName();
  const settings = collectingWish(context, options);
  const { addresses } = settings;
  const facts = collectingFacts(settings);
  const { face } = await createCenterHome(world, data, name, settings);
  output.message({ message_type: 'initialized', data, center: face.id, name: face.name, addresses });
  output.line(`Made the center ${face.name} in ${data}.`);
  for (const line of pairLines([...facts, ['settings', `${data}/center.yaml`]])) output.line('  ' + line);
  output.line('');
  output.line('Next, start it, and let a computer in:');
  output.line('  lowtide center run' + dataSuffix(options));
  output.line('  lowtide center token --name NAME-OF-THE-COMPUTER' + dataSuffix(options));
}

/** @throws LowtideError `bad-schedule`, `bad-zone` */
export function collectingFacts({
  conditions,
  listen,
  addresses,
}: CollectingSettings): readonly (readonly [string, string])[] {
  const windows = describeWindows(parseWindows(conditions.windows, conditions.zone));
  return [
    ['collects', `${windows}, ${conditions.streams} at a time`],
    ['listens on', formatAddress(listen)],
    ['reached at', addresses.map(formatAddress).join(', ')],
  ];
}
