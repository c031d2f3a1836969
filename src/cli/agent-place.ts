import { Depot } from '../depot/depot.ts';
import { Ledger } from '../ledger/ledger.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { agentPaths, openAgentHome } from '../node/agent-home.ts';
import { agentReading } from '../node/agent-reading.ts';
import type { Reading } from '../node/reading.ts';
import { httpsConnector } from './connector.ts';
import { type Context, dataFolder } from './context.ts';
import type { PlaceOptions } from './place.ts';
import { software } from './software.ts';

/** In this process, beside the agent if it runs. */
export async function openAgentReading({ world }: Context, options: PlaceOptions): Promise<Reading> {
  const data = dataFolder('agent', options.data);
  const paths = agentPaths(data);
  const connector = httpsConnector(world, paths.identity);
  const home = await openAgentHome(world, data, software(), connector).catch((error: unknown) => {
    if (!isLowtideError(error, 'not-a-node')) throw error;
    const message = `there is no agent in ${data}: name a depot with --depot, or join a center with 'lowtide agent join'`;
    throw new LowtideError(error.code, message);
  });
  const depot = await Depot.open(world, paths.spool, 'read');
  const ledger = await Ledger.openReadOnly(world, paths.ledger);
  const { identity, upstreams } = home;
  return agentReading({ world, depot, ledger, identity, upstreams, disconnect: () => connector.close() });
}
