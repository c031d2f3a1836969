import { type Command } from 'commander';
import { Depot } from '../../depot/depot.ts';
import type { Finding, VerifyOptions as DepotVerifyOptions } from '../../depot/verify.ts';
import { Ledger } from '../../ledger/ledger.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import type { Progress } from '../../model/events.ts';
import { shortId } from '../../model/ids.ts';
import { agentPaths } from '../../node/agent/home.ts';
import { type Context, dataFolder } from '../context.ts';
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
      'What it finds says which snapshots suffer. Nothing is changed. Without --depot: the spool of the agent of ' +
      'this machine, which needs to hold only what was not collected yet. A center’s store is a depot too.',
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
  const { path, expect } = await whatToVerify(context, options);
  const depot = await Depot.open(world, path, 'read');
  const findings: Finding[] = [];
  try {
    const onProgress = (progress: Progress): void => world.monitor.progress(progress);
    const how = { data: options.readData ?? false, stop, onProgress, ...(expect !== null && { expect }) };
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
  output.message({ message_type: 'summary', depot: path, errors, notes: findings.length - errors, seconds });
  if (errors > 0) {
    const what = `${plural(errors, 'fault')} found in ${path}: snapshots that are not named above are whole`;
    throw new LowtideError('verify-failed', what);
  }
  output.line(`No fault found in ${path} (${durationText(seconds * 1000)}).`);
}

interface Verified {
  readonly path: string;
  readonly expect: NonNullable<DepotVerifyOptions['expect']> | null;
}

async function whatToVerify({ world }: Context, options: VerifyOptions): Promise<Verified> {
  if (options.depot !== undefined && options.depot !== '') return { path: depotOf(options), expect: null };
  const paths = agentPaths(dataFolder('agent', options.data));
  const ledger = await Ledger.openReadOnly(world, paths.ledger).catch((error: unknown) => {
    if (!isLowtideError(error, 'not-found')) throw error;
    throw new LowtideError(
      'not-a-node',
      `there is no agent in ${dataFolder('agent', options.data)}: name a depot with --depot`,
    );
  });
  try {
    const drained = await ledger.db
      .selectFrom('snapshots')
      .select('id')
      .where('pack_group', 'is', null)
      .execute();
    const ids = new Set(drained.map(({ id }) => id));
    return { path: paths.spool, expect: (signed) => (ids.has(signed.id) ? 'manifest' : 'delta') };
  } finally {
    await ledger.close();
  }
}

function show({ output, clearProgress }: Context, finding: Finding): void {
  clearProgress();
  output.message({ message_type: 'finding', ...finding });
  const { severity, path, what, code, snapshots } = finding;
  const hurt = snapshots.length === 0 ? '' : `; harms ${snapshots.map(shortId).join(', ')}`;
  output.result(`${severity}: ${path}: ${what} (${code})${hurt}`);
}
