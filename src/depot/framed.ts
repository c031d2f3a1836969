import { createHash } from 'node:crypto';
import { equalBytes } from '../model/bytes.ts';
import { type ErrorCode, isLowtideError, LowtideError } from '../model/errors.ts';
import { readWhole, writeDurably } from '../world/disk/durable.ts';
import type { Disk } from '../world/ports.ts';

/**
 * A record on disk: its bytes and their SHA-256. A signature can be checked only by who has the key; damage must be
 * found by anybody.
 */
const HASH_BYTES = 32;

/** Durable when it resolves. Nothing is written if the same is there already. */
export async function putFramed(
  disk: Disk,
  directory: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const path = `${directory}/${name}`;
  const framed = Buffer.concat([bytes, hashOf(bytes)]);
  const known = await readWhole(disk, path, framed.length).catch((error: unknown) => {
    if (isLowtideError(error)) return null;
    throw error;
  });
  // The name that can be seen may be in memory only.
  if (known !== null && equalBytes(known, framed)) await disk.syncDirectory(directory);
  else await writeDurably(disk, path, framed);
}

/**
 * Null if there is no such file.
 * @throws LowtideError with `code` if it is damaged
 */
export async function readFramed(
  disk: Disk,
  path: string,
  maxBytes: number,
  code: ErrorCode,
): Promise<Uint8Array | null> {
  let framed: Uint8Array;
  try {
    framed = await readWhole(disk, path, maxBytes + HASH_BYTES);
  } catch (error) {
    if (isLowtideError(error, 'not-found')) return null;
    if (isLowtideError(error, 'too-large')) throw damaged(code, path);
    throw error;
  }
  const bytes = framed.subarray(0, -HASH_BYTES);
  if (framed.length < HASH_BYTES || !equalBytes(framed.subarray(-HASH_BYTES), hashOf(bytes))) {
    throw damaged(code, path);
  }
  return new Uint8Array(bytes);
}

function damaged(code: ErrorCode, path: string): LowtideError {
  return new LowtideError(code, `${path} is damaged: get another copy of it, from a center or a relay`);
}

function hashOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
