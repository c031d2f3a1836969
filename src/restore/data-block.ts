import { type OpenedBlock, openWhole, parseBlockHeader } from '../format/block.ts';
import { chunkDigest, type DomainKeys, type KeyStore } from '../format/domain-keys.ts';
import type { DataExtent } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import { shortId } from '../model/ids.ts';

/** The plaintext of a data block, and the keys that its chunks' digests are made with. */
export interface DataBlock extends OpenedBlock {
  readonly domain: DomainKeys;
}

/**
 * Opens a whole sealed block of data.
 * @throws LowtideError `damaged-block`, `no-key`, `newer-format`
 */
export function openDataBlock(keys: KeyStore, bytes: Uint8Array, maxBytes: number): DataBlock {
  const opened = openWhole(keys, bytes, 'data', maxBytes);
  return { ...opened, domain: keys.find(parseBlockHeader(bytes, maxBytes).domain) };
}

/**
 * The bytes of one chunk, checked against its digest: nothing that was not checked here is ever written.
 * @throws LowtideError `damaged-page` if the extent leaves the block, `hash-mismatch`
 */
export function chunkOf({ payload, chunk: whole, domain }: DataBlock, extent: DataExtent): Uint8Array {
  const end = extent.offset + extent.length;
  if (end > payload.length) {
    throw new LowtideError(
      'damaged-page',
      `the tree wants bytes up to ${end} of block ${shortId(extent.block)}, which has ${payload.length}`,
    );
  }
  const chunk = payload.subarray(extent.offset, end);
  const digest = chunk.length === payload.length && whole !== null ? whole : chunkDigest(domain, chunk);
  if (digest !== extent.digest) {
    throw new LowtideError(
      'hash-mismatch',
      `block ${shortId(extent.block)} holds other bytes than the tree says`,
    );
  }
  return chunk;
}
