import { X509Certificate } from 'node:crypto';
import * as tls from 'node:tls';
import { type Address, formatAddress } from '../identity/addresses.ts';
import { publicKeyHash, readServerCertificate } from '../identity/certificates.ts';
import type { ClientCredentials } from '../identity/client-identity.ts';
import { isLowtideError, LowtideError, messageOf } from '../model/errors.ts';
import type { CenterId } from '../model/ids.ts';

/** Where a center is and how it proves that it is the one. */
export interface CenterPin {
  readonly addresses: readonly Address[];
  readonly center: CenterId;
  /** SHA-256 of the public key of its root certificate, 64 hex digits. */
  readonly caHash: string;
}

/** TLS options of a connection that trusts this root alone, and no name but the center's own id. */
export function pinnedOptions(
  pin: CenterPin,
  ca: string,
  credentials: ClientCredentials | null,
): tls.ConnectionOptions {
  if (publicKeyHash(ca) !== pin.caHash) {
    throw new LowtideError('wrong-center', 'the root certificate is not the one that the token named');
  }
  return {
    ca,
    ...(credentials === null ? {} : { key: credentials.key, cert: credentials.chain }),
    checkServerIdentity: (_host, { raw }) => identityError(new X509Certificate(raw), pin.center),
  };
}

/** What is wrong with a certificate whose chain holds; an error that is thrown here would not be caught. */
function identityError(certificate: X509Certificate, expected: CenterId): Error | undefined {
  try {
    const { center } = readServerCertificate(certificate);
    if (center === expected) return undefined;
    return new LowtideError('wrong-center', `the center ${center} answers there, not ${expected}`);
  } catch (error) {
    return error as Error;
  }
}

/**
 * A TLS 1.3 connection that has been checked: nothing is written to it before.
 * @throws LowtideError `center-unreachable`, `wrong-center`, `clock-off`
 */
export async function connect(
  address: Address,
  options: tls.ConnectionOptions,
  timeoutMs: number,
  stop?: AbortSignal,
): Promise<tls.TLSSocket> {
  const { host, port } = address;
  const isName = /[a-z]/.test(host) && !host.includes(':');
  const socket = tls.connect({
    host,
    port,
    ...(isName ? { servername: host } : {}),
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    ...options,
  });
  const giveUp = (): void => void socket.destroy();
  stop?.addEventListener('abort', giveUp, { once: true });
  try {
    await secured(socket, address, timeoutMs);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    stop?.removeEventListener('abort', giveUp);
  }
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return socket;
}

async function secured(socket: tls.TLSSocket, address: Address, timeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const unreachable = (how: string): void =>
    reject(new LowtideError('center-unreachable', `${formatAddress(address)} ${how}`));
  const timer = setTimeout(() => unreachable('does not answer'), timeoutMs);
  const failed = (error: Error): void => reject(connectError(error, address));
  const closed = (): void => unreachable('closed the connection');
  socket.once('secureConnect', resolve).once('error', failed).once('close', closed);
  try {
    await promise;
    socket.off('error', failed).off('close', closed);
  } finally {
    clearTimeout(timer);
  }
}

const KEEP_ALIVE_MS = 30_000;

/**
 * The first address that answers as the center; what the others said, if none does.
 * @param stop gives it up: an address that is silent would keep a process from ending
 */
export async function connectAny(
  addresses: readonly Address[],
  options: tls.ConnectionOptions,
  timeoutMs: number,
  stop?: AbortSignal,
): Promise<tls.TLSSocket> {
  const failures: LowtideError[] = [];
  for (const address of addresses) {
    if (stop?.aborted) throw new LowtideError('center-unreachable', 'the connection was given up');
    try {
      return await connect(address, options, timeoutMs, stop);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      failures.push(error);
    }
  }
  const worst = failures.find(({ code }) => code !== 'center-unreachable') ?? failures[0];
  throw new LowtideError(worst?.code ?? 'center-unreachable', failures.map(messageOf).join('; '));
}

/**
 * The root certificate (PEM) that a center shows, found by its hash: how a machine that has only a token starts. The
 * connection is not used for anything else.
 * @throws LowtideError as `connect`; the reason of `stop`
 */
export async function fetchRoot(pin: CenterPin, timeoutMs: number, stop?: AbortSignal): Promise<string> {
  // Nothing is checked on this connection but the hash, and nothing is said on it.
  const unchecked = { rejectUnauthorized: false };
  const socket = await connectAny(pin.addresses, unchecked, timeoutMs, stop).catch((error: unknown) => {
    stop?.throwIfAborted();
    throw error;
  });
  try {
    for (const certificate of chainOf(socket)) {
      if (publicKeyHash(certificate) === pin.caHash) return certificate.toString();
    }
  } finally {
    socket.destroy();
  }
  throw new LowtideError(
    'wrong-center',
    'what answers there does not have the key that the token names: somebody is in between, or the address is wrong',
  );
}

function chainOf(socket: tls.TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.length < CHAIN_LENGTH_MAX) {
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

const CHAIN_LENGTH_MAX = 8;

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name cannot be looked up now',
  ETIMEDOUT: 'it does not answer',
  EHOSTUNREACH: 'there is no way to that machine',
  ENETUNREACH: 'there is no network',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
};
const CLOCK_CODES = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
const TRUST_CODES =
  /^(?:SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_|INVALID_|CERT_|ERR_TLS_CERT|PATH_LENGTH|HOSTNAME_)/;

/** Why a connection failed, in words. */
export function connectError(error: unknown, address: Address | null): LowtideError {
  if (isLowtideError(error)) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  const where = address === null ? 'the center' : formatAddress(address);
  if (CLOCK_CODES.has(code)) {
    const message = `the certificate of ${where} is not valid at the time that this machine's clock shows: set the clock that is wrong`;
    return new LowtideError('clock-off', message);
  }
  if (TRUST_CODES.test(code)) {
    return new LowtideError(
      'wrong-center',
      `${where} does not prove that it is the center that was joined (${code})`,
    );
  }
  const reason = REASONS[code] ?? `no TLS 1.3 connection (${code === '' ? messageOf(error) : code})`;
  return new LowtideError('center-unreachable', `${where} cannot be reached: ${reason}`, { cause: error });
}
