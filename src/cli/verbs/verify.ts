import { type Command } from 'commander';
import { Depot } from '../../depot/depot.ts';
import type { Finding } from '../../depot/verify.ts';
import { LowtideError } from '../../model/errors.ts';
import { shortId } from '../../model/ids.ts';
import type { Context } from '../context.ts';
import { depotOf, type PlaceOptions, withPlace } from '../place.ts';
import { durationText, plural } from '../text.ts';
import { action, newVerb } from '../verb.ts';

interface VerifyOptions extends PlaceOptions {
  readonly readData?: boolean;
}

export function verifyVerb(): Command {
  const verb = newVerb('verify', {
    summary: 'Check that a depot is complete and undamaged',
    about:
      'No password is needed: seals and signatures are checked without reading what they protect. By itself it ' +
      'checks that everything that each snapshot needs is there; with --read-data every byte is read too. ' +
      'What it finds says which snapshots suffer. Nothing is changed.',
    examples: [
      ['lowtide verify --depot /mnt/disk/backups', 'quick: is everything there?'],
      ['lowtide verify --read-data --depot /mnt/disk/backups', 'slow: is every byte as it was written?'],
    ],
  });
  return withPlace(verb).option('--read-data', 'read every byte and check it').action(action(verify));
}

async function verify(context: Context, options: VerifyOptions): Promise<void> {
  const { world, output, stop } = context;
  const startedAt = world.clock.monotonic();
  const path = depotOf(options);
  const depot = await Depot.open(world, path, 'read');
  const findings: Finding[] = [];
  try {
    const how = {
      data: options.readData ?? false,
      stop,
      onProgress: (progress: Parameters<typeof world.monitor.progress>[0]) =>
        world.monitor.progress(progress),
    };
    for await (const finding of depot.verify(how)) {
      findings.push(finding);
      show(context, finding);
    }
  } finally {
    await depot.close();
  }
  context.clearProgress();
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const seconds = (world.clock.monotonic() - startedAt) / 1000;
  output.message({ message_type: 'summary', errors, notes: findings.length - errors, seconds });
  if (errors > 0) {
    const what = `${plural(errors, 'fault')} found in ${path}: snapshots that they spare restore whole`;
    throw new LowtideError('verify-failed', what);
  }
  output.line(`No fault found in ${path} (${durationText(seconds * 1000)}).`);
}

function show({ output, clearProgress }: Context, finding: Finding): void {
  clearProgress();
  output.message({ message_type: 'finding', ...finding });
  const { severity, path, what, code, snapshots } = finding;
  const hurt = snapshots.length === 0 ? '' : `; harms ${snapshots.map(shortId).join(', ')}`;
  output.result(`${severity}: ${path}: ${what} (${code})${hurt}`);
}
