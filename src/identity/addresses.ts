import { LowtideError } from '../model/errors.ts';

/** Where a node listens: a DNS name or an IP address (IPv6 without brackets), and a port. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const DNS_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const DNS_NAME_LENGTH_MAX = 253;

/**
 * Reads `host:port` or `[ipv6]:port`.
 * @param defaultPort when there is none in the text
 * @throws LowtideError `bad-name`
 */
export function parseAddress(text: string, defaultPort?: number): Address {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([0-9]{1,5}))?$/.exec(text);
  const bracketed = match?.[1];
  const found = normalHost(bracketed ?? match?.[2] ?? '');
  const host = bracketed === undefined || found?.includes(':') ? found : null;
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (match === null || host === null || port === undefined || port < 1 || port > 65_535) {
    throw new LowtideError(
      'bad-name',
      `${JSON.stringify(text)} is not an address: write host:port, such as backup.example.org:8420 or [2001:db8::1]:8420`,
    );
  }
  return { host, port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The one spelling of a DNS name or IP address; null if it is neither. */
export function normalHost(host: string): string | null {
  const ip = ipBytes(host);
  if (ip !== null) return ip.length === 4 ? ip.join('.') : new URL(`http://[${host}]`).hostname.slice(1, -1);
  const name = host.toLowerCase();
  const numeric = /^[0-9.]+$/.test(name);
  return !numeric && name.length <= DNS_NAME_LENGTH_MAX && DNS_NAME.test(name) ? name : null;
}

/** 4 or 16 bytes, or null if this is not an IP address. */
export function ipBytes(host: string): Buffer | null {
  if (/^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(host)) {
    const parts = host.split('.').map(Number);
    return parts.every((part) => part <= 255) ? Buffer.from(parts) : null;
  }
  return /^[0-9a-fA-F:.]+$/.test(host) && host.includes(':') ? ipv6Bytes(host) : null;
}

function ipv6Bytes(host: string): Buffer | null {
  const url = URL.parse(`http://[${host}]`);
  if (url === null) return null;
  const [head = [], tail = []] = url.hostname
    .slice(1, -1)
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  const groups = [...head, ...zeros, ...tail];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
