import { LowtideError } from '../model/errors.ts';
import type { UnixMillis } from '../model/time.ts';
import { centerIdOf } from '../format/signing.ts';
import {
  needsRenewal,
  parseCertificate,
  publicKeyHash,
  rawKeyHash,
  readClientCertificate,
} from './certificates.ts';
import type { ClientIdentity, JoinedCenter } from './client-identity.ts';
import type { Enrolled } from './enrollment.ts';
import { type JoinRequest, proveJoin, proveRenew, type RenewRequest } from './proof.ts';
import type { JoinToken } from './token.ts';

/** @param host what the machine calls itself: its name at the center if the token gives none */
export function joinRequest(identity: ClientIdentity, token: JoinToken, host: string): JoinRequest {
  const { client, instance, tls } = identity;
  const { center, secret } = token;
  const keys = { instanceKey: instance.publicKey, tlsKey: tls.publicKey };
  return proveJoin({ center, secret, client, ...keys, host }, instance);
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
 * What a center answered to `joinRequest`, checked against what the token promised.
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
  if (face.id !== token.center || centerIdOf(face.receiptKey) !== token.center) {
    throw new LowtideError(
      'token-other-center',
      `the token is for the center ${token.center}, but ${face.id} answered`,
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
  return { face, addresses, caHash, ca, chain, name, role, joinedAt: now };
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
