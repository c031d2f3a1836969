import { HEADER_BYTES, parseBlockHeader } from '../format/block.ts';
import { decodeRefsPage, type Ref, type RefsPage } from '../format/refs.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import type { BlockReader } from './block-reader.ts';

/** Pages read at once: neighbours come in one read of the disk. */
const PAGES_AT_ONCE = 64;

export type PageStep =
  | { readonly ref: Ref; readonly page: RefsPage }
  /** It cannot be had, or it is no page of refs (`damaged-page`): what is below it is not known. */
  | { readonly ref: Ref; readonly error: LowtideError };

export interface PageWalk {
  /** Leaves out a page and all below it. */
  readonly skip?: (id: BlockId) => boolean;
  /** Only inner pages and their children's ids: `onLeaf` is told of leaves that are not loaded. */
  readonly onLeaf?: (ref: Ref) => void;
  readonly stop?: AbortSignal;
}

/**
 * Every page of a snapshot's refs, once each, however often it is named: what a hostile writer nests must not cost
 * more than it stored. Unlike `walkRefs` it goes on past pages that are missing.
 */
export async function* walkPages(reader: BlockReader, root: Ref, walk: PageWalk): AsyncGenerator<PageStep> {
  const seen = new Set<BlockId>([root.id]);
  const stack: Ref[] = walk.skip?.(root.id) === true ? [] : [root];
  while (stack.length > 0) {
    const batch = new Map(stack.splice(-PAGES_AT_ONCE).map((ref) => [ref.id, ref]));
    for await (const read of reader.read([...batch.keys()], walk.stop)) {
      const ref = batch.get(read.id)!;
      const step = 'bytes' in read ? stepOf(ref, read.bytes) : { ref, error: read.error };
      yield step;
      if (!('page' in step) || step.page.kind === 'leaf') continue;
      for (const child of step.page.children.toReversed()) {
        if (seen.has(child.id)) continue;
        seen.add(child.id);
        if (walk.onLeaf !== undefined && step.page.level === 1) walk.onLeaf(child);
        else if (walk.skip?.(child.id) !== true) stack.push(child);
      }
    }
  }
}

function stepOf(ref: Ref, bytes: Uint8Array): PageStep {
  try {
    return { ref, page: refsPageOf(bytes) };
  } catch (error) {
    if (isLowtideError(error)) return { ref, error };
    throw error;
  }
}

/** @throws LowtideError `damaged-page` if a whole, checked block is no page of refs */
export function refsPageOf(bytes: Uint8Array): RefsPage {
  const { type } = parseBlockHeader(bytes, bytes.length);
  if (type !== 'refs') throw new LowtideError('damaged-page', `a ${type} block stands where refs must`);
  return decodeRefsPage(bytes.subarray(HEADER_BYTES));
}
