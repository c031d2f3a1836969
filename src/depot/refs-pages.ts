import { HEADER_BYTES, parseBlockHeader } from '../format/block.ts';
import { newRefs, type Ref, type LoadRefsPage } from '../format/refs.ts';
import type { SignedManifest } from '../format/manifest.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';

/** Something that gives a block's bytes, checked against its id. */
export interface BlockReading {
  readOne(id: BlockId): Promise<Uint8Array>;
}

/** Refs pages are clear: no key is needed. */
export function refsPageLoader(depot: BlockReading, limits: Limits): LoadRefsPage {
  return async (id) => {
    const bytes = await depot.readOne(id);
    const { type } = parseBlockHeader(bytes, limits.block_bytes_max);
    if (type !== 'refs') throw new LowtideError('damaged-page', `a ${type} block stands where refs must`);
    return bytes.subarray(HEADER_BYTES);
  };
}

/** refs(S) minus refs(base): what is spooled with S and may have to travel, in order of first use (format F33). */
export function blocksNewIn(
  depot: BlockReading,
  limits: Limits,
  signed: SignedManifest,
  base: SignedManifest | null,
): AsyncGenerator<readonly Ref[]> {
  return newRefs(signed.manifest.refs, base?.manifest.refs ?? null, refsPageLoader(depot, limits));
}
