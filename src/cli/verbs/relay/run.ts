import type { Command } from 'commander';
import { openRelayHome, type RelayHome, relayPaths } from '../../../node/relay/home.ts';
import { relayPeople } from '../../../node/relay/people.ts';
import { serveNode } from '../../collecting-daemon.ts';
import { httpsConnector } from '../../connector.ts';
import { type Context, dataFolder } from '../../context.ts';
import { learnCenters, type LogMonitor } from '../../log-monitor.ts';
import { softwareName } from '../../software.ts';
import { daemonAction, FOREGROUND, newVerb } from '../../verb.ts';
import { whenNobodyRuns } from '../../when-free.ts';
import { type NodeOptions, withNodeData } from '../center/options.ts';

export function relayRunVerb(): Command {
  const verb = newVerb('run', {
    summary: 'Run the relay: collects from below, passes on to what is above, keeps what is still owed',
    about:
      FOREGROUND + ', and it goes on from there when it is started again. All other commands work beside it.',
    examples: [['lowtide relay run', 'in a terminal, or from a service manager']],
  });
  return withNodeData(verb, 'relay').action(daemonAction(run));
}

async function run(context: Context, log: LogMonitor, options: NodeOptions): Promise<void> {
  const { world, stop } = context;
  const data = dataFolder('relay', options.data);
  let name = '';
  while (!stop.aborted) {
    await using open = new AsyncDisposableStack();
    const { identity, socket } = relayPaths(data);
    const connector = httpsConnector(world, identity);
    open.defer(async () => connector.close());
    const home = await whenNobodyRuns(context, socket, () =>
      openRelayHome(world, data, softwareName(), connector),
    );
    open.defer(() => home.node.close());
    const first = name === '';
    name = home.authority.face.name;
    await liveUntilReload(context, log, home, (where) => {
      if (!first) return;
      world.monitor.event({ kind: 'started', role: 'relay', name });
      context.output.line(`  ${where}`);
    });
  }
  if (name !== '') world.monitor.event({ kind: 'stopped', role: 'relay', name });
}

/** Until the command is stopped, or until somebody changed the ways up, which only a new start sees. */
async function liveUntilReload(
  context: Context,
  log: LogMonitor,
  home: RelayHome,
  onAnswering: (where: string) => void,
): Promise<void> {
  const reload = new AbortController();
  const until = AbortSignal.any([context.stop, reload.signal]);
  learnCenters(log, home.client);
  const people = relayPeople({ home, running: true, reload: () => reload.abort() });
  const served = { ...home, people, socket: relayPaths(home.data).socket };
  await serveNode(context, log, served, until, onAnswering);
}
