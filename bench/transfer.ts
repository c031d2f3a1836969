/**
 * What a collection over TLS on loopback costs beside a bare upload: a center and one agent, then four, as processes,
 * each with a backup of incompressible bytes in its spool; then a restore from the center; and in the same run a bare node:https
 * upload of as many bytes to a server that drops them, `dd` with fsync, and what `openssl speed` says of AES-256-GCM.
 *
 *   node bench/transfer.ts [--mib 256] [--agents 1,4]
 */
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import {
  Daemon,
  freePort,
  LOWTIDE,
  lowtideJson,
  newFolder,
  removeFolder,
  run,
} from '../test/real/processes.ts';
import { createAuthority, serverCredentials } from '../src/identity/authority.ts';
import { realWorld } from '../src/world/real-world.ts';
import { measured, Meter } from './meter.ts';

const MIB = 2 ** 20;
const READY_MS = 120_000;
const LONG_MS = 600_000;
const PART_BYTES = 64 * 1024;

if (isMainThread) await main();
else await upload(workerData as Upload);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { mib: { type: 'string', default: '256' }, agents: { type: 'string', default: '1,4' } },
  });
  const mebibytes = Number(values.mib);
  await openssl();
  await dd(mebibytes);
  await bareUpload(mebibytes);
  for (const agents of values.agents.split(',')) await collect(Number(agents), mebibytes);
}

function told(what: string, bytes: number, wallMs: number, cpu: string): void {
  const rate = (bytes / 1e6 / (wallMs / 1000)).toFixed(0);
  console.log(`${what}: ${(wallMs / 1000).toFixed(2)} s, ${rate} MB/s; CPU ${cpu}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

/** A center that collects nothing, agents with a backup each; then it collects from all of them. */
async function collect(agents: number, mebibytes: number): Promise<void> {
  const folder = newFolder('transfer');
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
      const home = join(folder, `agent${number}`);
      const [token] = await lowtideJson(['center', 'token', '--name', `agent${number}`, ...center]);
      await lowtideJson(['agent', 'join', String(token!['token']), '--data', home]);
      writeRandom(join(folder, `source${number}`), mebibytes * MIB);
      const job = ['job', 'add', 'all', join(folder, `source${number}`), '--backup', 'manual'];
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
    const target = join(folder, 'restored');
    const args = ['restore', 'latest', '--to', target, '--data', join(folder, 'agent0'), '--json'];
    const meter = new Meter(open.pid);
    const restored = await measured(LOWTIDE, args);
    const both = `center ${seconds(meter.stop().cpuMs)}, restore ${seconds(restored.cost.cpuMs)}`;
    told('restore from the center', mebibytes * MIB, restored.cost.wallMs, both);
  } finally {
    for (const daemon of daemons) if (daemon.running) await daemon.stop();
    removeFolder(folder);
  }
}

function writeRandom(folder: string, bytes: number): void {
  mkdirSync(folder);
  const part = Buffer.allocUnsafe(MIB);
  const file = openSync(join(folder, 'random'), 'w');
  for (let written = 0; written < bytes; written += MIB) writeSync(file, randomFillSync(part));
  closeSync(file);
}

interface Upload {
  readonly port: number;
  readonly bytes: number;
}

/** The server is the main thread and the client another, as two processes would be. */
async function bareUpload(mebibytes: number): Promise<void> {
  const folder = newFolder('bare');
  const monitor = { event: () => {}, problem: () => {}, progress: () => {} };
  const world = realWorld({ monitor, lanes: 1 });
  const authority = await createAuthority(world, join(folder, 'identity'), { name: 'bare', kind: 'center' });
  const { key, chain } = serverCredentials(world, authority, ['127.0.0.1']);
  const server = createServer({ key, cert: chain, minVersion: 'TLSv1.3' }, (incoming, answer) => {
    incoming.resume().on('end', () => answer.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const before = process.cpuUsage();
  const from = performance.now();
  const bytes = mebibytes * MIB;
  await once(new Worker(new URL(import.meta.url), { workerData: { port, bytes } }), 'exit');
  const { user, system } = process.cpuUsage(before);
  told('bare upload', bytes, performance.now() - from, `${seconds((user + system) / 1000)} both ends`);
  server.close();
  await world.close();
  removeFolder(folder);
}

async function upload({ port, bytes }: Upload): Promise<void> {
  const part = randomFillSync(Buffer.allocUnsafe(PART_BYTES));
  const outgoing = request({ port, host: '127.0.0.1', method: 'POST', rejectUnauthorized: false });
  for (let sent = 0; sent < bytes; sent += PART_BYTES) {
    if (!outgoing.write(part)) await once(outgoing, 'drain');
  }
  outgoing.end();
  const [answer] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
  answer.resume();
  await once(answer, 'end');
}

async function dd(mebibytes: number): Promise<void> {
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
