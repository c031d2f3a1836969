import { Agent } from '../node/agent/agent.ts';
import { agentPaths, openAgentHome } from '../node/agent/home.ts';
import { centerPaths, openCenterHome } from '../node/center/home.ts';
import { overviewPeople } from '../node/center/overview.ts';
import { type AgentPeople, agentPeople } from '../node/agent/people.ts';
import { centerPeople } from '../node/center/people.ts';
import { type RelayPeople, relayPeople } from '../node/relay/people.ts';
import { Pulls } from '../node/center/pulls.ts';
import { openRelayHome, relayPaths } from '../node/relay/home.ts';
import { httpsConnector } from './connector.ts';
import type { Context } from './context.ts';
import type { CenterReached, Reached } from './reach.ts';
import { software, softwareName } from './software.ts';

/** Nodes that do not run, opened by this very process. Loaded where it is needed: asking a running node needs nothing of it. */

/** Opens the data folder of an agent. */
export async function openedAgent<T>(
  { world, stop }: Context,
  data: string,
  work: (reached: Reached<AgentPeople>) => Promise<T>,
): Promise<T> {
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

/** Opens the data folder of a relay. */
export async function openedRelay<T>(
  { world }: Context,
  data: string,
  work: (reached: Reached<RelayPeople>) => Promise<T>,
): Promise<T> {
  const connector = httpsConnector(world, relayPaths(data).identity);
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

/** Opens the data folder of a center. */
export async function openedCenter<T>(
  { world }: Context,
  data: string,
  work: (reached: CenterReached) => Promise<T>,
): Promise<T> {
  const home = await openCenterHome(world, data);
  const connector = httpsConnector(world, centerPaths(data).identity);
  const pulls = new Pulls(home, connector, softwareName());
  try {
    const desk = { ...home, running: false, software: softwareName() };
    const people = { ...centerPeople(desk), ...overviewPeople(desk), ...pulls.people };
    return await work({ people, running: false });
  } finally {
    await pulls.end();
    connector.close();
    await home.node.close();
  }
}
