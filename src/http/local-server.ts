import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import * as net from 'node:net';
import { z } from 'zod';
import { isLowtideError, LowtideError, messageOf } from '../model/errors.ts';
import { decodeMessage } from '../protocol/fields.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import type { World } from '../world/ports.ts';
import { readLines } from './lines.ts';
import { type LocalLine, REQUEST_BYTES_MAX, type Verbs } from './local-verbs.ts';
import { watchOpenFiles } from './open-files.ts';
import { Outflow } from './outflow.ts';
import { type Patience, patiently } from './patience.ts';

/** The system's limit for the path of a socket, its final NUL included. */
const SOCKET_PATH_BYTES_MAX = 108;
const REQUEST_MS = 5000;
/** An asker that does not read for this long has gone: a pager may be left open over lunch. */
const READER_MS = 3_600_000;
const CLOSE_MS = 5000;
const LINGER_MS = 2000;
const OWNER_ONLY = 0o177;

const requestShape = z.strictObject({ verb: z.string().max(100), args: z.json() });

export interface LocalServer {
  /** Takes nothing new, tells what is under way to stop, and waits a moment for it. */
  close(): Promise<void>;
}

/**
 * Answers on a unix socket (mode 0600). Who can open it may do everything: that is the owner, and root. Take the lock of
 * the data folder first: a socket that nobody answers on is removed.
 * @throws LowtideError `locked` if another process answers there, `bad-path`, `forbidden`
 */
export async function serveLocal(world: World, path: string, verbs: Verbs): Promise<LocalServer> {
  if (Buffer.byteLength(path) >= SOCKET_PATH_BYTES_MAX) {
    throw new LowtideError(
      'bad-path',
      `${path} is too long for a socket: use a data folder with a shorter path`,
    );
  }
  await removeStale(path);
  const closing = new AbortController();
  const open = new Map<net.Socket, Promise<void>>();
  const server = net.createServer((socket) => {
    open.set(socket, serveOne(world, verbs, socket, closing.signal));
    socket.once('close', () => open.delete(socket));
  });
  await listenPrivately(server, path);
  const watching = watchOpenFiles(world, closing.signal);
  return {
    close: async () => {
      closing.abort();
      const closed = once(server, 'close');
      server.close();
      const late = new AbortController();
      await Promise.race([Promise.all(open.values()), world.clock.sleep(CLOSE_MS, late.signal)]);
      late.abort();
      for (const socket of open.keys()) socket.destroy();
      await closed;
      await watching;
    },
  };
}

/** One request, one answer; then the connection ends. Never rejects. */
async function serveOne(world: World, verbs: Verbs, socket: net.Socket, closing: AbortSignal): Promise<void> {
  const gone = new AbortController();
  const onClosing = (): void => gone.abort();
  closing.addEventListener('abort', onClosing, { once: true });
  socket.on('error', () => {});
  socket.once('close', () => gone.abort());
  const patience: Patience = { idle_ms: READER_MS, bytes_per_second_min: 0, late: broken, broken };
  const outflow = new Outflow(socket, patience);
  const say = (line: LocalLine): Promise<void> => outflow.send([Buffer.from(JSON.stringify(line) + '\n')]);
  try {
    const { verb, args } = await readRequest(socket);
    // Whatever else comes is dropped; that the asker goes away is noticed.
    socket.resume();
    await carryOut(verbs, verb, args, gone.signal, say);
  } catch (error) {
    if (!isLowtideError(error)) {
      world.monitor.event({
        kind: 'alarm',
        code: 'crashed',
        message: `a local request failed: ${messageOf(error)}`,
      });
    }
    const code = isLowtideError(error) ? error.code : 'crashed';
    await say({ error: { code, message: messageOf(error) } }).catch(() => {});
  } finally {
    closing.removeEventListener('abort', onClosing);
    endGently(socket);
  }
}

/** Reads and drops what still comes: closing at once would reset the connection, and with it our answer. */
function endGently(socket: net.Socket): void {
  socket.resume();
  socket.end();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

async function carryOut(
  verbs: Verbs,
  name: string,
  args: z.infer<typeof requestShape>['args'],
  stop: AbortSignal,
  say: (line: LocalLine) => Promise<void>,
): Promise<void> {
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb === undefined)
    throw new LowtideError(
      'bad-request',
      `what runs in this data folder cannot do ${JSON.stringify(name)}: is it that of an agent, a relay or a center?`,
    );
  if (verb.kind === 'one') {
    await say({ result: (await verb.run(args, stop)) ?? null });
    return;
  }
  const items = verb.run(args, stop);
  try {
    for (;;) {
      const next = await items.next();
      if (next.done === true) return await say({ result: next.value ?? null });
      await say({ item: next.value });
    }
  } finally {
    await items.return(undefined);
  }
}

async function readRequest(socket: net.Socket): Promise<z.infer<typeof requestShape>> {
  const late = (): Error => new LowtideError('bad-request', 'the request did not come');
  const patience = { idle_ms: REQUEST_MS, bytes_per_second_min: REQUEST_BYTES_MAX, late, broken };
  for await (const line of readLines(patiently(socket, patience), REQUEST_BYTES_MAX, 'too-large')) {
    return decodeMessage(requestShape, parseStrictJson(line), 'bad-request');
  }
  throw broken();
}

const broken = (): LowtideError => new LowtideError('interrupted', 'the asker has gone');

async function listenPrivately(server: net.Server, path: string): Promise<void> {
  // The socket gets its mode when it is made: nobody can connect before chmod.
  const before = process.umask(OWNER_ONLY);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new LowtideError('forbidden', `cannot make the socket ${path}: ${messageOf(error)}`);
  }
  await chmod(path, 0o600);
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found === null) return;
  if (!found.isSocket()) throw new LowtideError('forbidden', `${path} is not a socket: move it away`);
  if (await answers(path)) throw new LowtideError('locked', `another process answers on ${path} already`);
  await unlink(path).catch(() => {});
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    const settle = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => settle(true));
    // Anything but a refusal may be a process that is only busy.
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      settle(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}
