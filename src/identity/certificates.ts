import { createHash, createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { LowtideError } from '../model/errors.ts';
import { type CenterId, type ClientId, parseCenterId, parseClientId } from '../model/ids.ts';
import { DAY_MS, MINUTE_MS, type UnixMillis } from '../model/time.ts';
import { type SigningKey, signingKeyFromSeed, verifyingKey } from '../format/signing.ts';
import { ipBytes } from './addresses.ts';
import * as der from './der.ts';

/**
 * X.509 certificates (RFC 5280) with Ed25519 keys (RFC 8410), as PEM text. One root per center, kept for twenty years
 * and known to clients by the hash of its key; an issuer under it, for the daily work; under the issuer one
 * certificate for the server and one for each client. A certificate is a pass for one hop and says who, not what.
 */
export const LIFETIME = {
  root: 20 * 365 * DAY_MS,
  issuer: 5 * 365 * DAY_MS,
  server: 365 * DAY_MS,
  client: 365 * DAY_MS,
} as const;

/** The other side's clock may be this much behind. */
export const CLOCK_SKEW_MS = 5 * MINUTE_MS;

const OID = {
  ed25519: '1.3.101.112',
  commonName: '2.5.4.3',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;
const USAGE = { digitalSignature: 0, keyCertSign: 5, crlSign: 6 } as const;
const ALGORITHM = der.sequence(der.objectId(OID.ed25519));
const CENTER_URN = 'urn:lowtide:center:';
const CLIENT_URN = 'urn:lowtide:client:';

/** A key and the certificate that says whose it is. */
export interface CertifiedKey {
  readonly key: SigningKey;
  /** PEM. */
  readonly certificate: string;
}

/** What every certificate needs beside its subject: serial number (16 random bytes) and time. */
export interface Issuance {
  readonly serial: Uint8Array;
  readonly now: UnixMillis;
}

export function makeRoot(center: CenterId, key: SigningKey, issuance: Issuance): CertifiedKey {
  const subject = `Lowtide root ${center}`;
  const certificate = certify({
    ...issuance,
    subject,
    issuer: subject,
    signer: key,
    publicKey: key.publicKey,
    lifetime: LIFETIME.root,
    extensions: [certificateAuthority(null)],
  });
  return { key, certificate };
}

/** May certify servers and clients, but no other issuer. */
export function makeIssuer(
  center: CenterId,
  root: CertifiedKey,
  key: SigningKey,
  issuance: Issuance,
): CertifiedKey {
  const certificate = certify({
    ...issuance,
    subject: `Lowtide issuer ${center}`,
    issuer: commonName(root.certificate),
    signer: root.key,
    publicKey: key.publicKey,
    lifetime: LIFETIME.issuer,
    extensions: [certificateAuthority(0)],
  });
  return { key, certificate };
}

/** @param names DNS names and IP addresses at which the center is reached */
export function issueServerCertificate(
  issuer: CertifiedKey,
  server: { readonly center: CenterId; readonly names: readonly string[]; readonly publicKey: Uint8Array },
  issuance: Issuance,
): string {
  const names = server.names.map((name) => {
    const ip = ipBytes(name);
    return ip === null ? der.contextBytes(2, name) : der.contextBytes(7, ip);
  });
  return issueLeaf(issuer, issuance, {
    subject: `Lowtide center ${server.center}`,
    publicKey: server.publicKey,
    lifetime: LIFETIME.server,
    purpose: OID.serverAuth,
    names: [der.contextBytes(6, CENTER_URN + server.center), ...names],
  });
}

export function issueClientCertificate(
  issuer: CertifiedKey,
  client: { readonly client: ClientId; readonly publicKey: Uint8Array },
  issuance: Issuance,
): string {
  return issueLeaf(issuer, issuance, {
    subject: client.client,
    publicKey: client.publicKey,
    lifetime: LIFETIME.client,
    purpose: OID.clientAuth,
    names: [der.contextBytes(6, CLIENT_URN + client.client)],
  });
}

/** What the other end of a connection has shown. That its chain holds is OpenSSL's word, not this function's. */
export interface Pass {
  /** SHA-256 of the certificate's public key (SPKI), 64 hex digits. */
  readonly keyHash: string;
  readonly notBefore: UnixMillis;
  readonly notAfter: UnixMillis;
}

/** @throws LowtideError `not-enrolled` if this is not a client's certificate */
export function readClientCertificate(certificate: X509Certificate): Pass & { readonly client: ClientId } {
  const match = /^URI:urn:lowtide:client:([0-9a-f]{32})$/.exec(certificate.subjectAltName ?? '');
  if (match === null || !certificate.keyUsage?.includes(OID.clientAuth)) {
    throw new LowtideError('not-enrolled', 'this is not the certificate of a Lowtide client');
  }
  return { client: parseClientId(match[1]), ...passOf(certificate) };
}

/** @throws LowtideError `wrong-center` if this is not a center's certificate */
export function readServerCertificate(certificate: X509Certificate): Pass & { readonly center: CenterId } {
  const match = /^URI:urn:lowtide:center:([0-9a-f]{32})(?:, |$)/.exec(certificate.subjectAltName ?? '');
  if (match === null || !certificate.keyUsage?.includes(OID.serverAuth)) {
    throw new LowtideError('wrong-center', 'what answers there is not a Lowtide center');
  }
  return { center: parseCenterId(match[1]), ...passOf(certificate) };
}

function passOf(certificate: X509Certificate): Pass {
  return {
    keyHash: publicKeyHash(certificate),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}

/** SHA-256 of the key (SPKI, DER) that a certificate is about, 64 hex digits: how a token names a root. */
export function publicKeyHash(certificate: X509Certificate | string): string {
  const { publicKey } = typeof certificate === 'string' ? parseCertificate(certificate) : certificate;
  return createHash('sha256')
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex');
}

/** The same hash, of a raw Ed25519 key. */
export function rawKeyHash(publicKey: Uint8Array): string {
  const spki = verifyingKey(publicKey).export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(spki).digest('hex');
}

/** @throws LowtideError `bad-request` */
export function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new LowtideError('bad-request', 'this is not a PEM certificate');
  }
}

/** True from the moment when less than a third of its life is left; also if it was made while a clock was ahead. */
export function needsRenewal(pem: string, now: UnixMillis): boolean {
  const { notBefore, notAfter } = passOf(parseCertificate(pem));
  return now < notBefore || now > notAfter - (notAfter - notBefore) / 3;
}

export function privateKeyPem(key: SigningKey): string {
  return key.privateKey.export({ format: 'pem', type: 'pkcs8' });
}

/** @throws LowtideError `wrong-key` unless it is one Ed25519 private key in PKCS #8 */
export function readPrivateKeyPem(pem: string, where: string): SigningKey {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') {
      const pkcs8 = key.export({ format: 'der', type: 'pkcs8' });
      return signingKeyFromSeed(new Uint8Array(pkcs8.subarray(-32)));
    }
  } catch {
    // Says the same below.
  }
  throw new LowtideError('wrong-key', `${where} does not hold an Ed25519 private key`);
}

interface Leaf {
  readonly subject: string;
  readonly publicKey: Uint8Array;
  readonly lifetime: number;
  readonly purpose: string;
  readonly names: readonly Uint8Array[];
}

function issueLeaf(issuer: CertifiedKey, issuance: Issuance, leaf: Leaf): string {
  return certify({
    ...issuance,
    ...leaf,
    issuer: commonName(issuer.certificate),
    signer: issuer.key,
    extensions: [
      extension(OID.basicConstraints, true, der.sequence()),
      extension(OID.keyUsage, true, der.namedBits(USAGE.digitalSignature)),
      extension(OID.extendedKeyUsage, false, der.sequence(der.objectId(leaf.purpose))),
      extension(OID.subjectAltName, false, der.sequence(...leaf.names)),
    ],
  });
}

interface Draft extends Issuance {
  readonly subject: string;
  readonly issuer: string;
  readonly signer: SigningKey;
  readonly publicKey: Uint8Array;
  readonly lifetime: number;
  readonly extensions: readonly Uint8Array[];
}

function certify(draft: Draft): string {
  const body = der.sequence(
    der.context(0, der.integer(Buffer.from([2]))),
    der.integer(draft.serial),
    ALGORITHM,
    nameOf(draft.issuer),
    der.sequence(der.time(draft.now - CLOCK_SKEW_MS), der.time(draft.now + draft.lifetime)),
    nameOf(draft.subject),
    der.sequence(ALGORITHM, der.bitString(draft.publicKey)),
    der.context(
      3,
      der.sequence(
        ...draft.extensions,
        extension(OID.subjectKeyId, false, der.octetString(keyId(draft.publicKey))),
        extension(
          OID.authorityKeyId,
          false,
          der.sequence(der.contextBytes(0, keyId(draft.signer.publicKey))),
        ),
      ),
    ),
  );
  const signature = sign(null, body, draft.signer.privateKey);
  return der.pemOf('CERTIFICATE', der.sequence(body, ALGORITHM, der.bitString(signature)));
}

function certificateAuthority(pathLength: number | null): Buffer {
  const length = pathLength === null ? [] : [der.integer(Buffer.from([pathLength]))];
  return Buffer.concat([
    extension(OID.basicConstraints, true, der.sequence(der.truth(), ...length)),
    extension(OID.keyUsage, true, der.namedBits(USAGE.keyCertSign, USAGE.crlSign)),
  ]);
}

function extension(oid: string, critical: boolean, value: Uint8Array): Buffer {
  return der.sequence(der.objectId(oid), ...(critical ? [der.truth()] : []), der.octetString(value));
}

const nameOf = (text: string): Buffer =>
  der.sequence(der.setOf(der.sequence(der.objectId(OID.commonName), der.utf8String(text))));

const commonName = (pem: string): string => parseCertificate(pem).subject.replace(/^CN=/, '');

/** Method 1 of RFC 7093: the first 160 bits of SHA-256. */
const keyId = (publicKey: Uint8Array): Buffer =>
  createHash('sha256').update(publicKey).digest().subarray(0, 20);
