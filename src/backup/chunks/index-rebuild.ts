import { walkRefs } from '../../format/refs.ts';
import type { SignedManifest } from '../../format/manifest.ts';
import { decodeTreePage, type TreeRecord } from '../../format/tree-page.ts';
import type { LoadPage } from '../../format/tree-reader.ts';
import type { Depot } from '../../depot/depot.ts';
import { refsPageLoader } from '../../depot/refs-pages.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { BlockId } from '../../model/ids.ts';
import type { World } from '../../world/ports.ts';
import { BlockTable, IN_BASE } from '../blocks/block-table.ts';
import type { ChunkIndex } from './chunk-index.ts';
import { PackedKeys } from './packed-keys.ts';
import type { PlacedChunk } from './sequencer.ts';

/**
 * Puts the chunks of snapshots into an index, from their trees alone. What several snapshots share is read once. A
 * page that is damaged or of another key is left out: then its chunks are stored again when they come up.
 */
export class IndexRebuild {
  readonly #world: World;
  readonly #depot: Depot;
  readonly #load: LoadPage;
  readonly #index: ChunkIndex;
  /** Lengths of all blocks that refs name. */
  readonly #blocks = new BlockTable();
  readonly #done = new PackedKeys();

  constructor(world: World, depot: Depot, load: LoadPage, index: ChunkIndex) {
    this.#world = world;
    this.#depot = depot;
    this.#load = load;
    this.#index = index;
  }

  async add({ manifest }: SignedManifest): Promise<void> {
    try {
      const load = refsPageLoader(this.#depot, this.#world.limits);
      const isDone = (id: BlockId): boolean => this.#done.has(id);
      for await (const step of walkRefs(manifest.refs, load, isDone)) {
        if (step.kind === 'page') this.#done.add(step.ref.id);
        else for (const { id, length } of step.refs) this.#blocks.add(id, length, IN_BASE);
      }
    } catch (error) {
      if (!isUnreadable(error)) throw error;
    }
    await this.#addPage(manifest.tree.id);
    await this.#index.alsoCover(manifest.tree.id);
  }

  async #addPage(id: BlockId): Promise<void> {
    if (this.#done.has(id)) return;
    this.#done.add(id);
    try {
      const page = decodeTreePage(await this.#load(id));
      if (page.kind === 'leaf') await this.#addRecords(page.records);
      else for (const child of page.children) await this.#addPage(child.id);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
    }
  }

  async #addRecords(records: readonly TreeRecord[]): Promise<void> {
    const chunksOf = new Map<BlockId, PlacedChunk[]>();
    for (const record of records) {
      for (const extent of record.kind === 'entry' ? record.entry.extents : record.extents) {
        if (extent.kind !== 'data') continue;
        const chunks = chunksOf.get(extent.block);
        if (chunks === undefined) chunksOf.set(extent.block, [extent]);
        else chunks.push(extent);
      }
    }
    for (const [id, chunks] of chunksOf) {
      const number = this.#blocks.find(id);
      if (number >= 0) await this.#index.put({ id, length: this.#blocks.lengthOf(number), chunks });
    }
  }
}

const isUnreadable = (error: unknown): boolean =>
  isLowtideError(
    error,
    'block-unavailable',
    'damaged-block',
    'damaged-page',
    'damaged-pack',
    'hash-mismatch',
    'no-key',
    'newer-format',
  );
