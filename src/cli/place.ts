import { readFile } from 'node:fs/promises';
import { text as textOf } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import type { Secret } from '../format/keyring-slots.ts';
import { LowtideError, messageOf } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';
import type { Reading, SnapshotLine } from '../node/reading.ts';
import type { Unlocking } from '../node/unlocking.ts';
import type { SnapshotReader } from '../restore/snapshot-reader.ts';
import { absolute, type CommonOptions, type Context } from './context.ts';
import { readPassword } from './password.ts';

// What opens a store is loaded where it is needed: a verb begins without it.

/** Which store a verb is about: a depot by name, else the data folder of the machine's agent. */
export interface PlaceOptions extends CommonOptions {
  readonly depot?: string;
  readonly data?: string;
  readonly recoverySheet?: string;
  readonly of?: string;
}

const PLACE = 'Where:';

export function withDepot(command: Command): Command {
  return command
    .addOption(new Option('--depot <DEPOT>', 'a depot by itself').env('LOWTIDE_DEPOT').helpGroup(PLACE))
    .addOption(
      new Option(
        '--recovery-sheet <FILE>',
        "open it with a recovery sheet instead of a password ('-': stdin)",
      ).helpGroup(PLACE),
    );
}

/** `--depot`, or without it the agent's data folder. */
export function withPlace(command: Command): Command {
  return withDepot(command).addOption(
    new Option('--data <DIR>', "the agent's data folder, when there is no --depot").helpGroup(PLACE),
  );
}

/** For who only reads: also what another computer has backed up. */
export function withReadable(command: Command): Command {
  return withPlace(command).addOption(
    new Option(
      '--of <NAME>',
      "what another computer has backed up, where the operator let this one read it ('--reads'); with its --recovery-sheet, or its password",
    ).helpGroup(PLACE),
  );
}

/** @throws LowtideError `bad-request` */
export function depotOf(options: PlaceOptions): string {
  if (options.depot !== undefined && options.depot !== '') return absolute(options.depot);
  throw new LowtideError('bad-request', 'name the depot with --depot, or in LOWTIDE_DEPOT');
}

/** The recovery sheet if one is named, else a password. */
export async function readSecret(options: PlaceOptions, question = 'Password'): Promise<Secret> {
  if (options.recoverySheet === undefined) {
    return { kind: 'passphrase', passphrase: await readPassword(question) };
  }
  const text = await readText(options.recoverySheet, 'the recovery sheet');
  const { parseRecoverySheet } = await import('../format/recovery-sheet.ts');
  return { kind: 'recovery', secret: parseRecoverySheet(text).secret };
}

/** A depot that is being unlocked. */
export interface BegunDepot {
  readonly depot: string;
  readonly secret: Secret;
  readonly unlocking: Unlocking;
  /** When it was known what to do: `Clock.monotonic`. */
  readonly since: number;
}

/**
 * What a verb about a depot begins with, before it loads anything else: a password's key takes a fifth of a second. It
 * resolves when that is under way, in a thread of the system's.
 */
export async function beginDepot(options: PlaceOptions): Promise<BegunDepot> {
  const depot = depotOf(options);
  const secret = await readSecret(options);
  const since = performance.now();
  const { beginUnlocking } = await import('../node/unlocking.ts');
  const { realDisk } = await import('../world/disk/disk.ts');
  const { limits } = await import('../model/limits.ts');
  return {
    depot,
    secret,
    since,
    unlocking: await beginUnlocking({ disk: realDisk(), limits }, depot, secret),
  };
}

/** The same; null where the options name no depot. @throws LowtideError `bad-request` also for `--of` with one */
export async function beginPlace(options: PlaceOptions): Promise<BegunDepot | null> {
  if (options.depot === undefined || options.depot === '') return null;
  if (options.of !== undefined)
    throw new LowtideError('bad-request', '--of asks what this computer has joined: leave --depot away');
  return await beginDepot(options);
}

/** A whole file as text, or standard input for `-`. */
export async function readText(path: string, what: string): Promise<string> {
  try {
    return path === '-' ? await textOf(process.stdin) : await readFile(path, 'utf8');
  } catch (error) {
    throw new LowtideError('not-found', `${what} cannot be read: ${messageOf(error)}`);
  }
}

/** Exclude patterns from files, one a line; empty lines and comments are passed over. */
export async function readPatterns(files: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(files.map((file) => readText(file, `the exclude file ${file}`)));
  return texts.flatMap((text) => text.split(/\r?\n/)).filter((line) => line !== '' && !line.startsWith('#'));
}

/**
 * Opens what the options name for reading, runs `work`, closes it.
 * @param begun by `beginPlace`, if that was done already
 */
export async function withReading<T>(
  context: Context,
  options: PlaceOptions,
  work: (reading: Reading) => Promise<T>,
  begun?: BegunDepot | null,
): Promise<T> {
  const reading = await openReading(context, options, begun ?? (await beginPlace(options)));
  try {
    return await work(reading);
  } finally {
    await reading.close();
  }
}

async function openReading(
  context: Context,
  options: PlaceOptions,
  begun: BegunDepot | null,
): Promise<Reading> {
  const { world } = context;
  if (begun === null) {
    const { openAgentReading, openOtherReading } = await import('./agent-place.ts');
    return options.of === undefined
      ? await openAgentReading(context, options)
      : await openOtherReading(context, options, options.of);
  }
  const { depot, secret, unlocking } = begun;
  const { aloneReading, openAlone } = await import('../node/alone/alone.ts');
  const alone = await openAlone(world, depot, secret, 'read', unlocking);
  return aloneReading(world, alone);
}

export interface ChoiceOptions {
  readonly job?: string;
}

/** The snapshot that a person named. */
export async function chosenLine(
  reading: Reading,
  text: string,
  options: ChoiceOptions,
): Promise<SnapshotLine> {
  const { resolveLine } = await import('../node/reading.ts');
  return resolveLine(await reading.list(), text, options.job);
}

/** To look into a snapshot that a person named. */
export async function chosenReader(
  context: Context,
  reading: Reading,
  text: string,
  options: ChoiceOptions,
): Promise<SnapshotReader> {
  return await readerOf(context, reading, (await chosenLine(reading, text, options)).id);
}

export async function readerOf(
  { world, stop }: Context,
  reading: Reading,
  id: SnapshotId,
): Promise<SnapshotReader> {
  const { SnapshotReader } = await import('../restore/snapshot-reader.ts');
  return new SnapshotReader(world, await reading.manifest(id), reading.keys, reading.sources, stop);
}
