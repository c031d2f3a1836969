import { Depot, type DepotAccess, depotSource } from '../../depot/depot.ts';
import type { ManifestRead } from '../../depot/records.ts';
import { addSlot, newKeyring } from '../../format/keyring-edit.ts';
import { type OpenKeyring, signKeyring, type SignedKeyring } from '../../format/keyring.ts';
import type { Making, Secret } from '../../format/keyring-slots.ts';
import { checkManifest, openManifestDetails, type SignedManifest } from '../../format/manifest.ts';
import { instanceIdOf } from '../../format/signing.ts';
import { newKey } from '../../identity/new-key.ts';
import { isLowtideError, LowtideError, messageOf } from '../../model/errors.ts';
import { shortId, type SnapshotId } from '../../model/ids.ts';
import { displayPath } from '../../model/paths.ts';
import type { World } from '../../world/ports.ts';
import type { InstanceId } from '../../model/ids.ts';
import type { Reading, SnapshotLine } from '../reading.ts';
import { isOf, unlockAny, type Unlocking } from '../unlocking.ts';

/** A depot that one person uses without any center, opened with its password (DESIGN 2). */
export interface AloneDepot {
  readonly depot: Depot;
  readonly keyring: OpenKeyring;
  /** All that were there when they were first asked for. */
  readonly manifests: () => Promise<readonly ManifestRead[]>;
}

export function makingIn(world: World): Making {
  return { entropy: (length) => world.random.bytes(length), limits: world.limits, now: world.clock.now() };
}

/**
 * Makes a depot whose keyring a password opens. The signing seed is inside, so that the password is all one needs. An
 * `init` that was interrupted is finished.
 * @throws LowtideError `depot-exists`, `no-password`
 */
export async function initAlone(world: World, path: string, passphrase: string): Promise<SignedKeyring> {
  const making = makingIn(world);
  const signingKey = newKey(world);
  const ring = newKeyring({ ...making, signingKey, storeSigningSeed: true });
  const slot = { kind: 'passphrase', label: 'password', passphrase } as const;
  const { signed } = signKeyring(addSlot(ring, slot, making), signingKey);
  await Depot.create(world, path).catch(async (error: unknown) => {
    if (!isLowtideError(error, 'depot-exists') || !(await isUnfinished(world, path))) throw error;
  });
  const depot = await Depot.open(world, path, 'write');
  try {
    await depot.putKeyring(signed);
  } finally {
    await depot.close();
  }
  return signed;
}

/** Before a password is asked for. @throws LowtideError `depot-exists` */
export async function checkNotInitialised(world: World, path: string): Promise<void> {
  if ((await world.disk.stat(`${path}/config`)) === null || (await isUnfinished(world, path))) return;
  throw new LowtideError('depot-exists', `there is a depot at ${path} already`);
}

/** A depot without any keyring holds nothing that could be read. */
async function isUnfinished(world: World, path: string): Promise<boolean> {
  let depot: Depot;
  try {
    depot = await Depot.open(world, path, 'read');
  } catch (error) {
    if (isLowtideError(error)) return false;
    throw error;
  }
  try {
    return (await depot.keyrings()).length === 0;
  } finally {
    await depot.close();
  }
}

/**
 * @param begun what was done for it already
 * @throws LowtideError `not-a-depot`, `newer-format`, `locked`, `wrong-password`, `wrong-key`, `damaged-keyring`
 */
export async function openAlone(
  world: World,
  path: string,
  secret: Secret,
  access: DepotAccess,
  begun?: Unlocking,
): Promise<AloneDepot> {
  const depot = await Depot.open(world, path, access);
  const failed = new AbortController();
  try {
    let reading: Promise<readonly ManifestRead[]> | null = null;
    const manifests = (): Promise<readonly ManifestRead[]> => (reading ??= manifestsOf(depot, failed.signal));
    // Beside a derivation that is under way: who opens a depot to read wants to know what is in it.
    if (access === 'read') manifests().catch(() => undefined);
    return { depot, keyring: await unlockDepot(world, depot, secret, begun), manifests };
  } catch (error) {
    failed.abort();
    await depot.close();
    throw error;
  }
}

async function manifestsOf(depot: Depot, stop: AbortSignal): Promise<readonly ManifestRead[]> {
  const found: ManifestRead[] = [];
  for await (const read of depot.manifests()) {
    if (stop.aborted) break;
    found.push(read);
  }
  return found;
}

/** See `unlockAny`. */
export async function unlockDepot(
  world: World,
  depot: Depot,
  secret: Secret,
  begun?: Unlocking,
): Promise<OpenKeyring> {
  const keyrings = await depot.keyrings();
  if (begun !== undefined && isOf(begun, keyrings)) return await begun.opened;
  return await unlockAny(world.limits, depot.path, keyrings, secret);
}

/** @throws LowtideError `wrong-signature` */
export function checkOwnManifest(keyring: OpenKeyring, signed: SignedManifest): void {
  const { instances } = keyring.signed.keyring;
  const instance = instances.find(({ id }) => id === signed.manifest.instance);
  if (instance === undefined) {
    throw new LowtideError(
      'wrong-signature',
      `snapshot ${shortId(signed.id)} is of an instance that the keyring does not know`,
    );
  }
  checkManifest(signed, instance.publicKey);
}

/**
 * The client's own snapshots, oldest first in each chain; one that is damaged or forged is told and left out.
 */
export async function ownManifests(
  world: World,
  { keyring, manifests }: AloneDepot,
): Promise<SignedManifest[]> {
  const own: SignedManifest[] = [];
  const tell = (id: SnapshotId, error: LowtideError): void =>
    world.monitor.problem({
      path: `snapshot ${shortId(id)}`,
      code: error.code,
      message: messageOf(error),
      severity: 'error',
    });
  for (const signed of await manifests()) {
    if ('error' in signed) {
      tell(signed.id, signed.error);
      continue;
    }
    if (signed.manifest.client !== keyring.signed.keyring.client) continue;
    try {
      checkOwnManifest(keyring, signed);
      own.push(signed);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      tell(signed.id, error);
    }
  }
  return own.sort((a, b) => a.manifest.sequence - b.manifest.sequence);
}

/** Reads a depot alone. Closing it closes the depot. */
export function aloneReading(world: World, alone: AloneDepot): Reading {
  const { depot, keyring } = alone;
  return {
    world,
    keys: keyring.keys,
    sources: [{ name: 'depot', source: depotSource(depot) }],
    list: async () => {
      const own = await ownManifests(world, alone);
      return own.map((signed) => lineOf(keyring, signed, ['depot'])).sort((a, b) => b.takenAt - a.takenAt);
    },
    manifest: async (id) => {
      const signed = await depot.manifest(id);
      checkOwnManifest(keyring, signed);
      return signed;
    },
    lost: async () => [],
    close: () => depot.close(),
  };
}

/** Of a snapshot of which nothing but its manifest is known. */
export function lineOf(
  keyring: OpenKeyring,
  { id, manifest }: SignedManifest,
  where: readonly string[],
): SnapshotLine {
  const { client, instance, job, sequence, takenAt, complete, counts } = manifest;
  const { files, bytes, problems } = counts;
  const roots = openManifestDetails(keyring.keys, manifest).roots.map(displayPath);
  return {
    id,
    client,
    instance,
    job,
    sequence,
    takenAt,
    complete,
    files,
    bytes,
    problems,
    roots,
    where,
    copies: [],
    lostWith: null,
  };
}

/** Signs for the depot's owner. @throws LowtideError `no-key` for a depot that is an agent's or a center's */
export function signerOf(keyring: OpenKeyring): NonNullable<OpenKeyring['signingKey']> {
  if (keyring.signingKey !== null) return keyring.signingKey;
  throw new LowtideError(
    'no-key',
    'this keyring does not hold the key that signs: it belongs to an enrolled machine, which alone may write here',
  );
}

export const instanceOf = (keyring: OpenKeyring): InstanceId => instanceIdOf(signerOf(keyring).publicKey);
