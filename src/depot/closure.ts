import type { SignedManifest } from '../format/manifest.ts';
import type { Ref } from '../format/refs.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { shortId, type BlockId, type DomainKeyId } from '../model/ids.ts';
import type { BlockIndex } from './block-index.ts';
import type { BlockReader } from './block-reader.ts';
import { type PageStep, refsPageOf, walkPages } from './refs-walk.ts';

export interface ClosureOptions {
  /** The caller vouches for everything in its refs: that is not looked for. */
  readonly base?: SignedManifest | null;
  /** Only blocks of these domains count as present. */
  readonly domains?: ReadonlySet<DomainKeyId>;
  /** Blocks that need not be here; pages of refs must be all the same. */
  readonly vouched?: ReadonlySet<BlockId>;
}

export interface Closure {
  /** At most `limits.ids_per_message`. What a missing page of refs names is not known: ask again when it is there. */
  readonly missing: BlockId[];
  /** Blocks looked for, refs pages included; too few if `missing` is full. */
  readonly blocks: number;
  readonly bytes: number;
}

export interface ClosureParts {
  readonly reader: BlockReader;
  readonly index: BlockIndex;
}

export interface ClosureScope {
  readonly root: Ref;
  /** Refs pages that need not be looked at. */
  readonly skip?: (page: BlockId) => boolean;
  /** Blocks that need not be there. */
  readonly vouched?: (block: BlockId) => boolean;
  readonly domains: ReadonlySet<DomainKeyId> | null;
  readonly stop?: AbortSignal;
}

/** What of a snapshot is not here (promise P5: without any key). */
export async function checkClosure(
  parts: ClosureParts,
  signed: SignedManifest,
  options: ClosureOptions,
  missingMax: number,
): Promise<Closure> {
  const root = signed.manifest.refs;
  const base = options.base ?? null;
  const known: Pick<ClosureScope, 'skip' | 'vouched'> =
    base === null ? {} : await vouchedBy(parts.reader, base.manifest.refs, root);
  const vouched = (id: BlockId): boolean => options.vouched?.has(id) === true || known.vouched?.(id) === true;
  const scope: ClosureScope = { root, domains: options.domains ?? null, ...known, vouched };
  const missing = new Set<BlockId>();
  let blocks = 0;
  let bytes = 0;
  for await (const look of lookFor(parts, scope)) {
    blocks += look.refs.length;
    for (const ref of look.refs) bytes += ref.length;
    for (const id of look.missing) {
      if (missing.size < missingMax) missing.add(id);
    }
    if (missing.size >= missingMax) break;
  }
  return { missing: [...missing], blocks, bytes };
}

export interface Look {
  readonly page: BlockId;
  /** The page itself and the blocks on it that were looked for. */
  readonly refs: readonly Ref[];
  readonly missing: readonly BlockId[];
}

/**
 * Looks for everything in a scope, page by page.
 * @throws LowtideError `damaged-page` if refs name as a page what is none, or give a block a length that it does not have
 */
export async function* lookFor(parts: ClosureParts, scope: ClosureScope): AsyncGenerator<Look> {
  const { root, skip, stop, domains } = scope;
  const walk = { ...(skip && { skip }), ...(stop && { stop }) };
  for await (const step of walkPages(parts.reader, root, walk)) {
    const refs = [step.ref, ...namedBy(step).filter((ref) => scope.vouched?.(ref.id) !== true)];
    const present = await parts.index.present(
      refs.map((ref) => ref.id),
      domains,
    );
    if ('error' in step) {
      // Sending it again would not make it one.
      if (step.error.code === 'damaged-page') throw step.error;
      present.delete(step.ref.id);
    }
    for (const ref of refs) checkLength(ref, present.get(ref.id));
    const missing = refs.filter((ref) => !present.has(ref.id)).map((ref) => ref.id);
    yield { page: step.ref.id, refs, missing };
  }
}

function namedBy(step: PageStep): readonly Ref[] {
  return 'page' in step && step.page.kind === 'leaf' ? step.page.refs : [];
}

/** Quota and transfer are counted in these lengths. */
function checkLength(ref: Ref, length: number | undefined): void {
  if (length === undefined || length === ref.length) return;
  throw new LowtideError(
    'damaged-page',
    `the snapshot's refs say that block ${shortId(ref.id)} has ${ref.length} bytes, but it has ${length}`,
  );
}

/**
 * What refs(base) covers of a snapshot's refs (format F33): its pages, and the blocks on those of its leaves that the
 * snapshot does not share. A page of the base that is not here covers nothing below it.
 */
export async function vouchedBy(
  reader: BlockReader,
  base: Ref,
  root: Ref,
): Promise<{ skip: (page: BlockId) => boolean; vouched: (block: BlockId) => boolean }> {
  const basePages = new Set<BlockId>([base.id]);
  const leaves = new Set<BlockId>();
  const onLeaf = (ref: Ref): void => void leaves.add(ref.id);
  for await (const step of walkPages(reader, base, { onLeaf })) {
    basePages.add(step.ref.id);
    if ('page' in step && step.page.kind === 'leaf') leaves.add(step.ref.id);
  }
  for (const leaf of leaves) basePages.add(leaf);
  const skip = (page: BlockId): boolean => basePages.has(page);
  if (skip(root.id)) return { skip, vouched: () => true };
  const shared = (ref: Ref): void => void leaves.delete(ref.id);
  for await (const step of walkPages(reader, root, { skip, onLeaf: shared })) shared(step.ref);
  const vouched = new Set<BlockId>();
  for await (const read of reader.read([...leaves])) {
    if (!('bytes' in read)) continue;
    for (const ref of leafRefs(read.bytes)) vouched.add(ref.id);
  }
  return { skip, vouched: (block) => vouched.has(block) };
}

/**
 * What a snapshot adds to its base, pages included, as far as the refs of both can be read: of a page that cannot, only the
 * page is told, or nothing taken for covered.
 */
export async function* refsBeyond(reader: BlockReader, root: Ref, base: Ref): AsyncGenerator<readonly Ref[]> {
  const { skip, vouched } = await vouchedBy(reader, base, root);
  for await (const step of walkPages(reader, root, { skip }))
    yield [step.ref, ...namedBy(step).filter(({ id }) => !vouched(id))];
}

function leafRefs(bytes: Uint8Array): readonly Ref[] {
  try {
    const page = refsPageOf(bytes);
    return page.kind === 'leaf' ? page.refs : [];
  } catch (error) {
    if (isLowtideError(error)) return [];
    throw error;
  }
}
