import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import {
  parseDomainSheet,
  parseRecoverySheet,
  printRecoverySheet,
  type RecoverySheet,
} from '../../../format/recovery-sheet.ts';
import { joinCenter } from '../../../http/join.ts';
import { formatAddress } from '../../../identity/addresses.ts';
import type { ClientIdentity, JoinedCenter } from '../../../identity/client-identity.ts';
import { parseToken } from '../../../identity/token.ts';
import { LowtideError, messageOf } from '../../../model/errors.ts';
import { agentPaths, hasOwnKeys, prepareAgent, upstreamsOf } from '../../../node/agent/home.ts';
import { lastLeft } from '../../../node/word-of-leaving.ts';
import { openOther, type OtherComputer } from '../../../node/agent/other-computer.ts';
import { httpsConnector } from '../../connector.ts';
import { absolute, type Context, dataFolder } from '../../context.ts';
import { reloadRunning, tellJoined, tokenText } from '../../join-token.ts';
import { readText } from '../../place.ts';
import type { DataOptions } from '../../reach.ts';
import { hostName } from '../../software.ts';
import { timeText } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { dataSuffix } from '../center/options.ts';
import { withAgentData } from './options.ts';

interface JoinOptions extends DataOptions {
  readonly sheetFile?: string;
  readonly keysOf?: string;
  readonly recoverySheet?: string;
}

export function agentJoinVerb(): Command {
  const verb = newVerb('join', {
    summary: 'Join a center or relay with a token, and make the agent of this machine if there is none',
    about:
      "The token comes from 'lowtide center token' or 'lowtide relay token'. It says where the other end is, how to " +
      'know it, and which centers the backups go to: this machine checks that before it says anything. The keys of ' +
      'the backups are made here and stay here; nobody else can read them. The recovery sheet is shown once: with it, and only with it, the backups can be read ' +
      'when this machine is lost. A machine that has joined one may join others.',
    examples: [
      ['lowtide agent join lt1_...', 'with the token as it was given'],
      [
        'lowtide agent join lt1_... --keys-of shop.key',
        'shares what it stores with the machine that shop.key is from',
      ],
      [
        'lowtide agent join lt1_... --recovery-sheet sheet.txt',
        "in place of a lost machine: with a token that was made with '--reads', and the lost one's sheet",
      ],
      ['lowtide agent join - < token.txt', 'from stdin, so that nobody sees it in the list of processes'],
    ],
  });
  return withAgentData(verb)
    .argument('[TOKEN]', "the token, or '-' for stdin; asked for without")
    .option(
      '--keys-of <FILE>',
      "share the key domain of another machine of yours: the file of its 'lowtide key share', or '-' for stdin",
    )
    .option(
      '--recovery-sheet <FILE>',
      "of a machine that was lost: share its key domain, so that nothing it had stored need be sent again ('-': stdin)",
    )
    .option('--sheet-file <FILE>', 'write the recovery sheet to this new file instead of showing it')
    .action(action(join));
}

async function join(context: Context, given: string | undefined, options: JoinOptions): Promise<void> {
  const { world, output, stop } = context;
  const data = dataFolder('agent', options.data);
  const token = parseToken(await tokenText(given));
  await requireFirst(context, data, options);
  const shared =
    options.keysOf === undefined ? null : parseDomainSheet(await readText(options.keysOf, 'the domain key'));
  const lostSheet = await sheetOfLost(options);
  const paths = agentPaths(data);
  const { identity, center } = await joinCenter(world, paths.identity, token, {
    host: hostName(),
    lastLeft: (client, node) => lastLeft(world, paths.ledger, client, node),
    stop,
  });
  const lost = lostSheet === null ? null : await openLost(context, data, identity, lostSheet);
  const domainKey = lost?.keyring.keys.newest.domainKey ?? shared;
  const sheet = await prepareAgent(world, data, identity, domainKey);
  const running = await reloadRunning(context, paths.socket);
  tellJoined(context, center, { client: identity.client, data });
  if (sheet !== null) await handOut(context, sheet, center, options);
  if (lost !== null) tellLost(context, lost, options);
  if (running) return;
  output.line('Next, say what to back up, and start the agent:');
  output.line(
    '  lowtide job add NAME PATH --backup "daily 22:00" --transfer "00:00-06:00"' + dataSuffix(options),
  );
  output.line('  lowtide agent run' + dataSuffix(options));
}

/** @throws LowtideError `wrong-state` for a machine that has its own keys: what it has stored is under those */
async function requireFirst(
  { world }: Context,
  data: string,
  { keysOf, recoverySheet }: JoinOptions,
): Promise<void> {
  if (keysOf === undefined && recoverySheet === undefined) return;
  if (keysOf !== undefined && recoverySheet !== undefined)
    throw new LowtideError(
      'bad-request',
      'a machine shares one key domain: give --keys-of or --recovery-sheet',
    );
  if (!(await hasOwnKeys(world, data))) return;
  const message =
    keysOf !== undefined
      ? '--keys-of is for its first join'
      : "join without --recovery-sheet, and give that to 'lowtide restore --of'";
  throw new LowtideError('wrong-state', `this machine has keys of its own already: ${message}`);
}

async function sheetOfLost({ recoverySheet }: JoinOptions): Promise<RecoverySheet | null> {
  if (recoverySheet === undefined) return null;
  return parseRecoverySheet(await readText(recoverySheet, 'the recovery sheet'));
}

async function openLost(
  { world }: Context,
  data: string,
  identity: ClientIdentity,
  { client, secret }: RecoverySheet,
): Promise<OtherComputer> {
  const connector = httpsConnector(world, agentPaths(data).identity);
  try {
    return await openOther(world, upstreamsOf(identity, connector), client, { kind: 'recovery', secret });
  } finally {
    connector.close();
  }
}

function tellLost({ output }: Context, { client, name }: OtherComputer, options: JoinOptions): void {
  output.message({ message_type: 'reads', client, name });
  const how = ` --of ${name} --recovery-sheet ${options.recoverySheet}${dataSuffix(options)}`;
  output.line('');
  output.line(`This machine may read what ${name} had backed up:`);
  output.line(`  lowtide snapshots${how}`);
  output.line(`  lowtide restore latest --to DIR${how}`);
  output.line(`What both have is stored once: of its own backups only what ${name} did not have is sent.`);
  output.line('');
}

async function handOut(
  { world, output }: Context,
  sheet: RecoverySheet,
  center: JoinedCenter,
  { sheetFile }: JoinOptions,
): Promise<void> {
  const { zone } = world.clock;
  const text = printRecoverySheet(sheet, {
    Computer: center.name,
    Center: `${center.face.name}, ${center.addresses.map(formatAddress).join(', ')}`,
    Made: `${timeText(world.clock.now(), zone)} ${zone}`,
  });
  if (sheetFile !== undefined) {
    await writeSheet(absolute(sheetFile), text);
    output.message({ message_type: 'recovery_sheet', file: absolute(sheetFile) });
    output.line(`The recovery sheet is in ${absolute(sheetFile)}: print it, put it away, delete the file.`);
    output.line('');
    return;
  }
  output.message({ message_type: 'recovery_sheet', text });
  output.line('');
  output.line('This is shown once. Write it down or print it now: without it, nobody can read the');
  output.line('backups of this machine when the machine is lost.');
  output.line('');
  output.result(text);
}

/** Never over a file that is there: the sheet of another machine may be in it. */
async function writeSheet(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    const message = `the recovery sheet cannot be written (${messageOf(error)}): 'lowtide key add recovery' makes another`;
    throw new LowtideError('disk-failed', message);
  }
}
