/**
 * Several agents in one process, each with a data folder, a spool, keys and connections of its own. Reads its orders from
 * standard input, one JSON line; says `joined`, then `ready` when every backup is in its spool, and runs until it is ended.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { httpsConnector } from '../../src/cli/connector.ts';
import { joinCenter } from '../../src/http/join.ts';
import { parseToken } from '../../src/identity/token.ts';
import { RandomStream } from '../../src/model/random-stream.ts';
import { openAgentHome, prepareAgent } from '../../src/node/agent/home.ts';
import { Agent } from '../../src/node/agent/agent.ts';
import type { Monitor } from '../../src/world/ports.ts';
import { realWorld } from '../../src/world/real-world.ts';

export interface AgentOrder {
  readonly name: string;
  readonly folder: string;
  readonly token: string;
  readonly bytes: number;
  readonly transfer: string;
}

const monitor: Monitor = {
  event(event) {
    if (event.kind === 'alarm') console.error(JSON.stringify(event));
  },
  problem: (problem) => console.error(JSON.stringify(problem)),
  progress: () => {},
};

async function makeAgent(world: ReturnType<typeof realWorld>, order: AgentOrder): Promise<Agent> {
  const { name, folder, bytes, transfer } = order;
  const [data, files] = [join(folder, 'agent'), join(folder, 'files')];
  mkdirSync(files, { recursive: true });
  mkdirSync(data, { mode: 0o700 });
  // Random bytes do not become less in the spool.
  writeFileSync(join(files, 'data.bin'), new RandomStream('fleet', name).bytes(bytes));
  const software = { name: 'lowtide bench', host: name };
  const { identity } = await joinCenter(world, join(data, 'identity'), parseToken(order.token), software);
  await prepareAgent(world, data, identity);
  const home = await openAgentHome(world, data, software, httpsConnector(world, join(data, 'identity')));
  await home.jobs.add({
    name: 'files',
    paths: [files],
    excludes: [],
    excludeCaches: false,
    oneFileSystem: false,
    backup: 'manual',
    transfer,
    zone: 'UTC',
    centers: [],
    spool: 'files',
    freeAfter: 'centers',
    private: false,
  });
  return await Agent.open(world, { path: data, ...home });
}

async function main(): Promise<void> {
  const text = await new Promise<string>((resolve) => {
    let read = '';
    process.stdin.setEncoding('utf8').on('data', (part: string) => {
      read += part;
      if (read.endsWith('\n')) resolve(read);
    });
  });
  const orders = JSON.parse(text) as readonly AgentOrder[];
  const world = realWorld({ monitor, lanes: 1 });
  const forEver = new AbortController().signal;
  const agents: Agent[] = [];
  for (const order of orders) agents.push(await makeAgent(world, order));
  console.log('joined');
  const lives = agents.map((agent) => agent.run(forEver));
  for (const agent of agents) await agent.take('files', forEver);
  console.log('ready');
  await Promise.all(lives);
}

await main();
