import type { DomainKeys } from '../format/domain-keys.ts';
import { blockIdOf, mislabelled, type SealedBlock } from '../format/block.ts';
import { KeyStore } from '../format/domain-keys.ts';
import { freeAtOnce } from '../model/bytes.ts';
import { isLowtideError, type LowtideError } from '../model/errors.ts';
import type { BlockId, ChunkDigest } from '../model/ids.ts';
import type { Task } from '../world/ports.ts';
import type { Content } from '../world/target/ports.ts';
import { chunkOf, type DataBlock, openDataBlock } from './data-block.ts';

/** Where a piece comes from if it is not in a block: from the tree itself. */
export const INLINE = -1;
/** What of `ContentInput.places` belongs to a piece: number of its block or INLINE, offset, length. */
export const PLACE_FIELDS = 3;
export const DIGEST_CHARACTERS = 64;

/** Sealed blocks, and the pieces that are wanted of them in turn. */
export interface ContentInput {
  readonly epochs: readonly DomainKeys[];
  readonly blockBytesMax: number;
  readonly ids: readonly BlockId[];
  /** Of each block: it must be compared with its id before it is opened. */
  readonly mustHash: readonly boolean[];
  readonly blocks: readonly Uint8Array[];
  readonly places: readonly number[];
  /** All digests in one string, which passes between threads faster than a list; of inline pieces none. */
  readonly digests: string;
  readonly inline: readonly Uint8Array[];
}

/** Opens each block once and checks every piece against its digest. */
export function openContent(input: ContentInput): readonly Content[] {
  const keys = new KeyStore(input.epochs);
  const blocks = input.blocks.map((bytes, at) => {
    const opened = kept(() => {
      if (input.mustHash[at] === true) requireId({ id: input.ids[at]!, bytes });
      return openDataBlock(keys, bytes, input.blockBytesMax);
    });
    freeAtOnce(bytes);
    return opened;
  });
  const contents: Content[] = [];
  let digest = 0;
  for (let at = 0; at < input.places.length; at += PLACE_FIELDS) {
    const [number, offset, length] = input.places.slice(at, at + PLACE_FIELDS) as [number, number, number];
    if (number === INLINE) {
      contents.push(input.inline[offset]!);
      continue;
    }
    const expected = input.digests.slice(digest, digest + DIGEST_CHARACTERS) as ChunkDigest;
    digest += DIGEST_CHARACTERS;
    const block = blocks[number]!;
    const extent = { kind: 'data', block: input.ids[number]!, offset, length, digest: expected } as const;
    contents.push(isFault(block) ? block : kept(() => chunkOf(block, extent)));
  }
  return contents;
}

function requireId(block: SealedBlock): void {
  if (blockIdOf(block.bytes) !== block.id) throw mislabelled(block);
}

function kept<T>(run: () => T): T | LowtideError {
  try {
    return run();
  } catch (error) {
    if (isLowtideError(error)) return error;
    throw error;
  }
}

const isFault = (block: DataBlock | LowtideError): block is LowtideError => isLowtideError(block);

/** What opening says of a block that is not what its id says, whatever was changed of it. */
export function isOfContent(error: LowtideError): boolean {
  return isLowtideError(error, 'damaged-block', 'hash-mismatch', 'damaged-page', 'no-key', 'newer-format');
}

export const contentTask: Task<ContentInput, readonly Content[]> = {
  module: import.meta.url,
  name: 'openContent',
  run: openContent,
};
