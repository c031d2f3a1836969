import { createHash, createHmac } from 'node:crypto';
import type { BlockRead } from '../../src/depot/block-reader.ts';
import { Depot } from '../../src/depot/depot.ts';
import { clearBlock, sealBlock, type SealedBlock } from '../../src/format/block.ts';
import { deriveDomainKeys } from '../../src/format/domain-keys.ts';
import { addSlot, newEpoch, newKeyring } from '../../src/format/keyring-edit.ts';
import { type SignedKeyring, signKeyring } from '../../src/format/keyring.ts';
import { type Manifest, type SignedManifest, signManifest } from '../../src/format/manifest.ts';
import { RefsBuilder } from '../../src/format/refs.ts';
import { instanceIdOf, signingKeyFromSeed } from '../../src/format/signing.ts';
import type { BlockId, SnapshotId } from '../../src/model/ids.ts';
import { tinyLimits, type Limits } from '../../src/model/limits.ts';
import { SimulatedNode, type NodeOptions } from '../../src/sim/node.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { World } from '../../src/world/ports.ts';

export const DEPOT = '/depot';
export const keys = deriveDomainKeys(Buffer.alloc(32, 1));
export const otherKeys = deriveDomainKeys(Buffer.alloc(32, 2));
export const signingKey = signingKeyFromSeed(Buffer.alloc(32, 3));

export function newNode(options: Partial<NodeOptions> = {}, seed: string | number = 1): SimulatedNode {
  return new SimulatedNode(new Simulation({ seed, interleave: 2 }), { name: 'node', ...options });
}

/** Bytes that do not compress, always the same for one name. */
export function noise(name: string | number, length: number): Buffer {
  const pieces: Buffer[] = [];
  for (let count = 0; count * 32 < length; count++) {
    pieces.push(createHmac('sha256', String(name)).update(String(count)).digest());
  }
  return Buffer.concat(pieces).subarray(0, length);
}

/** A data block of its own for every name. */
export function block(name: string | number, length = 1500, domain = keys): SealedBlock {
  return sealBlock(domain, noise(name, length), { type: 'data', level: 0 });
}

export function blocks(count: number, prefix = 'b', length = 1500): SealedBlock[] {
  return Array.from({ length: count }, (_, number) => block(`${prefix}${number}`, length));
}

export const idsOf = (list: readonly { readonly id: BlockId }[]): BlockId[] => list.map(({ id }) => id);

export interface BuiltSnapshot {
  readonly signed: SignedManifest;
  readonly pages: readonly SealedBlock[];
}

/** A signed manifest over these blocks, with the pages of its refs. */
export async function snapshotOf(
  content: readonly SealedBlock[],
  fields: Partial<Manifest> = {},
  limits: Limits = tinyLimits,
): Promise<BuiltSnapshot> {
  const pages: SealedBlock[] = [];
  const builder = new RefsBuilder(limits, async (payload) => {
    const page = clearBlock(keys.id, payload);
    pages.push(page);
    return { id: page.id, length: page.bytes.length };
  });
  for (const { id, bytes } of content) await builder.add({ id, length: bytes.length });
  const keyring = testKeyring();
  const instance = instanceIdOf(signingKey.publicKey);
  const manifest: Manifest = {
    client: keyring.keyring.client,
    instance,
    job: 'local/home',
    sequence: 1,
    previous: null,
    base: null,
    takenAt: 1_700_000_000_000,
    refs: await builder.finish(),
    tree: { id: 'ab'.repeat(32) as BlockId, length: 100, entries: 1, bytes: 100 },
    keyring: keyring.hash,
    complete: true,
    counts: { files: 1, directories: 1, others: 0, bytes: 100, problems: 0 },
    labels: {},
    sealed: Buffer.alloc(40, 7),
    ...fields,
  };
  return { signed: signManifest(manifest, signingKey), pages };
}

export function fakeSnapshotId(name: string): SnapshotId {
  return createHash('sha256').update(name).digest('hex') as SnapshotId;
}

/** Open for writing, with the keyring that every manifest of `snapshotOf` names. */
export async function newDepot(world: World, path = DEPOT): Promise<Depot> {
  await Depot.create(world, path);
  const depot = await Depot.open(world, path, 'write');
  await depot.putKeyring(testKeyring());
  return depot;
}

/** Writes, completes the pack, and answers the ids. */
export async function put(depot: Depot, group: string, list: readonly SealedBlock[]): Promise<BlockId[]> {
  const writer = depot.writer(group);
  for (const one of list) await writer.add(one);
  await writer.finish();
  return idsOf(list);
}

export async function readAll(depot: Depot, ids: readonly BlockId[]): Promise<BlockRead[]> {
  return await Array.fromAsync(depot.read(ids));
}

/** Ids that were read, sorted. */
export const readIds = (reads: readonly BlockRead[]): BlockId[] =>
  reads.flatMap((read) => ('bytes' in read ? [read.id] : [])).sort();

export const errorsOf = (reads: readonly BlockRead[]): Map<BlockId, string> =>
  new Map(reads.flatMap((read) => ('error' in read ? [[read.id, read.error.code] as const] : [])));

/** Version 1 of a client's keyring, always the same for one client. */
export function testKeyring(client = 'ann', versions = 1): SignedKeyring {
  let turn = 0;
  const entropy = (length: number): Uint8Array => noise(`${client} ${turn++}`, length);
  const making = { entropy, limits: tinyLimits, now: 1_700_000_000_000 };
  const key = signingKeyFromSeed(noise(client, 32));
  const slot = { kind: 'device', label: 'device', secret: noise('device', 32) } as const;
  let ring = signKeyring(
    addSlot(newKeyring({ ...making, signingKey: key, storeSigningSeed: true }), slot, making),
    key,
  );
  for (let version = 1; version < versions; version++) ring = signKeyring(newEpoch(ring, making), key);
  return ring.signed;
}
