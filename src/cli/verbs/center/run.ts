import type { Command } from 'commander';
import { serveLocal } from '../../../http/local-server.ts';
import { formatAddress } from '../../../identity/addresses.ts';
import { serverCredentials } from '../../../identity/authority.ts';
import { listClients } from '../../../ledger/clients.ts';
import { isLowtideError } from '../../../model/errors.ts';
import { aborted } from '../../../model/stopping.ts';
import { MINUTE_MS } from '../../../model/time.ts';
import { type CenterHome, centerPaths, openCenterHome } from '../../../node/center-home.ts';
import { type CenterSettings, readCenterSettings } from '../../../node/center-settings.ts';
import { centerPeople } from '../../../node/people-center.ts';
import { LastGood } from '../../../node/yaml-file.ts';
import { type Context, dataFolder } from '../../context.ts';
import { once, runParts } from '../../daemon.ts';
import type { LogMonitor } from '../../log-monitor.ts';
import { verbsOf } from '../../reach.ts';
import { daemonAction, newVerb } from '../../verb.ts';
import { type CenterOptions, withCenterData } from './options.ts';

export function centerRunVerb(): Command {
  const verb = newVerb('run', {
    summary: 'Run the center: hears offers, orders computers one after another to send, keeps what arrives',
    about:
      'Stays in the foreground and logs to stdout, one line an event; Ctrl-C or SIGTERM stops it cleanly at any ' +
      'point of its work: what had arrived is kept, and the rest is asked for when it runs again.',
    examples: [['lowtide center run', 'in a terminal, or from a service manager']],
  });
  return withCenterData(verb).action(daemonAction(run));
}

async function run(context: Context, log: LogMonitor, options: CenterOptions): Promise<void> {
  const { world, stop } = context;
  const data = dataFolder('center', options.data);
  await using open = new AsyncDisposableStack();
  const home = await openCenterHome(world, data);
  const { center, authority, settings } = home;
  const { name } = authority.face;
  open.defer(() => center.close());
  log.names.set(authority.face.id, name);
  for (const client of await listClients(center.ledger.db)) log.names.set(client.id, client.name);
  const server = await serve(context, home);
  const closeServer = once(() => server.close());
  open.defer(closeServer);
  const people = centerPeople({ home, running: true });
  const local = await serveLocal(world, centerPaths(data).socket, verbsOf(people));
  open.defer(() => local.close());
  world.monitor.event({ kind: 'started', role: 'center', name });
  const reached = settings.addresses.map(formatAddress).join(', ');
  context.output.line(`  listens on ${formatAddress(settings.listen)}, reached at ${reached}`);
  await runParts(stop, [
    (until) => center.run(until),
    (until) => watchSettings(context, home, until),
    (until) => aborted(until).then(closeServer),
  ]);
  world.monitor.event({ kind: 'stopped', role: 'center', name });
}

async function serve({ world }: Context, { center, authority, settings, enrollment }: CenterHome) {
  // Loaded here: the other verbs of a center need no server.
  const { serveCenter } = await import('../../../http/server.ts');
  const { listen, addresses } = settings;
  const names = [...new Set(addresses.map(({ host }) => host))];
  return await serveCenter({
    world,
    credentials: () => serverCredentials(world, authority, names),
    enrollment,
    api: (client, address) => center.apiFor(client, address),
    listen,
  });
}

/** Conditions take effect within a minute of a change of center.yaml. */
async function watchSettings({ world }: Context, home: CenterHome, stop: AbortSignal): Promise<void> {
  const path = centerPaths(home.data).config;
  const file = new LastGood<CenterSettings>(world, home.settings, () => readCenterSettings(world, path));
  let inForce = JSON.stringify(home.settings.conditions);
  while (!stop.aborted) {
    await world.clock.sleep(MINUTE_MS, stop);
    const { conditions } = await file.current();
    const text = JSON.stringify(conditions);
    if (text === inForce || stop.aborted) continue;
    inForce = text;
    try {
      home.center.collector.setConditions(conditions);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
    }
  }
}
