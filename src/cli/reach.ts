import { connectLocal } from '../http/local-client.ts';
import type { Verbs } from '../http/local-verbs.ts';
import { Agent } from '../node/agent.ts';
import { agentPaths, openAgentHome } from '../node/agent-home.ts';
import { centerPaths, openCenterHome } from '../node/center-home.ts';
import { type AgentPeople, agentPeople } from '../node/people-agent.ts';
import { type CenterPeople, centerPeople } from '../node/people-center.ts';
import { type RelayPeople, relayPeople } from '../node/people-relay.ts';
import { type PullPeople, Pulls } from '../node/pulls.ts';
import { openRelayHome, relayPaths } from '../node/relay-home.ts';
import { httpsConnector } from './connector.ts';
import { type CommonOptions, type Context, dataFolder } from './context.ts';
import { software, softwareName } from './software.ts';

export interface DataOptions extends CommonOptions {
  readonly data?: string;
}

/** A node's people's API, and who answers: the daemon, or this very process with the data folder open. */
export interface Reached<People> {
  readonly people: People;
  readonly running: boolean;
  /** Only where this process has the agent open: sends what is spooled, until the signal. */
  readonly deliver?: (stop: AbortSignal) => Promise<void>;
}

/** Asks the running agent, or opens its data folder when none runs. */
export async function withAgent<T>(
  context: Context,
  options: DataOptions,
  work: (reached: Reached<AgentPeople>) => Promise<T>,
): Promise<T> {
  const { world, stop } = context;
  const data = dataFolder('agent', options.data);
  const remote = await remotePeople<AgentPeople>(agentPaths(data).socket, stop);
  if (remote !== null) return await work({ people: remote, running: true });
  const connector = httpsConnector(world, agentPaths(data).identity);
  const home = await openAgentHome(world, data, software(), connector);
  const { identity, settings, upstreams } = home;
  const agent = await Agent.open(world, { path: data, identity, settings, upstreams });
  try {
    let delivering = false;
    const people = agentPeople({
      agent,
      home,
      get running() {
        return delivering;
      },
      stop,
      progress: () => null,
      reload: () => {},
    });
    const deliver = async (until: AbortSignal): Promise<void> => {
      delivering = true;
      await agent.deliver(until);
    };
    return await work({ people, running: false, deliver });
  } finally {
    connector.close();
    await agent.close();
  }
}

/** Asks the running relay, or opens its data folder when none runs. */
export async function withRelay<T>(
  context: Context,
  options: DataOptions,
  work: (reached: Reached<RelayPeople>) => Promise<T>,
): Promise<T> {
  const { world, stop } = context;
  const data = dataFolder('relay', options.data);
  const { socket, identity } = relayPaths(data);
  const remote = await remotePeople<RelayPeople>(socket, stop);
  if (remote !== null) return await work({ people: remote, running: true });
  const connector = httpsConnector(world, identity);
  try {
    const home = await openRelayHome(world, data, softwareName(), connector);
    try {
      const people = relayPeople({ home, running: false, reload: () => {} });
      return await work({ people, running: false });
    } finally {
      await home.node.close();
    }
  } finally {
    connector.close();
  }
}

/** What people may ask of a center and of a relay alike. */
export async function withCollecting<T>(
  context: Context,
  role: 'center' | 'relay',
  options: DataOptions,
  work: (reached: Reached<CenterPeople>) => Promise<T>,
): Promise<T> {
  return role === 'center'
    ? await withCenter(context, options, work)
    : await withRelay(context, options, work);
}

/** What a center alone can do beside what a relay can. */
export type CenterReached = Reached<CenterPeople & PullPeople>;

/** Asks the running center, or opens its data folder when none runs. */
export async function withCenter<T>(
  context: Context,
  options: DataOptions,
  work: (reached: CenterReached) => Promise<T>,
): Promise<T> {
  const { world, stop } = context;
  const data = dataFolder('center', options.data);
  const { socket, identity } = centerPaths(data);
  const remote = await remotePeople<CenterReached['people']>(socket, stop);
  if (remote !== null) return await work({ people: remote, running: true });
  const home = await openCenterHome(world, data);
  const connector = httpsConnector(world, identity);
  const pulls = new Pulls(home, connector, softwareName());
  try {
    const people = { ...centerPeople({ ...home, running: false }), ...pulls.people };
    return await work({ people, running: false });
  } finally {
    await pulls.end();
    connector.close();
    await home.node.close();
  }
}

type Handler = (ask: never) => Promise<unknown>;

/** The same interface with every call going over the socket; null if nobody answers there. */
async function remotePeople<People extends object>(
  socket: string,
  stop: AbortSignal,
): Promise<People | null> {
  const client = await connectLocal<Verbs>(socket);
  if (client === null) return null;
  const handlerFor = (_target: object, verb: string | symbol) =>
    // A proxy that had a `then` would be taken for a promise.
    verb === 'then' ? undefined : (ask: object) => client.ask(verb as never, ask, stop);
  return new Proxy<object>({}, { get: handlerFor }) as People;
}

/** Handlers as the local socket serves them. Each checks its own arguments. */
export function verbsOf(people: object): Verbs {
  const handlers = Object.entries(people) as [string, Handler][];
  return Object.fromEntries(
    handlers.map(([name, handler]) => [
      name,
      { kind: 'one', run: (args: unknown) => handler(args as never) },
    ]),
  );
}
