import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { ServerCredentials } from '../../src/identity/authority.ts';
import { cleanEnv, freePort, newFolder, removeFolder } from '../../test/real/processes.ts';
import { type Cost, measured, Meter } from '../meter.ts';
import { type Sending, sendAll } from './clients.ts';

/** A server that takes packs by restic's REST protocol. */
export interface PeerServer {
  readonly program: string;
  serve(address: string, folder: string, certificate: string, key: string): readonly string[];
}

/** None asks who comes. What they do with a pack before they answer is their own choice. */
export const PEER_SERVERS: readonly PeerServer[] = [
  {
    program: 'rest-server',
    serve: (address, folder, certificate, key) =>
      ['--no-auth', '--listen', address, '--path', folder, '--tls', '--tls-cert', certificate, '--tls-key', key], // prettier-ignore
  },
  {
    program: 'rustic-server',
    serve: (address, folder, certificate, key) => {
      // Each user may write into the repository of his name; it wants to be told so by a file, which may be empty.
      writeFileSync(join(folder, 'acl.toml'), '');
      return ['serve', '--no-auth', '--listen', address, '--path', folder, '--tls', '--tls-cert', certificate, '--tls-key', key]; // prettier-ignore
    },
  },
  {
    program: 'rclone',
    serve: (address, folder, certificate, key) =>
      ['serve', 'restic', '--addr', address, '--cert', certificate, '--key', key, folder], // prettier-ignore
  },
];

const READY_MS = 20_000;
const TRY_MS = 100;

export interface Taken {
  readonly wallMs: number;
  /** What it takes until nothing of it would be lost in a power failure. */
  readonly syncMs: number;
  readonly server: Cost;
}

/** Runs a server, has `sendings` sent to it, each into a repository of its own, and ends it. */
export async function sendTo(
  server: PeerServer & { readonly path: string },
  { key, chain }: ServerCredentials,
  sendings: readonly Omit<Sending, 'port' | 'user' | 'path'>[],
): Promise<Taken> {
  const folder = newFolder(server.program);
  const [certificate, secret, store] = ['chain.pem', 'key.pem', 'store'].map((name) => join(folder, name));
  writeFileSync(certificate!, chain);
  writeFileSync(secret!, key, { mode: 0o600 });
  mkdirSync(store!);
  const port = await freePort();
  const args = server.serve(`127.0.0.1:${port}`, store!, certificate!, secret!);
  const child = spawn(server.path, args, { env: cleanEnv({ HOME: folder }), stdio: 'ignore' });
  try {
    for (const number of sendings.keys()) await makeRepository(child, port, `agent${number}`);
    let meter: Meter | undefined;
    const all = sendings.map((sending, number) => ({
      ...sending,
      port,
      user: `agent${number}`,
      path: `/agent${number}/data/`,
    }));
    const wallMs = await sendAll(all, () => (meter = new Meter(child.pid!)));
    const cost = meter!.stop();
    const { cost: sync } = await measured('sync', ['-f', store!]);
    return { wallMs, syncMs: sync.wallMs, server: cost };
  } finally {
    child.kill();
    if (child.exitCode === null) await once(child, 'exit');
    removeFolder(folder);
  }
}

/** Asked again until the server is up. */
async function makeRepository(child: ChildProcess, port: number, user: string): Promise<void> {
  for (const end = performance.now() + READY_MS; ;) {
    try {
      return await create(port, user);
    } catch (error) {
      if (performance.now() > end || child.exitCode !== null) throw error;
      await setTimeout(TRY_MS);
    }
  }
}

async function create(port: number, user: string): Promise<void> {
  const outgoing = request({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    method: 'POST',
    auth: `${user}:`,
    path: `/${user}/?create=true`,
  });
  outgoing.end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  answer.resume();
  if (answer.statusCode !== 200) throw new Error(`${user} may not make a repository: ${answer.statusCode}`);
}
