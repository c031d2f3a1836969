import { z } from 'zod';
import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { centerIdOf, clientIdOf, type SigningKey } from '../format/signing.ts';
import type { World } from '../world/ports.ts';
import { type Address, formatAddress, parseAddress } from './addresses.ts';
import { newKey } from './new-key.ts';
import { privateKeyPem, publicKeyHash, readPrivateKeyPem } from './certificates.ts';
import { ifThere, readPrivate, readPrivateJson, writePrivate, writePrivateJson } from './private-files.ts';
import { centerFace, type Role } from './token.ts';

/** Who a machine is, to every center it joins. The keys never leave it. */
export interface ClientIdentity {
  readonly client: ClientId;
  /** Signs manifests, and joins. */
  readonly instance: SigningKey;
  /** For connections only, so that replacing it touches nothing that is stored. */
  readonly tls: SigningKey;
  /** 32 bytes: opens the keyring's device slot. */
  readonly deviceSecret: Uint8Array;
  /** The nodes that it has joined, centers and relays, in order of joining. */
  readonly centers: readonly JoinedCenter[];
}

/** A node that was joined: a route to one center or several. */
export interface JoinedCenter {
  readonly face: CenterFace;
  /** The centers that it leads to, by its tokens; of a center that is the one itself. */
  readonly centers: readonly CenterFace[];
  readonly addresses: readonly Address[];
  /** SHA-256 of the root's public key, 64 hex digits: came with the token. */
  readonly caHash: string;
  /** PEM of the root. */
  readonly ca: string;
  /** PEM: this client's certificate and the issuer's. */
  readonly chain: string;
  /** What this machine is called there. */
  readonly name: string;
  readonly role: Role;
  readonly joinedAt: UnixMillis;
}

/** PEM for the TLS client. */
export interface ClientCredentials {
  readonly key: string;
  readonly chain: string;
}

const SECRET_BYTES = 32;
/** Written last: without it nothing of an interrupted `createClientIdentity` counts. */
const CLIENT_FILE = 'client.json';
const clientShape = z.strictObject({ format: z.literal(1), client: z.string().regex(/^[0-9a-f]{32}$/) });
const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const centerShape = z.strictObject({
  format: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  centerName: z.string(),
  kind: z.enum(['center', 'relay']).default('center'),
  receiptKey: hex32,
  /** Left out by what knew no relays: a center, which leads to itself. */
  centers: z.array(z.strictObject({ name: z.string(), receiptKey: hex32 })).optional(),
  addresses: z.array(z.string()).min(1),
  caHash: hex32,
  ca: z.string(),
  chain: z.string(),
  name: z.string(),
  role: z.enum(['agent', 'relay', 'peer']),
  joinedAt: z.number(),
});

/**
 * Makes the keys of a new client in `directory`, which is made if need be. Its id is the name of its first key.
 * @throws LowtideError `node-exists` if there is one
 */
export async function createClientIdentity(world: World, directory: string): Promise<ClientIdentity> {
  if ((await world.disk.stat(`${directory}/${CLIENT_FILE}`)) !== null) {
    throw new LowtideError('node-exists', `${directory} already holds the identity of a client`);
  }
  await world.disk.makeDirectory(`${directory}/centers`);
  const instance = newKey(world);
  const tls = newKey(world);
  const deviceSecret = world.random.bytes(SECRET_BYTES);
  const client = clientIdOf(instance.publicKey);
  await writePrivate(world, `${directory}/instance.key`, privateKeyPem(instance));
  await writePrivate(world, `${directory}/tls.key`, privateKeyPem(tls));
  await writePrivate(world, `${directory}/device.key`, hexOf(deviceSecret) + '\n');
  await writePrivateJson(world, `${directory}/${CLIENT_FILE}`, { format: 1, client });
  return { client, instance, tls, deviceSecret, centers: [] };
}

/**
 * @throws LowtideError `not-a-node` if there is none, `forbidden` if others may read the keys, `wrong-key` for a key
 *   file that holds none: never replaced silently, because a new key would be another client
 */
export async function loadClientIdentity(world: World, directory: string): Promise<ClientIdentity> {
  const file = await ifThere(readPrivateJson(world, `${directory}/${CLIENT_FILE}`, clientShape));
  if (file === null) {
    throw new LowtideError(
      'not-a-node',
      `there is no agent here, as ${directory} holds no keys: 'lowtide agent join' makes one`,
    );
  }
  const key = async (name: string): Promise<SigningKey> =>
    readPrivateKeyPem(await readPrivate(world, `${directory}/${name}`), `${directory}/${name}`);
  const devicePath = `${directory}/device.key`;
  const device = (await readPrivate(world, devicePath)).trim();
  if (!/^[0-9a-f]{64}$/.test(device)) {
    throw new LowtideError('wrong-key', `${devicePath} does not hold a device key: 64 hex digits`);
  }
  return {
    client: file.client as ClientId,
    instance: await key('instance.key'),
    tls: await key('tls.key'),
    deviceSecret: new Uint8Array(bytesOfHex(device)),
    centers: await loadCenters(world, `${directory}/centers`),
  };
}

/** Remembers a center, or what is new about it. Durable when it resolves. */
export async function addCenter(
  world: World,
  directory: string,
  identity: ClientIdentity,
  center: JoinedCenter,
): Promise<ClientIdentity> {
  if (publicKeyHash(center.ca) !== center.caHash) throw wrongRoot(center.face.name);
  const { face, addresses, centers, ...rest } = center;
  await world.disk.makeDirectory(`${directory}/centers`);
  await writePrivateJson(world, `${directory}/centers/${face.id}.json`, {
    format: 1,
    id: face.id,
    centerName: face.name,
    kind: face.kind,
    receiptKey: hexOf(face.receiptKey),
    centers: centers.map(({ name, receiptKey }) => ({ name, receiptKey: hexOf(receiptKey) })),
    ...rest,
    addresses: addresses.map(formatAddress),
  });
  const others = identity.centers.filter((known) => known.face.id !== face.id);
  return { ...identity, centers: inOrder([...others, center]) };
}

/**
 * Forgets a node that was joined: what is owed to the centers that it led to stays owed. Durable when it resolves. It
 * knows this machine still; only its operator can shut it out there.
 */
export async function removeCenter(
  world: World,
  directory: string,
  identity: ClientIdentity,
  id: CenterId,
): Promise<ClientIdentity> {
  await world.disk.remove(`${directory}/centers/${id}.json`);
  await world.disk.syncDirectory(`${directory}/centers`);
  return { ...identity, centers: identity.centers.filter(({ face }) => face.id !== id) };
}

/** Every center of these lists once, as the first that names it does. */
export function unitedCenters(lists: readonly (readonly CenterFace[])[]): readonly CenterFace[] {
  const faces = new Map<CenterId, CenterFace>();
  for (const face of lists.flat()) if (!faces.has(face.id)) faces.set(face.id, face);
  return [...faces.values()];
}

/** @throws LowtideError `not-enrolled` */
export function centerOf(identity: ClientIdentity, center: CenterId): JoinedCenter {
  const found = identity.centers.find((joined) => joined.face.id === center);
  if (found === undefined)
    throw new LowtideError('not-enrolled', `this machine has not joined the center ${center}`);
  return found;
}

export function clientCredentials(identity: ClientIdentity, center: JoinedCenter): ClientCredentials {
  return { key: privateKeyPem(identity.tls), chain: center.chain };
}

async function loadCenters(world: World, directory: string): Promise<JoinedCenter[]> {
  const names = (await ifThere(world.disk.list(directory))) ?? [];
  const files = names.filter(({ name }) => /^[0-9a-f]{32}\.json$/.test(name));
  const centers: JoinedCenter[] = [];
  for (const { name } of files) centers.push(await loadCenter(world, `${directory}/${name}`));
  return inOrder(centers);
}

async function loadCenter(world: World, path: string): Promise<JoinedCenter> {
  const file = await readPrivateJson(world, path, centerShape);
  const { format, id, kind, centerName, receiptKey, addresses, centers, ...rest } = file;
  void format;
  const key = new Uint8Array(bytesOfHex(receiptKey));
  if (centerIdOf(key) !== id)
    throw new LowtideError('bad-config', `${path} names another center than its key`);
  if (publicKeyHash(rest.ca) !== rest.caHash) throw wrongRoot(centerName);
  const face = { id: centerIdOf(key), kind, name: centerName, receiptKey: key };
  const reached = centers?.map(({ name, receiptKey }) =>
    centerFace(name, new Uint8Array(bytesOfHex(receiptKey))),
  );
  return {
    ...rest,
    face,
    centers: reached ?? [face],
    addresses: addresses.map((address) => parseAddress(address)),
  };
}

const inOrder = (centers: JoinedCenter[]): JoinedCenter[] =>
  centers.sort((a, b) => a.joinedAt - b.joinedAt || (a.face.id < b.face.id ? -1 : 1));

const wrongRoot = (name: string): LowtideError =>
  new LowtideError('wrong-center', `the root certificate of ${name} is not the one that its token named`);
