import type { Command } from 'commander';
import { LowtideError } from '../../../model/errors.ts';
import { parseSize } from '../../../node/settings/agent-settings.ts';
import { createRelayHome } from '../../../node/relay/home.ts';
import { DEFAULT_CACHE, DEFAULT_STORE } from '../../../node/settings/relay-settings.ts';
import { parseWindows } from '../../../schedule/windows.ts';
import { describeWindows } from '../../../schedule/windows-text.ts';
import { type Context, dataFolder } from '../../context.ts';
import { pairLines } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { collectingFacts } from '../center/init.ts';
import {
  type CollectingOptions,
  collectingWish,
  dataSuffix,
  withCollectingOptions,
  withNodeData,
} from '../center/options.ts';

/** Of the store, unless the usual cache is less. */
const CACHE_PART = 10;
const MIB = 1024 ** 2;

interface InitOptions extends CollectingOptions {
  readonly transfer: string;
  readonly transferZone?: string;
  readonly store: string;
  readonly cache?: string;
}

export function relayInitVerb(): Command {
  const verb = newVerb('init', {
    summary: 'Make a relay: it collects near the computers and passes on when the long line is quiet',
    about:
      'Makes its keys, its store, its ledger and its settings (relay.yaml) in a data folder. It cannot read what passes ' +
      'through it. The windows are when it collects from below; --transfer is when it may send on. With more than ' +
      'one center above it is a branch: it keeps each backup until all of them have it.',
    examples: [
      [
        'lowtide relay init shop --windows any --transfer 01:00-05:00 --zone Asia/Tokyo --address shop.example:7700',
        'collects all day, sends on at night',
      ],
      ['lowtide relay init shop --store "2 TB" --cache "500 GB"', 'with much room for what cannot go on yet'],
    ],
  });
  const named = withNodeData(verb.argument('<NAME>', 'what people call it'), 'relay');
  return withCollectingOptions(named)
    .option('--transfer <WINDOWS>', 'when it may send on', 'any')
    .option('--transfer-zone <ZONE>', 'time zone of that; else that of the windows')
    .option('--store <SIZE>', 'how much it may hold', DEFAULT_STORE)
    .option(
      '--cache <SIZE>',
      `how much of that may be what it has passed on, for restores; else ${DEFAULT_CACHE}, or a tenth of less`,
    )
    .action(action(init));
}

async function init(context: Context, name: string, options: InitOptions): Promise<void> {
  const { world, output } = context;
  const data = dataFolder('relay', options.data);
  const settings = collectingWish(context, options);
  const { addresses } = settings;
  const transfer = {
    windows: options.transfer,
    zone: options.transferZone ?? settings.conditions.zone,
  };
  const { store } = options;
  const cache = options.cache ?? usualCache(store);
  if (parseSize(cache) > parseSize(store)) {
    throw new LowtideError(
      'bad-request',
      `--cache ${cache} is a part of --store ${store} and cannot be more`,
    );
  }
  const facts = [
    ...collectingFacts(settings),
    ['sends on', describeWindows(parseWindows(transfer.windows, transfer.zone))],
    ['holds', `${store}, ${cache} of it for restores`],
    ['settings', `${data}/relay.yaml`],
  ] as const;
  const { face } = await createRelayHome(world, data, name, { ...settings, transfer, store, cache });
  output.message({ message_type: 'initialized', data, relay: face.id, name: face.name, addresses });
  output.line(`Made the relay ${face.name} in ${data}.`);
  for (const line of pairLines(facts)) output.line('  ' + line);
  output.line('');
  output.line(
    "Next, join what is above with a token ('lowtide center token --relay' makes one), start it, and let a",
  );
  output.line('computer in:');
  const suffix = dataSuffix(options);
  output.line('  lowtide relay join TOKEN' + suffix);
  output.line('  lowtide relay run' + suffix);
  output.line('  lowtide relay token --name NAME-OF-THE-COMPUTER' + suffix);
}

/** Small stores have small caches. */
function usualCache(store: string): string {
  const part = Math.floor(parseSize(store) / CACHE_PART);
  return part < parseSize(DEFAULT_CACHE) ? `${Math.floor(part / MIB)} MiB` : DEFAULT_CACHE;
}
