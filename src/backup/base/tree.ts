import { hash } from 'node:crypto';
import { openBlock } from '../../format/block.ts';
import type { DomainKeys } from '../../format/domain-keys.ts';
import { type ManifestDetails, openManifestDetails, type SignedManifest } from '../../format/manifest.ts';
import { walkRefs } from '../../format/refs.ts';
import { type LoadPage, TreeReader } from '../../format/tree-reader.ts';
import type { Depot } from '../../depot/depot.ts';
import { refsPageLoader } from '../../depot/refs-pages.ts';
import { messageOf } from '../../model/errors.ts';
import type { BlockId } from '../../model/ids.ts';
import type { PathKey } from '../../model/paths.ts';
import type { World } from '../../world/ports.ts';
import { type BlockTable, IN_BASE } from '../blocks/block-table.ts';
import { PackedKeys } from '../chunks/packed-keys.ts';
import { type OpenedPage, PagesAhead } from './pages-ahead.ts';
import type { BackupPlan } from '../plan.ts';

/** What a run needs of its base. */
export interface Base {
  readonly signed: SignedManifest;
  readonly details: ManifestDetails;
  readonly tree: TreeReader;
  /** Its pages of refs: an equal one need not be written again. */
  readonly refsPages: PackedKeys;
  /** Pages of its tree that were read not long ago. */
  readonly treePages: RecentPages;
  /** Nothing of it is read any more when this resolves. */
  settled(): Promise<void>;
}

const RECENT_MAX = 64;

/** Which block a page's payload was sealed as, for the last pages of a tree that were read. */
export class RecentPages {
  readonly #blocks = new Map<string, SealedPage>();
  readonly #byId = new Map<BlockId, SealedPage>();

  /** @param page under the keys that are in use now: sealed again, its payload would be this very block */
  read({ id, hash: payloadHash, length }: OpenedPage): void {
    const block = { id, length };
    remember(this.#blocks, payloadHash, block);
    remember(this.#byId, id, block);
  }

  /** Null if it was not read lately, or is not under the keys that are in use now. */
  sealed(id: BlockId): SealedPage | null {
    return this.#byId.get(id) ?? null;
  }

  /** Null if no such page was read. */
  find(payload: Uint8Array): SealedPage | null {
    return this.#blocks.get(hash('sha256', payload)) ?? null;
  }
}

function remember<Key>(pages: Map<Key, SealedPage>, key: Key, page: SealedPage): void {
  pages.set(key, page);
  if (pages.size <= RECENT_MAX) return;
  for (const oldest of pages.keys()) {
    pages.delete(oldest);
    return;
  }
}

export interface SealedPage {
  readonly id: BlockId;
  readonly length: number;
}

/** The payload of tree pages, whatever key epoch they are of. */
export function treePageLoader(world: World, depot: Depot, plan: Pick<BackupPlan, 'keyStore'>): LoadPage {
  return async (id) =>
    openBlock(plan.keyStore, await depot.readOne(id), 'tree', world.limits.block_bytes_max);
}

/** The same, and remembers pages that need not be sealed again if they come up unchanged. */
function remembering(ahead: PagesAhead, keys: DomainKeys, pages: RecentPages): LoadPage {
  return async (id, row) => {
    const page = await ahead.take(id, row);
    if (page.domain === keys.id) pages.read(page);
    return page.payload;
  };
}

/**
 * Puts refs(base) into the table. A tree page that cannot be read is told and forgotten: what it held is read from the
 * file system again, and the page is written again if it comes up.
 * @throws LowtideError `damaged-page`, `damaged-block` ... if the refs cannot be read: then the base is of no use
 */
export async function openBase(
  world: World,
  depot: Depot,
  plan: BackupPlan,
  table: BlockTable,
): Promise<Base | null> {
  const signed = plan.base;
  if (signed === null) return null;
  const refsPages = new PackedKeys();
  for await (const step of walkRefs(signed.manifest.refs, refsPageLoader(depot, world.limits))) {
    if (step.kind === 'page') refsPages.add(step.ref.id);
    else for (const { id, length } of step.refs) table.add(id, length, IN_BASE);
  }
  const treePages = new RecentPages();
  const ahead = new PagesAhead(world, depot, plan.keyStore);
  const tree = new TreeReader(
    signed.manifest.tree.id,
    remembering(ahead, plan.keys, treePages),
    ({ id, error }) => {
      const number = table.find(id);
      if (number >= 0) table.unmark(number, IN_BASE);
      world.monitor.problem({
        path: `page ${id.slice(0, 12)} of the last snapshot`,
        code: 'damaged-page',
        message: `${messageOf(error)}: the files on it are read again`,
        severity: 'note',
      });
    },
  );
  const details = openManifestDetails(plan.keyStore, signed.manifest);
  return { signed, details, tree, refsPages, treePages, settled: () => ahead.settled() };
}

/** Whether the base has anything but directories within `root`. */
export async function hasFilesWithin(base: Base, root: PathKey): Promise<boolean> {
  for await (const records of base.tree.subtree(root)) {
    if (records.some((record) => record.kind === 'entry' && record.entry.type !== 'directory')) return true;
  }
  return false;
}
