import { LowtideError } from '../model/errors.ts';
import type { UnixMillis } from '../model/time.ts';
import { signMembership } from '../format/membership.ts';
import { centerIdOf } from '../format/signing.ts';
import type { CenterId } from '../model/ids.ts';
import {
  needsRenewal,
  parseCertificate,
  publicKeyHash,
  rawKeyHash,
  readClientCertificate,
} from './certificates.ts';
import { type ClientIdentity, type JoinedCenter, unitedCenters } from './client-identity.ts';
import { checkRole, type Enrolled } from './enrollment.ts';
import { type JoinRequest, proveJoin, proveRenew, type RenewRequest } from './proof.ts';
import type { JoinToken } from './token.ts';

/** What a machine says of itself when it joins. */
export interface Joining {
  /** What it calls itself: its name at the node if the token gives none. */
  readonly host: string;
  /** What it is called as a node itself, if it is a relay. */
  readonly node: CenterId | null;
  /** True for a center that will only read there. */
  readonly peer?: boolean;
  readonly at: UnixMillis;
}

/**
 * Before anything is asked: a token is for an agent, a relay or another center, and no relay joins itself.
 * @throws LowtideError `token-other-role`, `joined-in-circle`
 */
export function checkToken(token: JoinToken, node: CenterId | null, peer = false): void {
  checkRole(token.role, peer ? 'peer' : node === null ? 'agent' : 'relay');
  if (token.center !== node) return;
  throw new LowtideError('joined-in-circle', 'this relay has made the token itself: it cannot join itself');
}

/** @throws LowtideError as `checkToken` */
export function joinRequest(identity: ClientIdentity, token: JoinToken, joining: Joining): JoinRequest {
  const { host, node, peer, at } = joining;
  checkToken(token, node, peer);
  const { client, instance, tls } = identity;
  const { center, secret } = token;
  const instanceKey = instance.publicKey;
  const membership = signMembership({ client, instanceKey, joined: center, node, at }, instance);
  return proveJoin(
    { center, secret, client, instanceKey, tlsKey: tls.publicKey, host, membership },
    instance,
  );
}

export function renewRequest(identity: ClientIdentity, center: JoinedCenter, at: UnixMillis): RenewRequest {
  const { client, instance, tls } = identity;
  return proveRenew({ center: center.face.id, client, tlsKey: tls.publicKey, at }, instance);
}

/** True from the moment when less than a third of the certificate's life is left. */
export function passNeedsRenewal(center: JoinedCenter, now: UnixMillis): boolean {
  return needsRenewal(center.chain, now);
}

/**
 * What a node answered to `joinRequest`, checked against what the token promised. Centers that an earlier token of it led
 * to stay: a token may add some, and never takes one away.
 * @param ca PEM of the root that the connection was checked with
 * @throws LowtideError `token-other-center`, `wrong-center`, `wrong-key`
 */
export function acceptEnrollment(
  identity: ClientIdentity,
  token: JoinToken,
  answer: Enrolled,
  ca: string,
  now: UnixMillis,
): JoinedCenter {
  const { center: face, chain, name, role } = answer;
  const named = face.id === token.center && face.kind === token.kind;
  if (!named || centerIdOf(face.receiptKey) !== token.center) {
    throw new LowtideError(
      'token-other-center',
      `the token is for the ${token.kind} ${token.center}, but the ${face.kind} ${face.id} answered`,
    );
  }
  if (publicKeyHash(ca) !== token.caHash) {
    throw new LowtideError(
      'wrong-center',
      `the root certificate of ${face.name} is not the one that the token names`,
    );
  }
  checkPass(identity, answer);
  const { addresses, caHash } = token;
  const before = identity.centers.find((known) => known.face.id === face.id)?.centers ?? [];
  const centers = unitedCenters([token.centers, before]);
  return { face, centers, addresses, caHash, ca, chain, name, role, joinedAt: now };
}

/** The same for the answer to `renewRequest`: nothing but the certificate may change. */
export function acceptRenewal(
  identity: ClientIdentity,
  center: JoinedCenter,
  answer: Enrolled,
): JoinedCenter {
  if (answer.center.id !== center.face.id) {
    throw new LowtideError('wrong-center', `${answer.center.id} answered for the center ${center.face.name}`);
  }
  checkPass(identity, answer);
  return { ...center, chain: answer.chain };
}

function checkPass(identity: ClientIdentity, answer: Enrolled): void {
  const pass = readClientCertificate(parseCertificate(answer.chain));
  if (pass.client !== identity.client || pass.keyHash !== rawKeyHash(identity.tls.publicKey)) {
    throw new LowtideError(
      'wrong-key',
      `${answer.center.name} gave out a certificate that is not this machine's`,
    );
  }
}
