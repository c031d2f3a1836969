import { z } from 'zod';
import { hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { UnixMillis } from '../model/time.ts';
import { centerIdOf, type SigningKey } from '../format/signing.ts';
import type { World } from '../world/ports.ts';
import {
  type CertifiedKey,
  CLOCK_SKEW_MS,
  issueServerCertificate,
  makeIssuer,
  makeRoot,
  needsRenewal,
  type Issuance,
  LIFETIME,
  privateKeyPem,
  publicKeyHash,
  readPrivateKeyPem,
} from './certificates.ts';
import { checkDisplayName } from './names.ts';
import { newKey } from './new-key.ts';
import { ifThere, readPrivate, readPrivateJson, writePrivate, writePrivateJson } from './private-files.ts';

/** What makes a node one that others join, a center or a relay: its receipt key, and the authority that names its clients. */
export interface Authority {
  readonly face: CenterFace;
  readonly receiptKey: SigningKey;
  readonly root: CertifiedKey;
  readonly issuer: CertifiedKey;
  /** SHA-256 of the root's public key, 64 hex digits: tokens carry it. */
  readonly caHash: string;
}

/** PEM for the TLS server, and what says when to ask for them again. */
export interface ServerCredentials {
  readonly face: CenterFace;
  readonly names: readonly string[];
  readonly key: string;
  /** Server, issuer and root: a client that knows the root's hash only finds it here. */
  readonly chain: string;
  /** Who signs the clients. */
  readonly ca: string;
  readonly renewAt: UnixMillis;
  /** It counts from here on: by a clock that shows less it was made while that was ahead. */
  readonly from: UnixMillis;
}

const SERIAL_BYTES = 16;
/** Written last: without it nothing of an interrupted `createAuthority` counts. */
const FACE_FILE = 'center.json';
const faceShape = z.strictObject({
  format: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  kind: z.enum(['center', 'relay']).default('center'),
  name: z.string(),
  receiptKey: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * Makes and keeps the keys of a new node in `directory`, which is made if need be.
 * @throws LowtideError `node-exists` if there is one, `bad-name`
 */
export async function createAuthority(
  world: World,
  directory: string,
  node: Pick<CenterFace, 'name' | 'kind'>,
): Promise<Authority> {
  const { kind } = node;
  const name = checkDisplayName(node.name, `the name of a ${kind}`);
  if ((await world.disk.stat(`${directory}/${FACE_FILE}`)) !== null) {
    throw new LowtideError('node-exists', `${directory} already holds the keys of a center or relay`);
  }
  await world.disk.makeDirectory(directory);
  const receiptKey = newKey(world);
  const id = centerIdOf(receiptKey.publicKey);
  const root = makeRoot(id, newKey(world), newIssuance(world));
  const issuer = makeIssuer(id, root, newKey(world), newIssuance(world));
  await writePrivate(world, `${directory}/receipt.key`, privateKeyPem(receiptKey));
  await writePair(world, directory, 'root', root);
  await writePair(world, directory, 'issuer', issuer);
  const face = { id, kind, name, receiptKey: receiptKey.publicKey };
  await writePrivateJson(world, `${directory}/${FACE_FILE}`, {
    format: 1,
    ...face,
    receiptKey: hexOf(face.receiptKey),
  });
  return { face, receiptKey, root, issuer, caHash: publicKeyHash(root.certificate) };
}

/**
 * Loads the keys of a node; the issuer is made anew when less than a third of its life is left, or its time has not come.
 * @throws LowtideError `not-a-node` if there is none of this kind, `forbidden` if others may read the keys, `wrong-key`
 */
export async function loadAuthority(
  world: World,
  directory: string,
  kind: CenterFace['kind'],
): Promise<Authority> {
  const file = await ifThere(readPrivateJson(world, `${directory}/${FACE_FILE}`, faceShape));
  if (file?.kind !== kind) {
    const other = file === null ? '' : `: they are a ${file.kind}'s`;
    throw new LowtideError(
      'not-a-node',
      `${directory} holds no keys of a ${kind}${other}; make one with lowtide ${kind} init`,
    );
  }
  const receiptPath = `${directory}/receipt.key`;
  const receiptKey = readPrivateKeyPem(await readPrivate(world, receiptPath), receiptPath);
  if (file.id !== centerIdOf(receiptKey.publicKey)) {
    throw new LowtideError('wrong-key', `${receiptPath} is not the key of the ${kind} ${file.id}`);
  }
  const face = {
    id: centerIdOf(receiptKey.publicKey),
    kind,
    name: file.name,
    receiptKey: receiptKey.publicKey,
  };
  const root = await readPair(world, directory, 'root');
  const issuer = await currentIssuer(world, directory, face, root);
  return { face, receiptKey, root, issuer, caHash: publicKeyHash(root.certificate) };
}

/**
 * A new key and certificate for the server, kept in memory only.
 * @param names DNS names and IP addresses at which it is reached
 */
export function serverCredentials(
  world: World,
  authority: Authority,
  names: readonly string[],
): ServerCredentials {
  const key = newKey(world);
  const { face, issuer, root } = authority;
  const issuance = newIssuance(world);
  const server = { center: face.id, names, publicKey: key.publicKey };
  const leaf = issueServerCertificate(issuer, server, issuance);
  return {
    face,
    names,
    key: privateKeyPem(key),
    chain: leaf + issuer.certificate + root.certificate,
    ca: root.certificate,
    renewAt: issuance.now + (LIFETIME.server * 2) / 3,
    from: issuance.now - CLOCK_SKEW_MS,
  };
}

async function currentIssuer(
  world: World,
  directory: string,
  face: CenterFace,
  root: CertifiedKey,
): Promise<CertifiedKey> {
  const issuer = await readPair(world, directory, 'issuer');
  if (!needsRenewal(issuer.certificate, world.clock.now())) return issuer;
  const renewed = makeIssuer(face.id, root, issuer.key, newIssuance(world));
  await writePrivate(world, `${directory}/issuer.pem`, renewed.certificate);
  return renewed;
}

async function writePair(world: World, directory: string, name: string, pair: CertifiedKey): Promise<void> {
  await writePrivate(world, `${directory}/${name}.key`, privateKeyPem(pair.key));
  await writePrivate(world, `${directory}/${name}.pem`, pair.certificate);
}

async function readPair(world: World, directory: string, name: string): Promise<CertifiedKey> {
  const keyPath = `${directory}/${name}.key`;
  const key = readPrivateKeyPem(await readPrivate(world, keyPath), keyPath);
  return { key, certificate: await readPrivate(world, `${directory}/${name}.pem`) };
}

export function newIssuance(world: World): Issuance {
  return { serial: world.random.bytes(SERIAL_BYTES), now: world.clock.now() };
}
