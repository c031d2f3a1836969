import type { IncomingMessage } from 'node:http';
import { normalHost } from '../identity/addresses.ts';
import { HttpRefusal } from './refusals.ts';

/** Every path of ours is of this form; there is nothing to decode, to resolve or to collapse (faults 22, 23). */
const PATH = /^(?:\/[a-z0-9]+)+$/;
const PATH_LENGTH_MAX = 200;

/**
 * What is wrong with a request before anybody looks at what it asks for; null if nothing is. Node's parser has refused
 * broken framing, bare line feeds, folded and oversized headers already.
 * @param hosts names that this server goes by, normal spelling
 */
export function checkAtTheDoor(request: IncomingMessage, hosts: ReadonlySet<string>): HttpRefusal | null {
  const { url = '', headers, rawHeaders, httpVersion, method } = request;
  if (httpVersion !== '1.1') return new HttpRefusal(400, 'speak HTTP/1.1');
  if (rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length !== 1) {
    return new HttpRefusal(400, 'there must be one Host header');
  }
  if (url.length > PATH_LENGTH_MAX || !PATH.test(url)) {
    return new HttpRefusal(400, 'paths have lower case letters, digits and single slashes, and no query');
  }
  if (!hosts.has(hostOf(headers.host ?? ''))) {
    return new HttpRefusal(421, 'this server does not go by the name in the Host header', 'wrong-center');
  }
  if (headers['content-encoding'] !== undefined) return new HttpRefusal(415, 'bodies are sent as they are');
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (hasBody && method !== 'POST') return new HttpRefusal(400, `a ${method} request has no body`);
  return null;
}

function hostOf(header: string): string {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::[0-9]{1,5})?$/.exec(header);
  return normalHost(match?.[1] ?? match?.[2] ?? '') ?? '';
}
