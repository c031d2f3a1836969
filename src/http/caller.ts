import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Enrollment } from '../identity/enrollment.ts';
import { readClientCertificate } from '../identity/certificates.ts';
import { LowtideError } from '../model/errors.ts';
import type { ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';

/** Who a request comes from: proven by the certificate of its connection, and let in at this moment. */
export interface Caller {
  readonly client: ClientId;
  /** SHA-256 of the certificate's key. */
  readonly keyHash: string;
  /** IP address. */
  readonly address: string | null;
}

/**
 * @throws LowtideError `not-enrolled`: no certificate, one of another center, expired, replaced, or of a client that
 *   is not known; `clock-off`: one that is not valid yet; `revoked`
 */
export async function identify(
  request: IncomingMessage,
  enrollment: Pick<Enrollment, 'standing'>,
  now: UnixMillis,
): Promise<Caller> {
  const { socket } = request;
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (!(socket instanceof TLSSocket) || certificate === undefined) {
    throw new LowtideError('not-enrolled', 'this needs the certificate of a client: join first');
  }
  const problem = String(socket.authorizationError);
  if (problem === 'CERT_NOT_YET_VALID') throw clockOff(now);
  if (!socket.authorized) {
    throw new LowtideError('not-enrolled', `the certificate does not count here (${problem})`);
  }
  const { client, keyHash, notBefore, notAfter } = readClientCertificate(certificate);
  if (now < notBefore) throw clockOff(now);
  if (now > notAfter) {
    throw new LowtideError('not-enrolled', 'the certificate has expired: renew it');
  }
  const caller = { client, keyHash, address: socket.remoteAddress ?? null };
  await checkStanding(caller, enrollment);
  return caller;
}

/** Nobody gives certificates that begin later. */
const clockOff = (now: UnixMillis): LowtideError =>
  new LowtideError(
    'clock-off',
    `the certificate is not valid yet by the clock here, which shows ${new Date(now).toISOString().slice(0, 16)}Z: set the clock that is wrong`,
  );

/** @throws LowtideError `not-enrolled`, `revoked` */
export async function checkStanding(caller: Caller, enrollment: Pick<Enrollment, 'standing'>): Promise<void> {
  const standing = await enrollment.standing(caller.client, caller.keyHash);
  if (standing === 'revoked')
    throw new LowtideError('revoked', 'the operator of this center has shut this client out');
  if (standing === 'left')
    throw new LowtideError('not-enrolled', 'this machine has left here: join it with a new token');
  if (standing === 'unknown') {
    throw new LowtideError('not-enrolled', 'this center does not know this client and key: join again');
  }
}
