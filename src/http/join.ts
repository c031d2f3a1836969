import {
  addCenter,
  type ClientIdentity,
  createClientIdentity,
  type JoinedCenter,
  loadClientIdentity,
} from '../identity/client-identity.ts';
import type { Enrolled } from '../identity/enrollment.ts';
import {
  acceptEnrollment,
  acceptRenewal,
  checkToken,
  joinRequest,
  renewRequest,
} from '../identity/joining.ts';
import type { JoinToken } from '../identity/token.ts';
import { isLowtideError } from '../model/errors.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { decodeMessage, encodeMessage } from '../protocol/fields.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import type { World } from '../world/ports.ts';
import { type CenterPin, fetchRoot } from './connecting.ts';
import { httpLimits, type HttpLimits, JSON_TYPE } from './http-limits.ts';
import { enrolledMessage, joinMessage, renewMessage } from './join-messages.ts';
import { Requester } from './requester.ts';

const ANSWER_BYTES_MAX = 64 * 1024;

export interface Joined {
  readonly identity: ClientIdentity;
  readonly center: JoinedCenter;
}

export interface JoinOptions {
  /** What this machine calls itself. */
  readonly host: string;
  /** What it is called as a node itself, if it is a relay. */
  readonly node?: CenterId;
  /** True for a center that will only read there. */
  readonly peer?: boolean;
  /** When a machine left that node last, by its own word. */
  readonly lastLeft?: (client: ClientId, node: CenterId) => Promise<UnixMillis | null>;
  /** Gives it up, with its reason. */
  readonly stop?: AbortSignal;
  readonly http?: Partial<HttpLimits>;
}

/**
 * Joins a center or a relay with a token. The identity is made if there is none, and durable before the token is used: after a
 * lost answer, or a crash, the same token works again for this machine.
 * @param directory of the identity
 * @throws LowtideError what `Enrollment.redeem` and `checkToken` throw, `center-unreachable`, `wrong-center`, `clock-off`
 */
export async function joinCenter(
  world: World,
  directory: string,
  token: JoinToken,
  { host, node, peer = false, lastLeft, stop, http }: JoinOptions,
): Promise<Joined> {
  const limits = { ...httpLimits, ...http };
  checkToken(token, node ?? null, peer);
  const ca = await fetchRoot(token, limits.connect_ms, stop);
  const identity = await loadOrCreate(world, directory);
  const left = (await lastLeft?.(identity.client, token.center)) ?? null;
  const at = Math.max(world.clock.now(), left === null ? 0 : left + 1);
  const request = joinRequest(identity, token, { host, node: node ?? null, peer, at });
  const body = encodeMessage(joinMessage, request);
  const answer = await askOnce(token, ca, '/v1/join', body, limits, stop);
  const center = acceptEnrollment(identity, token, answer, ca, at);
  return { identity: await addCenter(world, directory, identity, center), center };
}

/**
 * Has the certificate for one center renewed, by proof of the instance key: the old one need not be valid any more.
 * @throws LowtideError what `Enrollment.renew` throws, `center-unreachable`, `wrong-center`
 */
export async function renewPass(
  world: World,
  directory: string,
  identity: ClientIdentity,
  center: JoinedCenter,
  http: Partial<HttpLimits> = {},
): Promise<Joined> {
  const limits = { ...httpLimits, ...http };
  const body = encodeMessage(renewMessage, renewRequest(identity, center, world.clock.now()));
  const answer = await askOnce(pinOf(center), center.ca, '/v1/renew', body, limits);
  const renewed = acceptRenewal(identity, center, answer);
  return { identity: await addCenter(world, directory, identity, renewed), center: renewed };
}

/** How to know a center that was joined. */
export function pinOf({ addresses, face, caHash }: JoinedCenter): CenterPin {
  return { addresses, center: face.id, caHash };
}

async function loadOrCreate(world: World, directory: string): Promise<ClientIdentity> {
  try {
    return await loadClientIdentity(world, directory);
  } catch (error) {
    if (!isLowtideError(error, 'not-a-node')) throw error;
    return await createClientIdentity(world, directory);
  }
}

async function askOnce(
  pin: CenterPin,
  ca: string,
  path: string,
  body: Uint8Array,
  limits: HttpLimits,
  stop?: AbortSignal,
): Promise<Enrolled> {
  const requester = new Requester(pin, ca, null, limits);
  const giveUp = (): void => requester.close();
  stop?.addEventListener('abort', giveUp, { once: true });
  const wait_ms = limits.idle_ms;
  const asking = { method: 'POST', path, type: JSON_TYPE, body, answerType: JSON_TYPE, wait_ms } as const;
  try {
    const answer = await requester.call(asking, ANSWER_BYTES_MAX);
    return decodeMessage(enrolledMessage, parseStrictJson(answer), 'bad-answer');
  } catch (error) {
    stop?.throwIfAborted();
    throw error;
  } finally {
    stop?.removeEventListener('abort', giveUp);
    requester.close();
  }
}
