import { join } from 'node:path';
import type { Command } from 'commander';
import { aborted } from '../../model/stopping.ts';
import { absolute, type CommonOptions, type Context } from '../context.ts';
import { Script } from '../demo/script.ts';
import { LOWTIDE, Stage } from '../demo/stage.ts';
import { action, newVerb } from '../verb.ts';

/** Every checkout has it. */
const DEFAULT_FOLDER = join(import.meta.dirname, '../../../src');

interface DemoOptions extends CommonOptions {
  readonly once?: boolean;
}

export function demoVerb(): Command {
  return newVerb('demo', {
    summary: 'Show all of it on this machine: backup, collection, receipt, restore',
    about:
      'Starts a center and an agent as two processes on the loopback interface, joins them with a token, backs up ' +
      'a folder, restores it from the spool while the center is down, has it collected, shows the receipt, ' +
      'restores it from the center and compares everything with the original. All of it is in a temporary folder ' +
      '(TMPDIR); the folder that is backed up is only read. Afterwards it stays up, to look around, until Ctrl-C.',
    examples: [
      ['lowtide demo', 'with the program’s own source'],
      ['lowtide demo ~/documents --once', 'with a folder of yours; ends when it is done'],
    ],
  })
    .argument('[FOLDER]', 'what to back up', DEFAULT_FOLDER)
    .option('--once', 'end when everything was shown')
    .action(action(demo));
}

async function demo(context: Context, folder: string, options: DemoOptions): Promise<void> {
  const { stop } = context;
  const stage = await Stage.open(stop);
  try {
    const script = new Script(context, stage, absolute(folder));
    await script.play();
    if (options.once === true) return;
    showAround(context, stage, script);
    await aborted(stop);
  } finally {
    await stage.close();
  }
}

function showAround({ output }: Context, stage: Stage, { agent, center }: Script): void {
  const commands = [
    ['status', '--data', agent],
    ['job', 'run', 'demo', '--wait', '--data', agent],
    ['snapshots', '--data', agent],
    ['ls', 'latest', '-l', '--data', agent],
    ['restore', 'latest', '--to', stage.path('restored'), '--data', agent],
    ['center', 'plan', '--data', center],
    ['center', 'ledger', '--data', center],
    ['verify', '--read-data', '--depot', join(center, 'store')],
  ];
  output.line('');
  output.line('Center and agent are still up. In another terminal:');
  for (const words of commands) output.line(`  ${LOWTIDE} ${words.join(' ')}`);
  output.line('Ctrl-C here ends both and removes everything.');
}
