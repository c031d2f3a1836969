import * as tls from 'node:tls';
import { clientCredentials } from '../../src/identity/client-identity.ts';
import type { Joined } from '../../src/http/join.ts';
import type { HttpCenter } from './http-center.ts';

/** Any bytes to a center, and what it answers: no HTTP library in between. */
export interface RawAnswer {
  readonly text: string;
  /** Of the last final answer; 0 if there was none. */
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

export async function rawConnect(
  house: HttpCenter,
  who: Joined | null,
  options: tls.ConnectionOptions = {},
): Promise<tls.TLSSocket> {
  const credentials = who === null ? null : clientCredentials(who.identity, who.center);
  const socket = tls.connect({
    host: '127.0.0.1',
    port: house.server.port,
    ca: house.authority.root.certificate,
    ...(credentials === null ? {} : { key: credentials.key, cert: credentials.chain }),
    ...options,
  });
  socket.on('error', () => {});
  await new Promise<void>(
    (resolve) => void socket.once('secureConnect', resolve).once('close', () => resolve()),
  );
  return socket;
}

/** Sends all of it, half-closes, and reads until the center closes or says nothing for `quietMs`. */
export async function rawAsk(
  house: HttpCenter,
  who: Joined | null,
  bytes: string | Uint8Array,
  quietMs = 500,
): Promise<RawAnswer> {
  const socket = await rawConnect(house, who);
  socket.write(bytes);
  return rawRead(socket, quietMs);
}

export async function rawRead(socket: tls.TLSSocket, quietMs: number): Promise<RawAnswer> {
  let text = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.setEncoding('latin1');
  socket.setTimeout(quietMs, resolve);
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (isWhole(text)) resolve();
  });
  socket.on('close', () => resolve());
  if (socket.destroyed) resolve();
  await promise;
  socket.destroy();
  return parseAnswer(text);
}

/** A final answer with a length, all of it there. */
function isWhole(text: string): boolean {
  const { status, headers, body } = parseAnswer(text);
  const length = /^content-length: ([0-9]+)$/im.exec(headers)?.[1];
  return status !== 0 && length !== undefined && body.length >= Number(length);
}

function parseAnswer(text: string): RawAnswer {
  const final = text.replace(/^HTTP\/1\.1 1[0-9][0-9][^]*?\r\n\r\n/, '');
  const cut = final.indexOf('\r\n\r\n');
  const status = cut === -1 ? 0 : Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(final)?.[1] ?? 0);
  return {
    text,
    status,
    headers: final.slice(0, Math.max(cut, 0)).replaceAll('\r', ''),
    body: final.slice(cut + 4),
  };
}

/** A request as text; the center's own name as Host unless `headers` has one. */
export function rawRequest(
  house: HttpCenter,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body = '',
): string {
  const all = {
    Host: house.authority.face.id,
    ...(body === '' ? {} : { 'Content-Length': String(Buffer.byteLength(body, 'latin1')) }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}
