import type { Command } from 'commander';
import { serveLocal } from '../../../http/local-server.ts';
import { MINUTE_MS } from '../../../model/time.ts';
import { type AgentHome, agentPaths, openAgentHome } from '../../../node/agent/home.ts';
import { Agent } from '../../../node/agent/agent.ts';
import { agentPeople } from '../../../node/agent/people.ts';
import { httpsConnector } from '../../connector.ts';
import { type Context, dataFolder } from '../../context.ts';
import { runParts } from '../../daemon.ts';
import { learnCenters, type LogMonitor } from '../../log-monitor.ts';
import { type DataOptions, verbsOf } from '../../reach.ts';
import { software } from '../../software.ts';
import { daemonAction, FOREGROUND, newVerb } from '../../verb.ts';
import { whenNobodyRuns } from '../../when-free.ts';
import { withAgentData } from './options.ts';

const IDLE_POLL_MS = 200;

export function agentRunVerb(): Command {
  const verb = newVerb('run', {
    summary: 'Run the agent: takes backups at their hour, sends them when a center orders it',
    about:
      FOREGROUND + ', and it goes on from there when it is started again. All other commands work beside it.',
    examples: [['lowtide agent run', 'in a terminal, or from a service manager']],
  });
  return withAgentData(verb).action(daemonAction(run));
}

async function run(context: Context, log: LogMonitor, options: DataOptions): Promise<void> {
  const { world, stop } = context;
  const data = dataFolder('agent', options.data);
  let name = '';
  while (!stop.aborted) {
    await using open = new AsyncDisposableStack();
    const connector = httpsConnector(world, agentPaths(data).identity);
    open.defer(async () => connector.close());
    const home = await openAgentHome(world, data, software(), connector);
    learnCenters(log, home.client);
    const first = name === '';
    name = home.identity.name;
    await liveUntilReload(context, log, home, () => {
      if (first) world.monitor.event({ kind: 'started', role: 'agent', name });
    });
  }
  if (name !== '') world.monitor.event({ kind: 'stopped', role: 'agent', name });
}

/**
 * Until `stop`, or until somebody changed what only a new start sees: centers and keys.
 * @param onAnswering called once people can ask it
 */
async function liveUntilReload(
  context: Context,
  log: LogMonitor,
  home: AgentHome,
  onAnswering: () => void,
): Promise<void> {
  const { world, stop } = context;
  const { data, identity, settings, upstreams } = home;
  const { socket } = agentPaths(data);
  const reload = new AbortController();
  const until = AbortSignal.any([stop, reload.signal]);
  await using open = new AsyncDisposableStack();
  const agent = await whenNobodyRuns(context, socket, () =>
    Agent.open(world, { path: data, identity, settings, upstreams }),
  );
  open.defer(() => agent.close());
  const people = agentPeople({
    agent,
    home,
    running: true,
    stop: until,
    progress: () => log.lastProgress,
    reload: () => void whenIdle(world, agent, until).then(() => reload.abort()),
  });
  const local = await serveLocal(world, socket, verbsOf(people));
  open.defer(() => local.close());
  onAnswering();
  await runParts(until, [
    (until) => agent.run(until),
    (until) => refresh(world, home, until),
    (until) => world.giveMemoryBack(until),
  ]);
}

/** A backup that is being taken goes on with the centers and keys that it began with. */
async function whenIdle({ clock }: Context['world'], agent: Agent, stop: AbortSignal): Promise<void> {
  while (agent.taking !== null && !stop.aborted) await clock.sleep(IDLE_POLL_MS, stop);
}

async function refresh(world: Context['world'], home: AgentHome, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await world.clock.sleep(MINUTE_MS, stop);
    await home.refresh();
  }
}
