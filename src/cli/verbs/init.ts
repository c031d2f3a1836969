import type { Command } from 'commander';
import { checkNotInitialised, initAlone } from '../../node/alone/alone.ts';
import { absolute, type CommonOptions, type Context } from '../context.ts';
import { readPassword } from '../password.ts';
import { action, newVerb } from '../verb.ts';

export function initVerb(): Command {
  return newVerb('init', {
    summary: 'Make a depot: a folder that holds encrypted backups',
    about:
      'A depot needs no center: a folder on another disk or a mounted share will do. Everything in it is ' +
      'sealed with keys that a password opens. The password is asked for, or comes from the file that ' +
      'LOWTIDE_PASSWORD_FILE names, or from LOWTIDE_PASSWORD. Without it nothing can be restored: ' +
      "'lowtide key add recovery' prints a recovery sheet to put away.",
    examples: [['lowtide init /mnt/disk/backups', 'asks for a new password and makes the depot']],
  })
    .argument('<DEPOT>', 'folder to make it in: new or empty')
    .action(action(init));
}

async function init(context: Context, folder: string, _options: CommonOptions): Promise<void> {
  const { world, output } = context;
  const path = absolute(folder);
  await checkNotInitialised(world, path);
  const passphrase = await readPassword(`New password for ${path}`, true);
  const { keyring } = await initAlone(world, path, passphrase);
  output.message({ message_type: 'initialized', depot: path, client: keyring.client });
  output.line(`Made a depot at ${path}.`);
  output.line('Without its password nothing can be restored: keep it somewhere else too.');
  output.line('');
  output.line(`  lowtide backup PATH --depot ${path}`);
}
