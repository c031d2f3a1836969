import { Depot } from '../depot/depot.ts';
import { connectLocal } from '../http/local-client.ts';
import type { OneAnswer } from '../http/local-verbs.ts';
import { Ledger } from '../ledger/ledger.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { type AgentHome, agentPaths, type Connector, openAgentHome } from '../node/agent/home.ts';
import { agentReading } from '../node/agent/reading.ts';
import { openOther, otherReading } from '../node/agent/other-computer.ts';
import { type KnownCosts, loadCosts } from '../node/agent/source-costs.ts';
import type { Reading } from '../node/reading.ts';
import type { World } from '../world/ports.ts';
import { httpsConnector } from './connector.ts';
import { type Context, dataFolder } from './context.ts';
import { type PlaceOptions, readSecret } from './place.ts';
import { software } from './software.ts';

/** In this process, beside the agent if it runs. */
export async function openAgentReading({ world }: Context, options: PlaceOptions): Promise<Reading> {
  const data = dataFolder('agent', options.data);
  const paths = agentPaths(data);
  const connector = httpsConnector(world, paths.identity);
  const home = await openHome(world, data, connector);
  const depot = await Depot.open(world, paths.spool, 'read');
  const ledger = await Ledger.openReadOnly(world, paths.ledger);
  const { identity, upstreams } = home;
  return agentReading({
    world,
    depot,
    ledger,
    identity,
    upstreams,
    costs: await loadCosts(ledger),
    remember: (costs) => remember(paths.socket, costs),
    disconnect: () => connector.close(),
  });
}

/** What another computer has backed up, from where this one has joined. */
export async function openOtherReading(
  { world }: Context,
  options: PlaceOptions,
  name: string,
): Promise<Reading> {
  const data = dataFolder('agent', options.data);
  const connector = httpsConnector(world, agentPaths(data).identity);
  const { upstreams } = await openHome(world, data, connector);
  const secret = await readSecret(options, `Password of ${name}`);
  const close = async (): Promise<void> => connector.close();
  try {
    return otherReading(world, await openOther(world, upstreams, name, secret), close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function openHome(world: World, data: string, connector: Connector): Promise<AgentHome> {
  return await openAgentHome(world, data, software(), connector).catch((error: unknown) => {
    if (!isLowtideError(error, 'not-a-node')) throw error;
    const message = `there is no agent in ${data}: name a depot with --depot, or join a center with 'lowtide agent join'`;
    throw new LowtideError(error.code, message);
  });
}

// An interface would not do: verbs are an open table.
type AgentVerbs = { readonly rememberSources: OneAnswer<{ readonly costs: KnownCosts }, object> };

/** A restore that is done waits no longer for an agent that was stopped. */
const SOON = { silent_ms: 500, answer_ms: 1_500 };

/** The agent alone writes its ledger; where none runs, or an older one, nothing is remembered. */
async function remember(socket: string, costs: KnownCosts): Promise<void> {
  try {
    const agent = await connectLocal<AgentVerbs>(socket, () => {}, SOON);
    await agent?.ask('rememberSources', { costs });
  } catch (error) {
    if (!isLowtideError(error)) throw error;
  }
}
