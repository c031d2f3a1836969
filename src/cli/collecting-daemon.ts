import { serveLocal } from '../http/local-server.ts';
import { formatAddress } from '../identity/addresses.ts';
import { type Authority, serverCredentials } from '../identity/authority.ts';
import type { Enrollment } from '../identity/enrollment.ts';
import { listClients } from '../ledger/clients.ts';
import { aborted } from '../model/stopping.ts';
import type { CollectingSettings } from '../node/settings/collecting-settings.ts';
import type { Center } from '../node/center/center.ts';
import type { Relay } from '../node/relay/relay.ts';
import type { Context } from './context.ts';
import { once, runParts } from './daemon.ts';
import type { LogMonitor } from './log-monitor.ts';
import { verbsOf } from './reach.ts';
import { type WatchedSettings, watchSettings } from './settings-watch.ts';

/** A node that others join, open, and how it answers people. */
export interface Served {
  readonly node: Center | Relay;
  readonly authority: Authority;
  readonly settings: CollectingSettings;
  readonly enrollment: Enrollment;
  /** What people may ask over `socket`. */
  readonly people: object;
  readonly socket: string;
  readonly refresh: WatchedSettings['refresh'];
}

/**
 * The life of a center or relay, until `stop`.
 * @param onAnswering called once machines and people can ask it, with where: `listens on 0.0.0.0:7700, reached at ...`
 */
export async function serveNode(
  context: Context,
  log: LogMonitor,
  served: Served,
  stop: AbortSignal,
  onAnswering: (where: string) => void,
): Promise<void> {
  const { node, authority, settings, people, socket } = served;
  log.names.set(authority.face.id, authority.face.name);
  await learnNames(log, served);
  await using open = new AsyncDisposableStack();
  const server = await listen(context, served);
  const closeServer = once(() => server.close());
  open.defer(closeServer);
  const local = await serveLocal(context.world, socket, verbsOf(people));
  open.defer(() => local.close());
  const reached = settings.addresses.map(formatAddress).join(', ');
  onAnswering(`listens on ${formatAddress(settings.listen)}, reached at ${reached}`);
  await runParts(stop, [
    (until) => node.run(until),
    (until) => watchSettings(context.world.clock, watched(log, served), settings.conditions, until),
    (until) => context.world.giveMemoryBack(until),
    (until) => aborted(until).then(closeServer),
  ]);
}

async function listen({ world }: Context, { node, authority, settings, enrollment }: Served) {
  // Loaded here: the other verbs of a node need no server.
  const { serveCenter } = await import('../http/server.ts');
  const { listen, addresses } = settings;
  const names = [...new Set(addresses.map(({ host }) => host))];
  return await serveCenter({
    world,
    credentials: () => serverCredentials(world, authority, names),
    enrollment,
    api: (client, address) => node.apiFor(client, address),
    listen,
  });
}

/** Machines of the subtree come without a word to the log. */
async function learnNames(log: LogMonitor, { node }: Served): Promise<void> {
  for (const { id, name } of await listClients(node.ledger.db)) log.names.set(id, name);
}

/** Of a relay, those above are told of other hours with a new offer. */
function watched(log: LogMonitor, served: Served): WatchedSettings {
  const { node, refresh } = served;
  return {
    async refresh() {
      await learnNames(log, served);
      return await refresh();
    },
    setConditions: (conditions) => node.collector.setConditions(conditions),
    onChange() {
      if ('uplinks' in node) for (const uplink of node.uplinks) uplink.wake();
    },
  };
}
