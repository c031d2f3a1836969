import { stat } from 'node:fs/promises';
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { dumpObject } from '../../format/dump.ts';
import type { KeyStore } from '../../format/domain-keys.ts';
import { LowtideError, messageOf } from '../../model/errors.ts';
import type { BlockId } from '../../model/ids.ts';
import { Depot } from '../../depot/depot.ts';
import { unlockDepot } from '../../node/alone/alone.ts';
import { absolute, type Context } from '../context.ts';
import { depotOf, type PlaceOptions, readSecret, withDepot } from '../place.ts';
import { action, newGroup, newVerb } from '../verb.ts';

const OBJECT_BYTES_MAX = 2 ** 30;

export function debugGroup(): Command {
  return newGroup('debug', 'Look inside what Lowtide stores', [dumpVerb()]);
}

interface DumpOptions extends PlaceOptions {
  readonly open?: boolean;
}

function dumpVerb(): Command {
  const verb = newVerb('dump', {
    summary: 'Describe a stored object: a block, a pack, a manifest, a keyring, a receipt',
    about:
      'OBJECT is a file, or with --depot the id of a block or snapshot in it (the first digits will do for a ' +
      'snapshot). What is sealed is said to be sealed, unless --open asks for the password of the depot. Damage is ' +
      'part of the description.',
    examples: [
      ['lowtide debug dump /mnt/disk/backups/manifests/3f2a91...', 'a file'],
      ['lowtide debug dump 3f2a91 --depot /mnt/disk/backups --open', 'a snapshot, its sealed half too'],
    ],
  });
  return withDepot(verb)
    .argument('<OBJECT>', 'a file or an id')
    .option('--open', 'open what is sealed, with the password of the depot')
    .action(action(dump));
}

async function dump(context: Context, object: string, options: DumpOptions): Promise<void> {
  const { world, output } = context;
  const inDepot = options.depot !== undefined && options.depot !== '';
  const depot = inDepot ? await Depot.open(world, depotOf(options), 'read') : null;
  try {
    const keys = options.open === true ? await keysOf(context, depot, options) : null;
    const bytes = await objectBytes(depot, object);
    const description = dumpObject(bytes, { limits: world.limits, ...(keys !== null && { keys }) });
    output.message({ message_type: 'object', object: description });
    output.result(JSON.stringify(description, null, 2));
  } finally {
    await depot?.close();
  }
}

async function keysOf({ world }: Context, depot: Depot | null, options: DumpOptions): Promise<KeyStore> {
  if (depot === null)
    throw new LowtideError('bad-request', '--open needs --depot: the keys are in its keyring');
  return (await unlockDepot(world, depot, await readSecret(options))).keys;
}

/** A file if there is one of this name, else an object of the depot. */
async function objectBytes(depot: Depot | null, object: string): Promise<Uint8Array> {
  const path = absolute(object);
  const found = await stat(path).catch(() => null);
  if (found?.isFile() === true) {
    if (found.size > OBJECT_BYTES_MAX) throw new LowtideError('too-large', `${path} has more than 1 GiB`);
    return await readFile(path).catch((error: unknown) => {
      throw new LowtideError('not-found', `${path} cannot be read: ${messageOf(error)}`);
    });
  }
  if (depot === null || !/^[0-9a-f]{1,64}$/i.test(object)) {
    throw new LowtideError(
      'not-found',
      `there is no file ${path}${depot === null ? ' (an id needs --depot)' : ''}`,
    );
  }
  return await byId(depot, object.toLowerCase());
}

async function byId(depot: Depot, prefix: string): Promise<Uint8Array> {
  const matches: Uint8Array[] = [];
  for await (const signed of depot.manifests()) {
    if ('bytes' in signed && signed.id.startsWith(prefix)) matches.push(signed.bytes);
  }
  const [manifest] = matches;
  if (manifest !== undefined && matches.length === 1) return manifest;
  if (manifest !== undefined) {
    throw new LowtideError(
      'ambiguous-snapshot',
      `${matches.length} snapshots start with ${prefix}: give more digits`,
    );
  }
  if (prefix.length === 64) return await depot.readOne(prefix as BlockId);
  throw new LowtideError('not-found', `no snapshot starts with ${prefix}; a block needs its whole id`);
}
