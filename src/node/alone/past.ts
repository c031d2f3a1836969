import { createHash } from 'node:crypto';
import type { SignedManifest } from '../../format/manifest.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { InstanceId, SnapshotId } from '../../model/ids.ts';
import { readWhole } from '../../world/disk/durable.ts';
import type { World } from '../../world/ports.ts';
import { type AloneDepot, checkOwnManifest, ownManifests } from './alone.ts';

const NOTE = 'newest.json';
const NOTE_BYTES_MAX = 1 << 20;

/** What the last backup left for the next: neither has to read thousands of manifests to find a few. */
interface Note {
  /** Of which snapshots were there: see `digestOf`. */
  readonly snapshots: string;
  /** The newest of each job of the instance that took it. */
  readonly newest: readonly SnapshotId[];
}

/** What one instance has backed up into a depot that stands alone. */
export class Past {
  readonly #world: World;
  readonly #alone: AloneDepot;
  readonly #instance: InstanceId;
  /** Some manifest was damaged or not its own: that is found, and told, anew each time. */
  #hasFaults = false;

  constructor(world: World, alone: AloneDepot, instance: InstanceId) {
    this.#world = world;
    this.#alone = alone;
    this.#instance = instance;
  }

  /** Every snapshot, in order of sequence. Reads them all. */
  async all(): Promise<readonly SignedManifest[]> {
    const own = await ownManifests(this.#world, this.#alone);
    this.#hasFaults = own.length < (await this.#alone.manifests()).length;
    return own.filter(({ manifest }) => manifest.instance === this.#instance);
  }

  /** The newest snapshot of each job, in order of sequence. Reads no other if no manifest came or went since `note`. */
  async newest(): Promise<readonly SignedManifest[]> {
    const noted = await this.#noted().catch(nothing);
    if (noted !== null) return noted;
    const newest = new Map((await this.all()).map((signed) => [signed.manifest.job, signed]));
    return inOrder([...newest.values()]);
  }

  /** For the next backup. Nothing depends on it, so it need not be durable. @param newest of each job */
  async note(newest: readonly SignedManifest[]): Promise<void> {
    if (this.#hasFaults) return;
    const { depot } = this.#alone;
    const path = `${depot.path}/${NOTE}`;
    const note: Note = { snapshots: digestOf(await depot.snapshots()), newest: newest.map(({ id }) => id) };
    const { disk } = this.#world;
    try {
      await disk.remove(path);
      const file = await disk.create(path);
      try {
        await file.write(Buffer.from(JSON.stringify(note)));
      } finally {
        await file.close();
      }
    } catch (error) {
      nothing(error);
    }
  }

  async #noted(): Promise<readonly SignedManifest[] | null> {
    const { depot, keyring } = this.#alone;
    const bytes = await readWhole(this.#world.disk, `${depot.path}/${NOTE}`, NOTE_BYTES_MAX);
    const note = JSON.parse(Buffer.from(bytes).toString()) as Partial<Note> | null;
    const ids = await depot.snapshots();
    if (note?.snapshots !== digestOf(ids) || !Array.isArray(note.newest)) return null;
    const newest = new Set(note.newest);
    const read: SignedManifest[] = [];
    for (const id of ids.filter((each) => newest.has(each))) {
      const signed = await depot.manifest(id);
      checkOwnManifest(keyring, signed);
      if (signed.manifest.instance !== this.#instance) return null;
      read.push(signed);
    }
    return inOrder(read);
  }
}

const inOrder = (snapshots: SignedManifest[]): readonly SignedManifest[] =>
  snapshots.sort((a, b) => a.manifest.sequence - b.manifest.sequence);

/** @param ids sorted */
const digestOf = (ids: readonly SnapshotId[]): string =>
  createHash('sha256').update(ids.join('\n')).digest('hex');

/** No note, a damaged one, one that cannot be written: all manifests are read. */
function nothing(error: unknown): null {
  if (isLowtideError(error) || error instanceof SyntaxError) return null;
  throw error;
}
