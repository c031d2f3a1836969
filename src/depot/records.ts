import { parseKeyring, type SignedKeyring } from '../format/keyring.ts';
import { parseManifest, type SignedManifest } from '../format/manifest.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { type ClientId, type KeyringHash, shortId, type SnapshotId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import { sweepTemporary } from '../world/disk/durable.ts';
import type { Disk } from '../world/ports.ts';
import { putFramed, readFramed } from './framed.ts';
import { Parsed } from './parsed.ts';

/** Directories below the depot, made by `Depot.create`. */
export const RECORD_DIRECTORIES = ['manifests', 'keyrings', 'voids'] as const;

const ID = /^[0-9a-f]{64}$/;
const CLIENT = /^[0-9a-f]{32}$/;
const KEYRING_NAME = /^[0-9]{8}-([0-9a-f]{64})$/;
const VOID_BYTES_MAX = 1 << 12;
const LOSS_BYTES_MAX = 1 << 13;

export type ManifestRead = SignedManifest | { readonly id: SnapshotId; readonly error: LowtideError };

/** The small signed records of a depot, one file each. Nothing here checks a signature: that needs keys. */
export class Records {
  readonly #disk: Disk;
  readonly #limits: Limits;
  readonly #manifests: string;
  readonly #keyrings: string;
  readonly #voids: string;
  readonly #losses: string;
  readonly #parsedManifests = new Parsed(parseManifest, 256);
  readonly #parsedKeyrings = new Parsed(parseKeyring, 64);

  constructor(disk: Disk, limits: Limits, depot: string) {
    this.#disk = disk;
    this.#limits = limits;
    this.#manifests = `${depot}/manifests`;
    this.#keyrings = `${depot}/keyrings`;
    this.#voids = `${depot}/voids`;
    this.#losses = `${depot}/losses`;
  }

  /** Removes what interrupted writes left. Only for who has the depot's lock. */
  async sweep(): Promise<void> {
    for (const directory of [this.#manifests, this.#voids, this.#losses]) {
      await sweepTemporary(this.#disk, directory);
    }
    for (const client of await this.#clients()) {
      await sweepTemporary(this.#disk, `${this.#keyrings}/${client}`);
    }
  }

  async putManifest(signed: SignedManifest): Promise<void> {
    await putFramed(this.#disk, this.#manifests, signed.id, signed.bytes);
  }

  async hasManifest(id: SnapshotId): Promise<boolean> {
    return (await this.#disk.stat(this.#manifestPath(id))) !== null;
  }

  /** @throws LowtideError `no-such-snapshot`, `damaged-manifest`, `newer-format` */
  async manifest(id: SnapshotId): Promise<SignedManifest> {
    const path = this.#manifestPath(id);
    const bytes = await readFramed(this.#disk, path, this.#limits.manifest_bytes_max, 'damaged-manifest');
    if (bytes === null) {
      throw new LowtideError('no-such-snapshot', `there is no snapshot ${shortId(id)} in this depot`);
    }
    const signed = this.#parsedManifests.of(id, bytes);
    if (signed.id !== id) throw new LowtideError('damaged-manifest', `${path} holds another manifest`);
    return signed;
  }

  /** Every snapshot's id, sorted. */
  async snapshots(): Promise<SnapshotId[]> {
    const names = await this.#names(this.#manifests);
    return names.filter((name) => ID.test(name)) as SnapshotId[];
  }

  async *manifests(): AsyncGenerator<ManifestRead> {
    for (const id of await this.snapshots()) {
      try {
        yield await this.manifest(id);
      } catch (error) {
        // Removed meanwhile: it was never there.
        if (isLowtideError(error, 'no-such-snapshot')) continue;
        if (!isLowtideError(error)) throw error;
        yield { id, error };
      }
    }
  }

  async removeManifest(id: SnapshotId): Promise<void> {
    await this.#disk.remove(this.#manifestPath(id));
    await this.#disk.syncDirectory(this.#manifests);
  }

  async putKeyring(signed: SignedKeyring): Promise<void> {
    const { client, version } = signed.keyring;
    const directory = `${this.#keyrings}/${client}`;
    await this.#disk.makeDirectory(directory);
    const name = `${String(version).padStart(8, '0')}-${signed.hash}`;
    await putFramed(this.#disk, directory, name, signed.bytes);
  }

  /** @throws LowtideError `not-found`, `damaged-keyring`, `newer-format` */
  async keyring(client: ClientId, hash: KeyringHash): Promise<SignedKeyring> {
    for await (const found of this.#keyringFiles(client)) {
      if (found.hash === hash) return await this.#readKeyring(found);
    }
    throw new LowtideError('not-found', `there is no keyring ${shortId(hash)} in this depot`);
  }

  /** Sorted by client, then version. A damaged one is an error: leaving it out could bring back removed slots. */
  async keyrings(client?: ClientId): Promise<SignedKeyring[]> {
    const found: SignedKeyring[] = [];
    for await (const file of this.#keyringFiles(client)) found.push(await this.#readKeyring(file));
    return found;
  }

  /** One after another, each or its error: for verification. */
  async *eachKeyring(): AsyncGenerator<KeyringFile & { readonly error: LowtideError | null }> {
    for await (const file of this.#keyringFiles()) {
      try {
        await this.#readKeyring(file);
        yield { ...file, error: null };
      } catch (error) {
        if (!isLowtideError(error)) throw error;
        yield { ...file, error };
      }
    }
  }

  async putVoid(snapshot: SnapshotId, bytes: Uint8Array): Promise<void> {
    await putFramed(this.#disk, this.#voids, snapshot, bytes);
  }

  /** @throws LowtideError `damaged-manifest` */
  async voidRecord(snapshot: SnapshotId): Promise<Uint8Array | null> {
    return await readFramed(this.#disk, `${this.#voids}/${snapshot}`, VOID_BYTES_MAX, 'damaged-manifest');
  }

  /** Snapshots that were closed, sorted. */
  async voids(): Promise<SnapshotId[]> {
    return (await this.#names(this.#voids)).filter((name) => ID.test(name)) as SnapshotId[];
  }

  /** The directory comes with the first one: few depots ever have any. */
  async putLoss(snapshot: SnapshotId, bytes: Uint8Array): Promise<void> {
    await this.#disk.makeDirectory(this.#losses);
    await putFramed(this.#disk, this.#losses, snapshot, bytes);
  }

  /** @throws LowtideError `damaged-manifest`, `not-found` */
  async loss(snapshot: SnapshotId): Promise<Uint8Array> {
    const path = `${this.#losses}/${snapshot}`;
    const bytes = await readFramed(this.#disk, path, LOSS_BYTES_MAX, 'damaged-manifest');
    if (bytes === null) throw new LowtideError('not-found', `${path} is gone`);
    return bytes;
  }

  /** Snapshots that relays have lost, sorted. */
  async losses(): Promise<SnapshotId[]> {
    return (await this.#names(this.#losses)).filter((name) => ID.test(name)) as SnapshotId[];
  }

  async removeLoss(snapshot: SnapshotId): Promise<void> {
    await this.#disk.remove(`${this.#losses}/${snapshot}`);
    await this.#disk.syncDirectory(this.#losses);
  }

  #manifestPath(id: SnapshotId): string {
    return `${this.#manifests}/${id}`;
  }

  async #readKeyring(file: KeyringFile): Promise<SignedKeyring> {
    const bytes = await readFramed(this.#disk, file.path, this.#limits.keyring_bytes_max, 'damaged-keyring');
    if (bytes === null) throw new LowtideError('not-found', `${file.path} is gone`);
    const signed = this.#parsedKeyrings.of(file.hash, bytes);
    if (signed.hash !== file.hash || signed.keyring.client !== file.client) {
      throw new LowtideError('damaged-keyring', `${file.path} holds another keyring`);
    }
    return signed;
  }

  async *#keyringFiles(only?: ClientId): AsyncGenerator<KeyringFile> {
    for (const client of only === undefined ? await this.#clients() : [only]) {
      const directory = `${this.#keyrings}/${client}`;
      for (const name of await this.#names(directory)) {
        const hash = KEYRING_NAME.exec(name)?.[1];
        if (hash !== undefined) yield { client, hash: hash as KeyringHash, path: `${directory}/${name}` };
      }
    }
  }

  async #clients(): Promise<ClientId[]> {
    return (await this.#names(this.#keyrings)).filter((name) => CLIENT.test(name)) as ClientId[];
  }

  /** Sorted; none if there is no such directory. */
  async #names(directory: string): Promise<string[]> {
    try {
      return (await this.#disk.list(directory)).map((entry) => entry.name);
    } catch (error) {
      if (isLowtideError(error, 'not-found')) return [];
      throw error;
    }
  }
}

export interface KeyringFile {
  readonly client: ClientId;
  readonly hash: KeyringHash;
  readonly path: string;
}
