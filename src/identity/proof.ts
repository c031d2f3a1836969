import { sign, verify } from 'node:crypto';
import { bufferOf, bytesOfHex } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { encodeCbor } from '../format/cbor.ts';
import { type SigningKey, verifyingKey } from '../format/signing.ts';
import { secretHash } from './token.ts';

/** What a machine asks for with a token. `center` is the node that the token is for. */
export interface JoinRequest {
  readonly center: CenterId;
  readonly secret: Uint8Array;
  readonly client: ClientId;
  /** Ed25519, 32 bytes: signs manifests, and this request. */
  readonly instanceKey: Uint8Array;
  /** Ed25519, 32 bytes: what the certificate will be about. */
  readonly tlsKey: Uint8Array;
  /** Used only if the token gives no name. */
  readonly host: string;
  /** Signed word that it joins this node, and as which node if it is a relay (format F61). */
  readonly membership: Uint8Array;
  /** By the instance key: whoever sees a token used cannot put another key into the request. */
  readonly proof: Uint8Array;
}

/** What a client asks for when its certificate grows old, or is too old already. */
export interface RenewRequest {
  readonly center: CenterId;
  readonly client: ClientId;
  readonly tlsKey: Uint8Array;
  readonly at: UnixMillis;
  readonly proof: Uint8Array;
}

type Unsigned<Request> = Omit<Request, 'proof'>;

export function proveJoin(request: Unsigned<JoinRequest>, key: SigningKey): JoinRequest {
  return { ...request, proof: signText(joinText(request), key) };
}

/** @throws LowtideError `wrong-signature` */
export function checkJoinProof(request: JoinRequest): void {
  checkText(joinText(request), request.proof, request.instanceKey);
}

export function proveRenew(request: Unsigned<RenewRequest>, key: SigningKey): RenewRequest {
  return { ...request, proof: signText(renewText(request), key) };
}

/** @throws LowtideError `wrong-signature` */
export function checkRenewProof(request: RenewRequest, instanceKey: Uint8Array): void {
  checkText(renewText(request), request.proof, instanceKey);
}

const joinText = (request: Unsigned<JoinRequest>): Buffer =>
  textOf('join', {
    center: bytesOfHex(request.center),
    token: bytesOfHex(secretHash(request.secret)),
    client: bytesOfHex(request.client),
    instanceKey: request.instanceKey,
    tlsKey: request.tlsKey,
    host: request.host,
    membership: request.membership,
  });

const renewText = (request: Unsigned<RenewRequest>): Buffer =>
  textOf('renew', {
    center: bytesOfHex(request.center),
    client: bytesOfHex(request.client),
    tlsKey: request.tlsKey,
    at: request.at,
  });

/** Tagged like every signed record (format F41), so that none of them can pass as another. */
function textOf(kind: 'join' | 'renew', body: object): Buffer {
  return Buffer.concat([Buffer.from(`lowtide/${kind}/1\0`, 'utf8'), encodeCbor(body)]);
}

const signText = (text: Buffer, key: SigningKey): Uint8Array =>
  new Uint8Array(sign(null, text, key.privateKey));

function checkText(text: Buffer, proof: Uint8Array, publicKey: Uint8Array): void {
  if (!verify(null, text, verifyingKey(publicKey), bufferOf(proof))) {
    throw new LowtideError('wrong-signature', 'the request is not signed by the key that it names');
  }
}
