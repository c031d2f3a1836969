/**
 * What a collection over TLS on loopback costs: a center and one agent, then four, as processes, each with a backup of
 * incompressible bytes in its spool; then a restore from the center. In the same run, `dd` with fsync, what `openssl speed`
 * says of AES-256-GCM, a bare node:https server that drops everything, and other programs' servers, each of which is sent
 * as many bytes by as many clients, which do nothing but send.
 *
 *   node bench/transfer.ts [--mib 256] [--agents 1,4] [--agents-in DIR] [--peers DIR]
 *
 * --agents-in puts what is the agents' elsewhere, say on a tmpfs, as other machines have disks of their own.
 */
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createAuthority, serverCredentials, type ServerCredentials } from '../src/identity/authority.ts';
import { realWorld } from '../src/world/real-world.ts';
import {
  Daemon,
  freePort,
  LOWTIDE,
  lowtideJson,
  newFolder,
  removeFolder,
  run,
} from '../test/real/processes.ts';
import { measured, Meter } from './meter.ts';
import { finder } from './tools.ts';
import { PACK_BYTES, sendAll } from './transfer/clients.ts';
import { PEER_SERVERS, sendTo } from './transfer/servers.ts';

const MIB = 2 ** 20;
const READY_MS = 120_000;
const LONG_MS = 600_000;
/** So many packs restic sends at once. */
const CONNECTIONS = 5;

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' },
    agents: { type: 'string', default: '1,4' },
    'agents-in': { type: 'string' },
    peers: { type: 'string' },
  },
});
const agentsIn = values['agents-in'];
const mebibytes = Number(values.mib);
const counts = values.agents.split(',').map(Number);
await openssl();
await dd();
const credentials = await newCredentials();
for (const agents of counts) {
  await bareUpload(agents);
  await peers(agents);
  await collect(agents);
}

function told(what: string, bytes: number, wallMs: number, cpu: string): void {
  const rate = (bytes / 1e6 / (wallMs / 1000)).toFixed(0);
  console.log(`${what}: ${(wallMs / 1000).toFixed(2)} s, ${rate} MB/s; CPU ${cpu}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

async function newCredentials(): Promise<ServerCredentials> {
  const folder = newFolder('identity');
  const monitor = { event: () => {}, problem: () => {}, progress: () => {} };
  const world = realWorld({ monitor, lanes: 1 });
  const authority = await createAuthority(world, join(folder, 'identity'), { name: 'bare', kind: 'center' });
  const made = serverCredentials(world, authority, ['127.0.0.1']);
  await world.close();
  removeFolder(folder);
  return made;
}
/** A center that collects nothing, agents with a backup each; then it collects from all of them. */
async function collect(agents: number): Promise<void> {
  const folder = newFolder('transfer');
  const there = agentsIn === undefined ? folder : mkdtempSync(join(agentsIn, 'transfer-'));
  const address = `127.0.0.1:${await freePort()}`;
  const center = ['--data', join(folder, 'center')];
  const daemons: Daemon[] = [];
  const start = async (...args: string[]): Promise<Daemon> => {
    const daemon = new Daemon(args);
    daemons.push(daemon);
    await daemon.event('started', READY_MS);
    return daemon;
  };
  try {
    await lowtideJson(['center', 'init', '--name', 'center', '--zone', 'UTC', '--streams', '0',
      '--listen', address, '--address', address, ...center]); // prettier-ignore
    const closed = await start('center', 'run', ...center);
    const running: Daemon[] = [];
    for (let number = 0; number < agents; number++) {
      const home = join(there, `agent${number}`);
      const [token] = await lowtideJson(['center', 'token', '--name', `agent${number}`, ...center]);
      await lowtideJson(['agent', 'join', String(token!['token']), '--data', home]);
      writeRandom(join(there, `source${number}`), mebibytes * MIB);
      const job = ['job', 'add', 'all', join(there, `source${number}`), '--backup', 'manual'];
      await lowtideJson([...job, '--data', home]);
      writeFileSync(join(home, 'agent.yaml'), 'spool: 20 GiB\ncompression: off\n');
      running.push(await start('agent', 'run', '--data', home));
      await lowtideJson(['job', 'run', 'all', '--data', home], { timeoutMs: LONG_MS });
    }
    await closed.stop();
    const settings = `listen: ${address}\naddresses: ["${address}"]\nzone: UTC\nstreams: ${agents}\n`;
    writeFileSync(join(folder, 'center', 'center.yaml'), settings);
    const open = await start('center', 'run', ...center);
    const [above, below] = [new Meter(open.pid), new Meter(...running.map(({ pid }) => pid))];
    await open.event('ordered', READY_MS);
    const from = performance.now();
    for (const agent of running) await agent.event('freed', LONG_MS);
    const wallMs = performance.now() - from;
    const cost = above.stop();
    const cpu = `center ${seconds(cost.cpuMs)}, agents ${seconds(below.stop().cpuMs)}; center's peak ${(cost.peakBytes / MIB).toFixed(0)} MiB`;
    told(`collection from ${agents}`, agents * mebibytes * MIB, wallMs, cpu);
    const target = join(there, 'restored');
    const args = ['restore', 'latest', '--to', target, '--data', join(there, 'agent0'), '--json'];
    const meter = new Meter(open.pid);
    const restored = await measured(LOWTIDE, args);
    const both = `center ${seconds(meter.stop().cpuMs)}, restore ${seconds(restored.cost.cpuMs)}`;
    told('restore from the center', mebibytes * MIB, restored.cost.wallMs, both);
  } finally {
    for (const daemon of daemons) if (daemon.running) await daemon.stop();
    for (const path of new Set([folder, there])) removeFolder(path);
  }
}

function writeRandom(folder: string, bytes: number): void {
  mkdirSync(folder);
  const part = Buffer.allocUnsafe(MIB);
  const file = openSync(join(folder, 'random'), 'w');
  for (let written = 0; written < bytes; written += MIB) writeSync(file, randomFillSync(part));
  closeSync(file);
}

/** The server is the main thread and each client another, as processes would be. */
async function bareUpload(clients: number): Promise<void> {
  const { key, chain } = credentials;
  const server = createServer({ key, cert: chain, minVersion: 'TLSv1.3' }, (incoming, answer) => {
    incoming.resume().on('end', () => answer.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const packs = Math.ceil((mebibytes * MIB) / PACK_BYTES);
  const sendings = Array.from({ length: clients }, () => ({
    port,
    user: '',
    path: '/',
    packs,
    connections: 1,
  }));
  let before = process.cpuUsage();
  const wallMs = await sendAll(sendings, () => (before = process.cpuUsage()));
  const { user, system } = process.cpuUsage(before);
  const bytes = clients * packs * PACK_BYTES;
  told(`bare upload from ${clients}`, bytes, wallMs, `${seconds((user + system) / 1000)} both ends`);
  server.close();
}

async function peers(clients: number): Promise<void> {
  const find = finder(values.peers ?? null);
  for (const peer of PEER_SERVERS) {
    const path = find(peer.program);
    if (path === null) {
      console.log(`${peer.program}: not installed, so not compared`);
      continue;
    }
    const packs = Math.ceil((mebibytes * MIB) / PACK_BYTES / CONNECTIONS);
    const sendings = Array.from({ length: clients }, () => ({ packs, connections: CONNECTIONS }));
    const { wallMs, syncMs, server } = await sendTo({ ...peer, path }, credentials, sendings);
    const bytes = clients * CONNECTIONS * packs * PACK_BYTES;
    const cpu = `server ${seconds(server.cpuMs)}; its peak ${(server.peakBytes / MIB).toFixed(0)} MiB; ${seconds(syncMs)} more until all is durable`;
    told(`${peer.program} from ${clients}`, bytes, wallMs, cpu);
  }
}

async function dd(): Promise<void> {
  const folder = newFolder('dd');
  const { cost } = await measured('dd', [
    'if=/dev/zero', `of=${folder}/file`, 'bs=1M', `count=${mebibytes}`, 'conv=fsync']); // prettier-ignore
  told('dd with fsync', mebibytes * MIB, cost.wallMs, seconds(cost.cpuMs));
  removeFolder(folder);
}

async function openssl(): Promise<void> {
  const { out } = await run('openssl', ['speed', '-seconds', '1', '-evp', 'aes-256-gcm', '-bytes', '16384']);
  console.log(`openssl, one thread, records of 16 KiB: ${out.trim().split('\n').at(-1)}`);
}
