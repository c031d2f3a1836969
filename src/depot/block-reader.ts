import type { LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';

/** A block that was checked against its id, or why it cannot be had: `block-unavailable`, `damaged-block`, `disk-failed`. */
export type BlockRead =
  | { readonly id: BlockId; readonly bytes: Uint8Array }
  | { readonly id: BlockId; readonly error: LowtideError };
