import { constants } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, type RequestListener, type ServerResponse, STATUS_CODES } from 'node:http';
import * as https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ServerCredentials } from '../identity/authority.ts';
import type { Enrollment } from '../identity/enrollment.ts';
import { normalHost } from '../identity/addresses.ts';
import { LowtideError, messageOf } from '../model/errors.ts';
import type { ClientId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { encodeError } from '../protocol/frames.ts';
import type { World } from '../world/ports.ts';
import { lingerAfter, refuse } from './answers.ts';
import { cutOff, slow } from './bodies.ts';
import { checkAtTheDoor } from './front-door.ts';
import { httpLimits, type HttpLimits, JSON_TYPE } from './http-limits.ts';
import { JoinGuard } from './join-guard.ts';
import { HttpRefusal, type Refusal, refusalOf } from './refusals.ts';
import { newRouter } from './router.ts';
import type { Service } from './routing.ts';

export interface CenterServerOptions {
  readonly world: World;
  /** Asked for at the start, and again when what it gave grows old. */
  readonly credentials: () => ServerCredentials;
  readonly enrollment: Pick<Enrollment, 'redeem' | 'renew' | 'standing'>;
  /** @param address IP address of the caller */
  readonly api: (client: ClientId, address: string | null) => CenterApi;
  /** @param listen.port 0 for any free one */
  readonly listen: { readonly host?: string; readonly port: number };
  readonly limits?: Partial<HttpLimits>;
}

export interface CenterServer {
  readonly port: number;
  /** Takes nothing new, ends long answers, gives the rest a moment. */
  close(): Promise<void>;
}

/**
 * `CenterApi` over HTTPS (docs/protocol.md). TLS 1.3 only; a certificate is asked for and not insisted on, because
 * joining has none: the router insists.
 * @throws LowtideError `forbidden` or `locked` if it may not listen there
 */
export async function serveCenter(options: CenterServerOptions): Promise<CenterServer> {
  const { world } = options;
  const limits = { ...httpLimits, ...options.limits };
  const closing = new AbortController();
  const first = options.credentials();
  const service: Service = {
    world,
    http: limits,
    enrollment: options.enrollment,
    api: options.api,
    joins: new JoinGuard(limits.failed_joins_per_minute),
    closing: closing.signal,
    report: (request, error) => report(world, request, error),
  };
  const continues = new ContinueDesk();
  const app = newRouter(
    service,
    (listener) => newServer(first, limits, continues, listener),
    continues.welcomeBody,
  );
  await app.ready();
  const { server } = app;
  const connections = new Connections(server, limits);
  await listen(server, options.listen);
  server.on('error', (error) => {
    const message = `the server has trouble accepting connections: ${error.message}`;
    world.monitor.event({ kind: 'alarm', code: 'crashed', message });
  });
  const renewal = renewCredentials(server, world, options.credentials, first, limits.renew_check_ms);
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      clearInterval(renewal);
      closing.abort();
      await closeServer(server, connections, limits);
      await app.close();
    },
  };
}

const secureContext = ({ key, chain, ca }: ServerCredentials) => ({
  key,
  cert: chain,
  ca,
  minVersion: 'TLSv1.3' as const,
  // Every connection proves its key anew: nothing about a certificate is remembered from an earlier one.
  secureOptions: constants.SSL_OP_NO_TICKET,
});

function newServer(
  credentials: ServerCredentials,
  limits: HttpLimits,
  continues: ContinueDesk,
  listener: RequestListener,
): https.Server {
  const hosts = new Set([
    credentials.face.id as string,
    ...credentials.names.map((name) => normalHost(name) ?? name),
  ]);
  const server = https.createServer({
    ...secureContext(credentials),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: limits.connect_ms,
    headersTimeout: limits.headers_ms,
    requestTimeout: 0,
    keepAliveTimeout: limits.keep_alive_ms,
    connectionsCheckingInterval: Math.min(1000, limits.headers_ms),
    maxHeaderSize: 16 * 1024,
  });
  const receive = (request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('cache-control', 'no-store, no-transform');
    // A peer that goes away is no error of ours; whoever writes next finds out.
    response.on('error', () => {});
    lingerAfter(response, limits);
    const wrong = checkAtTheDoor(request, hosts);
    if (wrong === null) listener(request, response);
    else refuse(response, limits, wrong);
  };
  server.maxConnections = limits.connections;
  server.on('request', receive);
  server.on('checkContinue', (request, response) => {
    continues.note(request);
    receive(request, response);
  });
  server.on('clientError', answerClientError);
  return server;
}

/** Clients that wait for a 100 before they send their body. */
class ContinueDesk {
  readonly #waiting = new WeakSet<IncomingMessage>();

  note(request: IncomingMessage): void {
    this.#waiting.add(request);
  }

  readonly welcomeBody = (request: IncomingMessage, response: ServerResponse): void => {
    if (this.#waiting.delete(request)) response.writeContinue();
  };
}

/** What Node's parser refused: it never becomes a request. A connection that broke gets no answer. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  const isParsers = error.code?.startsWith('HPE_') === true || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (!socket.writable || !isParsers) {
    socket.destroy();
    return;
  }
  const { status, code, message } = refusalByParser(error.code);
  const body = encodeError(code, message);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ${body.length}\r\n` +
      `Cache-Control: no-store\r\nConnection: close\r\n\r\n${body.toString()}`,
    () => socket.destroy(),
  );
}

/** None of it says anything about what was asked: the same request may come over another connection. */
function refusalByParser(parsers: string | undefined): HttpRefusal {
  if (parsers === 'HPE_HEADER_OVERFLOW') return new HttpRefusal(431, 'the headers are too long');
  if (parsers === 'ERR_HTTP_REQUEST_TIMEOUT') return slow();
  if (parsers === 'HPE_INVALID_EOF_STATE') return cutOff();
  return new HttpRefusal(400, `this is not HTTP/1.1 (${parsers})`, 'center-unreachable');
}

/** Every connection there is, from before its handshake on, by the address that it comes from. */
class Connections {
  readonly #byAddress = new Map<string, Set<Socket>>();

  constructor(server: https.Server, limits: HttpLimits) {
    server.on('connection', (socket: Socket) => this.#admit(socket, limits));
  }

  #admit(socket: Socket, { connections_per_address, idle_ms }: HttpLimits): void {
    const address = socket.remoteAddress ?? '';
    const open = this.#byAddress.get(address) ?? new Set();
    if (open.size >= connections_per_address) {
      socket.destroy();
      return;
    }
    socket.setKeepAlive(true, idle_ms / 4);
    this.#byAddress.set(address, open.add(socket));
    socket.once('close', () => {
      open.delete(socket);
      if (open.size === 0) this.#byAddress.delete(address);
    });
  }

  destroy(): void {
    for (const open of this.#byAddress.values()) for (const socket of open) socket.destroy();
  }
}

async function listen(
  server: https.Server,
  where: { readonly host?: string; readonly port: number },
): Promise<void> {
  server.listen(where);
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const place = `${where.host ?? 'any address'}, port ${where.port}`;
    if (code === 'EADDRINUSE')
      throw new LowtideError('locked', `another program listens at ${place} already`);
    throw new LowtideError('forbidden', `cannot listen at ${place}: ${messageOf(error)}`);
  }
}

function renewCredentials(
  server: https.Server,
  world: World,
  credentials: () => ServerCredentials,
  first: ServerCredentials,
  checkMs: number,
): NodeJS.Timeout {
  let current = first;
  return setInterval(() => {
    const now = world.clock.now();
    if (now >= current.from && now < current.renewAt) return;
    current = credentials();
    server.setSecureContext(secureContext(current));
  }, checkMs).unref();
}

function report(world: World, request: IncomingMessage, error: unknown): Refusal {
  const refusal = refusalOf(error);
  if (refusal.internal) {
    const message = `${request.method} ${request.url}: ${messageOf(error)}`;
    world.monitor.event({ kind: 'alarm', code: refusal.code, message });
  }
  return refusal;
}

/** A connection that falls idle while others are still at work is closed too: nobody waits for its keep-alive to end. */
async function closeServer(
  server: https.Server,
  connections: Connections,
  limits: HttpLimits,
): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  // Not `closeAllConnections`, which knows of none whose handshake is not over.
  const timer = setTimeout(() => connections.destroy(), limits.close_ms);
  await closed;
  clearInterval(idle);
  clearTimeout(timer);
}

const IDLE_CHECK_MS = 20;
