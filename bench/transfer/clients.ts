import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** As large as restic makes them. */
export const PACK_BYTES = 16 * 2 ** 20;

/** What one client sends: incompressible packs, each to `path` and the SHA-256 of it. */
export interface Sending {
  readonly port: number;
  readonly user: string;
  readonly path: string;
  /** Over each connection, one after another. */
  readonly packs: number;
  readonly connections: number;
}

/**
 * Clients that do nothing but send, each in a thread of its own. What they send is made and named, and the first pack of
 * each connection has been taken, when the clock starts.
 * @returns milliseconds until the last has all its answers
 */
export async function sendAll(sendings: readonly Sending[], onStart: () => void): Promise<number> {
  const clients = sendings.map((sending) => new Worker(new URL(import.meta.url), { workerData: sending }));
  await Promise.all(clients.map((client) => once(client, 'message')));
  onStart();
  const from = performance.now();
  const sent = clients.map((client) => once(client, 'message'));
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  for (const client of clients) client.postMessage('go');
  await Promise.all(sent);
  const wallMs = performance.now() - from;
  await Promise.all(clients.map((client) => client.terminate()));
  return wallMs;
}

async function send({ packs, connections, ...to }: Sending): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const lanes = Array.from({ length: connections }, () => new Packs(packs + 1));
  const post = (lane: Packs, number: number): Promise<void> => postPack(agent, to, lane.pack(number));
  await Promise.all(lanes.map((lane) => post(lane, 0)));
  say('ready');
  await once(parentPort!, 'message');
  await Promise.all(
    lanes.map(async (lane) => {
      for (let number = 1; number <= packs; number++) await post(lane, number);
    }),
  );
  say('sent');
}

interface Pack {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Packs that differ in their first bytes, in one piece of memory. */
class Packs {
  readonly #bytes = randomFillSync(Buffer.allocUnsafe(PACK_BYTES));
  readonly #names: readonly string[];

  constructor(count: number) {
    this.#names = Array.from({ length: count }, (_, number) =>
      createHash('sha256').update(this.#numbered(number)).digest('hex'),
    );
  }

  /** Good until the next is asked for. */
  pack(number: number): Pack {
    return { name: this.#names[number]!, bytes: this.#numbered(number) };
  }

  #numbered(number: number): Uint8Array {
    this.#bytes.writeUInt32BE(number);
    return this.#bytes;
  }
}

type Target = Pick<Sending, 'port' | 'user' | 'path'>;

async function postPack(agent: Agent, { port, user, path }: Target, { name, bytes }: Pack): Promise<void> {
  const outgoing = request({
    agent,
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    method: 'POST',
    auth: `${user}:`,
    path: `${path}${name}`,
    headers: { 'content-length': bytes.length, 'content-type': 'application/octet-stream' },
  });
  outgoing.end(bytes);
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  if (answer.statusCode !== 200) throw new Error(`POST ${path}${name}: ${answer.statusCode}`);
}

function say(word: 'ready' | 'sent'): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  parentPort!.postMessage(word);
}

if (!isMainThread) await send(workerData as Sending);
