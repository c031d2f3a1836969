import { hash } from 'node:crypto';
import type { Depot } from '../../depot/depot.ts';
import { openBlock, parseBlockHeader } from '../../format/block.ts';
import { type DomainKeys, KeyStore } from '../../format/domain-keys.ts';
import type { PageRow } from '../../format/tree-reader.ts';
import { defined, type ErrorCode, isLowtideError, LowtideError } from '../../model/errors.ts';
import type { BlockId, DomainKeyId } from '../../model/ids.ts';
import type { Task, World } from '../../world/ports.ts';
import { Background, later } from '../ahead.ts';

/** Pages of one request: they stand beside each other in their pack. Sealed bytes of one, its first page excepted. */
const PAGES = 32;
const BYTES = 1 << 18;

/** A page of a tree that was opened. */
export interface OpenedPage {
  readonly id: BlockId;
  readonly payload: Uint8Array;
  /** SHA-256 of the payload. */
  readonly hash: string;
  /** Bytes of the block. */
  readonly length: number;
  readonly domain: DomainKeyId;
}

/**
 * Pages of a tree for a walk that comes to all of its leaves. Those that follow are read with the one that is asked for,
 * in one read of the disk, and opened together by a thread.
 */
export class PagesAhead {
  readonly #world: Pick<World, 'work' | 'limits'>;
  readonly #depot: Pick<Depot, 'read'>;
  readonly #keyStore: KeyStore;
  readonly #coming = new Map<BlockId, Promise<OpenedPage>>();
  readonly #background = new Background();

  constructor(world: Pick<World, 'work' | 'limits'>, depot: Pick<Depot, 'read'>, keyStore: KeyStore) {
    this.#world = world;
    this.#depot = depot;
    this.#keyStore = keyStore;
  }

  /** @throws LowtideError why the page cannot be had */
  async take(id: BlockId, row?: PageRow): Promise<OpenedPage> {
    if (!this.#coming.has(id)) this.#request([id]);
    const page = this.#coming.get(id)!;
    this.#coming.delete(id);
    if (row !== undefined && this.#coming.size <= PAGES / 2) this.#request(this.#after(row));
    return await page;
  }

  /** Nothing is read any more when this resolves. */
  async settled(): Promise<void> {
    await this.#background.settled();
  }

  #after({ children, at }: PageRow): BlockId[] {
    const ids: BlockId[] = [];
    let bytes = 0;
    for (let next = at + 1; next < children.length && ids.length < PAGES; next++) {
      const { id, length } = children[next]!;
      if (this.#coming.has(id)) continue;
      bytes += length;
      if (ids.length > 0 && bytes > BYTES) break;
      ids.push(id);
    }
    return ids;
  }

  #request(ids: readonly BlockId[]): void {
    if (ids.length === 0) return;
    const batch = this.#open(ids);
    this.#background.add(batch);
    for (const id of ids) this.#coming.set(id, later(batch.then((pages) => pageOf(pages, id))));
  }

  async #open(ids: readonly BlockId[]): Promise<ReadonlyMap<BlockId, OpenedPage | LowtideError>> {
    const pages = new Map<BlockId, OpenedPage | LowtideError>();
    const blocks: { readonly id: BlockId; readonly bytes: Uint8Array }[] = [];
    for await (const read of this.#depot.read(ids)) {
      if ('bytes' in read) blocks.push(read);
      else pages.set(read.id, read.error);
    }
    const opened = await this.#world.work.run(openPagesTask, {
      epochs: this.#keyStore.epochs,
      blocks: Buffer.concat(blocks.map(({ bytes }) => bytes)),
      lengths: blocks.map(({ bytes }) => bytes.length),
      maxBytes: this.#world.limits.block_bytes_max,
    });
    let at = 0;
    for (const [number, { id, bytes }] of blocks.entries()) {
      const found = opened.pages[number]!;
      if ('code' in found) {
        pages.set(id, new LowtideError(found.code, found.message));
        continue;
      }
      const payload = opened.payloads.subarray(at, (at += found.length));
      pages.set(id, { id, payload, hash: found.hash, length: bytes.length, domain: found.domain });
    }
    return pages;
  }
}

function pageOf(pages: ReadonlyMap<BlockId, OpenedPage | LowtideError>, id: BlockId): OpenedPage {
  const page = defined(pages.get(id), 'an answer for each page');
  if (page instanceof LowtideError) throw page;
  return page;
}

interface OpenPagesInput {
  readonly epochs: readonly DomainKeys[];
  /** One behind the other. */
  readonly blocks: Uint8Array;
  readonly lengths: readonly number[];
  readonly maxBytes: number;
}

interface OpenPagesOutput {
  readonly payloads: Uint8Array;
  readonly pages: readonly (
    | { readonly length: number; readonly hash: string; readonly domain: DomainKeyId }
    | { readonly code: ErrorCode; readonly message: string }
  )[];
}

/** Runs in a thread of the Work port. */
export function openPages({ epochs, blocks, lengths, maxBytes }: OpenPagesInput): OpenPagesOutput {
  const keys = new KeyStore(epochs);
  const payloads: Uint8Array[] = [];
  let start = 0;
  const pages = lengths.map((length) => {
    const block = blocks.subarray(start, (start += length));
    try {
      const payload = openBlock(keys, block, 'tree', maxBytes);
      payloads.push(payload);
      const { domain } = parseBlockHeader(block, maxBytes);
      return { length: payload.length, hash: hash('sha256', payload), domain };
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      return { code: error.code, message: error.message };
    }
  });
  return { payloads: Buffer.concat(payloads), pages };
}

const openPagesTask: Task<OpenPagesInput, OpenPagesOutput> = {
  module: import.meta.url,
  name: openPages.name,
  run: openPages,
};
