import { existsSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command } from 'commander';
import { connectLocal } from '../../http/local-client.ts';
import { LowtideError } from '../../model/errors.ts';
import { SECOND_MS } from '../../model/time.ts';
import { socketIn } from '../../node/socket-path.ts';
import { type CommonOptions, type Context, dataFolder, isRoot, type Role } from '../context.ts';
import { Systemd } from '../service/systemd.ts';
import { type Service, unitName, unitText } from '../service/unit.ts';
import { action, newGroup, newVerb } from '../verb.ts';

interface ServiceOptions extends CommonOptions {
  readonly data?: string;
  readonly user?: string;
}

const ROLES: readonly Role[] = ['agent', 'center', 'relay'];
const PROGRAM = join(import.meta.dirname, '../../../bin/lowtide');
/** So long a node may take to answer after its start. */
const START_MS = 30 * SECOND_MS;
const LOOK_AGAIN_MS = 200;

export function serviceGroup(): Command {
  return newGroup('service', 'Have systemd run the agent, a center or a relay', [
    installVerb(),
    removeVerb(),
    printVerb(),
  ]);
}

function installVerb(): Command {
  const verb = newVerb('install', {
    summary: 'Run it now and after each start of the machine',
    about:
      'Writes a unit of systemd, starts it, and waits until it answers: as root for the machine, otherwise for you (then it runs ' +
      "while you are logged in, unless 'loginctl enable-linger' says otherwise). What others connect to gets at its own folder and " +
      'the network only; an agent stands back behind other work. To be said again after its data folder or this program has moved.',
    examples: [
      ['lowtide service install center', 'as root: for the machine, as the user who owns the data folder'],
      ['lowtide service install agent', 'as anybody else: for yourself'],
    ],
  });
  return withService(verb).action(action(install));
}

function printVerb(): Command {
  const verb = newVerb('print', {
    summary: 'Show the unit that install would write',
    examples: [['lowtide service print relay --data /srv/relay', 'for whoever writes units another way']],
  });
  return withService(verb).action(action(print));
}

function removeVerb(): Command {
  const verb = newVerb('remove', {
    summary: 'Stop it, and start it no more',
    about: 'Its data stays as it is.',
    examples: [['lowtide service remove agent', 'backups are taken and sent no more']],
  });
  return verb.argument('<ROLE>', ROLES.join(', ')).action(action(remove));
}

const withService = (verb: Command): Command =>
  verb
    .argument('<ROLE>', ROLES.join(', '))
    .option('--data <DIR>', 'its data folder; else LOWTIDE_DATA, else the usual place')
    .option('--user <NAME>', 'as root: who it runs as; else the owner of the data folder');

async function install(context: Context, word: string, options: ServiceOptions): Promise<void> {
  const { output } = context;
  const systemd = new Systemd();
  const service = await serviceOf(context, word, options);
  const { role, data } = service;
  const unit = unitName(role);
  const text = unitText(service);
  if (!(await systemd.isActive(unit)) && (await connectLocal(socketIn(data))) !== null) {
    const message = `the ${role} of ${data} runs already, outside of systemd: stop it first`;
    throw new LowtideError('wrong-state', message);
  }
  const path = systemd.pathOf(unit);
  const before = await systemd.read(unit);
  await systemd.write(unit, text);
  await systemd.control('enable', unit);
  await systemd.control('restart', unit);
  await untilAnswering(context, systemd, service);
  output.message({ message_type: 'service', role, unit, path, data, user: service.user, installed: true });
  output.line(`${before === null ? 'Wrote' : 'Wrote anew'} ${path}.`);
  const when = systemd.isSystem ? 'each start of the machine' : 'each login';
  output.line(`The ${role} runs, and will after ${when}. Its log:`);
  output.line(`  journalctl ${systemd.isSystem ? '' : '--user '}-u ${unit}`);
  if (!systemd.isSystem) output.line("It ends when you log out, unless you say 'loginctl enable-linger'.");
}

async function print(context: Context, word: string, options: ServiceOptions): Promise<void> {
  const service = await serviceOf(context, word, options);
  const unit = unitText(service);
  context.output.message({ message_type: 'unit', name: unitName(service.role), text: unit });
  context.output.result(unit.trimEnd());
}

async function remove({ output }: Context, word: string): Promise<void> {
  const role = roleOf(word);
  const systemd = new Systemd();
  const unit = unitName(role);
  const installed = (await systemd.read(unit)) !== null;
  if (installed) {
    await systemd.control('disable', '--now', unit);
    await systemd.remove(unit);
  }
  output.message({ message_type: 'service', role, unit, path: systemd.pathOf(unit), installed: false });
  output.line(
    installed ? `The ${role} is stopped, and ${unit} is gone. Its data stays.` : `There is no ${unit}.`,
  );
}

function roleOf(word: string): Role {
  const role = ROLES.find((each) => each === word);
  if (role !== undefined) return role;
  throw new LowtideError('bad-request', `${JSON.stringify(word)} is none of ${ROLES.join(', ')}`);
}

/** @throws LowtideError `bad-request`, `not-a-node` if nothing of that kind was made there */
async function serviceOf({ world }: Context, word: string, options: ServiceOptions): Promise<Service> {
  const role = roleOf(word);
  const data = dataFolder(role, options.data);
  if (!existsSync(join(data, `${role}.yaml`))) {
    const verb = role === 'agent' ? 'agent join' : `${role} init`;
    throw new LowtideError('not-a-node', `there is no ${role} in ${data}: 'lowtide ${verb}' makes one`);
  }
  const real = realpathSync(data);
  const store = join(data, 'store');
  const elsewhere = existsSync(store) ? [realpathSync(store)].filter((path) => !isBelow(path, real)) : [];
  const writable = [real, ...elsewhere];
  const anywhere = (...folders: readonly string[]): boolean =>
    [realpathSync(PROGRAM), ...writable].some((path) => folders.some((folder) => isBelow(path, folder)));
  return {
    role,
    program: PROGRAM,
    data,
    writable,
    inHome: anywhere('/home', '/root', '/run/user', homedir()),
    inTemporary: anywhere('/tmp', '/var/tmp'),
    user: await userOf(world, data, options),
  };
}

const isBelow = (path: string, folder: string): boolean => path.startsWith(`${folder}/`);

async function userOf(
  { files: { accounts } }: Context['world'],
  data: string,
  { user }: ServiceOptions,
): Promise<string | null> {
  if (!isRoot()) {
    if (user === undefined) return null;
    throw new LowtideError('bad-request', 'only root can have a service run as somebody else');
  }
  const { uid } = statSync(data);
  if (user === undefined) return (await accounts.userName(uid)) ?? String(uid);
  if ((await accounts.userId(user)) === uid) return user;
  const message = `${data} does not belong to ${user}: 'chown -R ${user} ${data}' changes that`;
  throw new LowtideError('bad-request', message);
}

/** @throws LowtideError `wrong-state` if it ended or never answered */
async function untilAnswering(
  { world: { clock }, stop }: Context,
  systemd: Systemd,
  { role, data }: Service,
): Promise<void> {
  const until = clock.monotonic() + START_MS;
  while ((await connectLocal(socketIn(data))) === null) {
    if (clock.monotonic() > until) {
      const log = `journalctl ${systemd.isSystem ? '' : '--user '}-u ${unitName(role)}`;
      throw new LowtideError('wrong-state', `the ${role} was started and does not answer: '${log}' says why`);
    }
    await clock.sleep(LOOK_AGAIN_MS, stop);
    stop.throwIfAborted();
  }
}
