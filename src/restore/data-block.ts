import { openBlock, parseBlockHeader } from '../format/block.ts';
import { chunkDigest, type DomainKeys, KeyStore } from '../format/domain-keys.ts';
import type { DataExtent } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import { type ChunkDigest, shortId } from '../model/ids.ts';
import type { Task, Work } from '../world/ports.ts';

/** The plaintext of a data block, and the keys that its chunks' digests are made with. */
export interface DataBlock {
  readonly payload: Uint8Array;
  readonly domain: DomainKeys;
  /** Digests that were computed with the opening, by offset and length. */
  readonly digests: ReadonlyMap<string, ChunkDigest>;
}

interface OpenInput {
  readonly keys: DomainKeys;
  /** A whole sealed block. */
  readonly bytes: Uint8Array;
  readonly maxBytes: number;
  /** Offset and length of each chunk that will be used, in turn. */
  readonly ranges: readonly number[];
}

interface OpenOutput {
  readonly payload: Uint8Array;
  /** One for each range; '' where it leaves the block. */
  readonly digests: readonly (ChunkDigest | '')[];
}

/** Opens a block and digests what will be used of it: most of what a restore computes. */
export function openAndDigest({ keys, bytes, maxBytes, ranges }: OpenInput): OpenOutput {
  const payload = openBlock(new KeyStore([keys]), bytes, 'data', maxBytes);
  const digests: (ChunkDigest | '')[] = [];
  for (let at = 0; at < ranges.length; at += 2) {
    const end = ranges[at]! + ranges[at + 1]!;
    digests.push(end > payload.length ? '' : chunkDigest(keys, payload.subarray(ranges[at], end)));
  }
  return { payload, digests };
}

const openTask: Task<OpenInput, OpenOutput> = {
  module: import.meta.url,
  name: 'openAndDigest',
  run: openAndDigest,
};

/**
 * Opens a whole sealed block of data, where `work` runs tasks.
 * @param extents those of it that will be used
 * @throws LowtideError `damaged-block`, `no-key`, `newer-format`
 */
export async function openDataBlock(
  work: Work,
  keys: KeyStore,
  bytes: Uint8Array,
  maxBytes: number,
  extents: readonly DataExtent[],
): Promise<DataBlock> {
  const domain = keys.find(parseBlockHeader(bytes, maxBytes).domain);
  const asked = new Map(extents.map((extent) => [rangeOf(extent), extent]));
  const ranges = [...asked.values()].flatMap(({ offset, length }) => [offset, length]);
  const { payload, digests } = await work.run(openTask, { keys: domain, bytes, maxBytes, ranges });
  const known = new Map<string, ChunkDigest>();
  for (const [at, range] of [...asked.keys()].entries()) {
    const digest = digests[at]!;
    if (digest !== '') known.set(range, digest);
  }
  return { payload, domain, digests: known };
}

/**
 * The bytes of one chunk, checked against its digest: nothing that was not checked here is ever written.
 * @throws LowtideError `damaged-page` if the extent leaves the block, `hash-mismatch`
 */
export function chunkOf({ payload, domain, digests }: DataBlock, extent: DataExtent): Uint8Array {
  const end = extent.offset + extent.length;
  if (end > payload.length) {
    throw new LowtideError(
      'damaged-page',
      `the tree wants bytes up to ${end} of block ${shortId(extent.block)}, which has ${payload.length}`,
    );
  }
  const chunk = payload.subarray(extent.offset, end);
  if ((digests.get(rangeOf(extent)) ?? chunkDigest(domain, chunk)) !== extent.digest) {
    throw new LowtideError(
      'hash-mismatch',
      `block ${shortId(extent.block)} holds other bytes than the tree says`,
    );
  }
  return chunk;
}

const rangeOf = ({ offset, length }: DataExtent): string => `${offset} ${length}`;
