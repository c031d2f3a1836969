/**
 * What a center needs while many agents are connected: a real center as a process, and agents that are enrolled and
 * connected as agents are (TLS, a client certificate of their own, a session, the long answer of orders), all in this process.
 *
 *   node bench/connected.ts [--agents 1000] [--idle-s 30]
 *
 * An address may have so many connections only, so they come from the addresses that this machine has for itself.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Daemon, freePort, lowtideJson, newFolder, removeFolder, sleep } from '../test/real/processes.ts';
import { instanceIdOf } from '../src/format/signing.ts';
import { type CenterConnection, connectCenter } from '../src/http/center-client.ts';
import { httpLimits } from '../src/http/http-limits.ts';
import { joinCenter, pinOf } from '../src/http/join.ts';
import type { Address } from '../src/identity/addresses.ts';
import { clientCredentials } from '../src/identity/client-identity.ts';
import { type JoinToken, parseToken } from '../src/identity/token.ts';
import { limits } from '../src/model/limits.ts';
import { openCenterHome } from '../src/node/center/home.ts';
import { PROTOCOL_VERSION } from '../src/protocol/center-api.ts';
import { realWorld } from '../src/world/real-world.ts';
import { Meter } from './meter.ts';

const { values } = parseArgs({
  options: { agents: { type: 'string', default: '1000' }, 'idle-s': { type: 'string', default: '30' } },
});
const agents = Number(values.agents);
const AT_ONCE = 8;
/** Of those that one address may have, some are for joining. */
const SHARE = 0.9;

const silent = { event: () => {}, problem: () => {}, progress: () => {} };
const folder = newFolder('connected');
const world = realWorld({ monitor: silent, lanes: 1 });
const stop = new AbortController();
const connections: CenterConnection[] = [];
const sessions: Promise<void>[] = [];
const data = join(folder, 'center');
const port = await freePort();

const hosts = [
  '127.0.0.1',
  '::1',
  ...Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address),
];
const room = hosts.length * httpLimits.connections_per_address * SHARE;
if (agents > room) console.log(`this machine's addresses have room for ${room} agents only`);

let joined = 0;
const tokens = await makeTokens(Math.min(agents, room));
const daemon = new Daemon(['center', 'run', '--data', data]);
try {
  await listening();
  const before = rss(daemon.pid);
  await Promise.all(Array.from({ length: AT_ONCE }, joinSome));
  const meter = new Meter(daemon.pid);
  await sleep(Number(values['idle-s']) * 1000);
  const { peakBytes, cpuMs } = meter.stop();
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  console.log(
    `${connections.length} agents connected: center ${mib(rss(daemon.pid))} MiB, ${mib(before)} MiB before them, ` +
      `${mib(peakBytes)} MiB peak and ${cpuMs.toFixed(0)} ms of CPU in ${values['idle-s']} s of waiting; ` +
      `peak of its life ${mib(rss(daemon.pid, 'VmHWM'))} MiB`,
  );
} finally {
  stop.abort();
  await Promise.all(sessions);
  for (const connection of connections) connection.close();
  await daemon.stop();
  await world.close();
  removeFolder(folder);
}

async function makeTokens(count: number): Promise<JoinToken[]> {
  const where = ['--listen', `[::]:${port}`, '--address', `127.0.0.1:${port}`];
  await lowtideJson(['center', 'init', '--name', 'center', ...where, '--data', data]);
  const home = await openCenterHome(world, data);
  const made: JoinToken[] = [];
  for (let number = 0; number < count; number++) {
    const host = hosts[number % hosts.length]!;
    const addresses: Address[] = [{ host, port }];
    const { text } = await home.enrollment.makeToken({
      addresses,
      name: `computer-${number}`,
      role: 'agent',
    });
    made.push(parseToken(text));
  }
  await home.node.close();
  return made;
}

async function listening(): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await sleep(100);
    } finally {
      socket.destroy();
    }
  }
  throw new Error('the center does not listen');
}

async function joinSome(): Promise<void> {
  for (let number = joined++; number < tokens.length; number = joined++) {
    const directory = join(folder, 'agents', String(number));
    const { identity, center } = await joinCenter(world, directory, tokens[number]!, { host: `c${number}` });
    const credentials = clientCredentials(identity, center);
    const connection = connectCenter({ pin: pinOf(center), ca: center.ca, credentials, limits });
    const { client } = identity;
    const clock = world.clock.now();
    await connection.hello({
      protocol: PROTOCOL_VERSION,
      client,
      instance: instanceIdOf(identity.instance.publicKey),
      software: 'bench',
      session: null,
      clock,
    });
    const orders = connection.orders(stop.signal)[Symbol.asyncIterator]();
    connections.push(connection);
    sessions.push(
      orders.next().then(
        () => undefined,
        (error: unknown) => console.log(`agent ${number}: ${String(error)}`),
      ),
    );
    if (number % 100 === 99)
      console.log(`${number + 1} agents, center ${(rss(daemon.pid) / 2 ** 20).toFixed(0)} MiB`);
  }
}

function rss(pid: number, what = 'VmRSS'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(new RegExp(`^${what}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) * 1024;
}
