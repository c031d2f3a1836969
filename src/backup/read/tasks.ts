import { createHmac } from 'node:crypto';
import { sealBlockInto } from '../../format/block.ts';
import type { DomainKeys } from '../../format/domain-keys.ts';
import type { BlockId, ChunkDigest } from '../../model/ids.ts';
import type { Kernels, Task } from '../../world/ports.ts';
import type { CutRule } from './gear.ts';

/**
 * What a backup computes, as pure functions for the Work port. Their inputs are views on shared memory, about a MiB
 * of it each: what must not happen is a message per small chunk.
 */
export interface ScanInput {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly gear: Uint32Array;
  readonly rule: CutRule;
}

/** Candidates as `GearKernel.find` gives them. */
export function scanPiece({ bytes, from, gear, rule }: ScanInput, kernels: Kernels): number[] {
  return kernels.gear.find(bytes, from, gear, rule);
}

export interface DigestInput {
  /** K_chunk of the domain. */
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
  /** Start and length of each chunk in `bytes`, in turn. */
  readonly ranges: readonly number[];
}

/** All digests in one string, which passes between threads faster than a list: take it apart with `digestAt`. */
export function digestChunks({ key, bytes, ranges }: DigestInput): string {
  let digests = '';
  for (let i = 0; i < ranges.length; i += 2) {
    const start = ranges[i]!;
    const chunk = bytes.subarray(start, start + ranges[i + 1]!);
    digests += createHmac('sha256', key).update(chunk).digest('hex');
  }
  return digests;
}

const DIGEST_CHARACTERS = 64;

export function digestAt(digests: string, number: number): ChunkDigest {
  return digests.slice(number * DIGEST_CHARACTERS, (number + 1) * DIGEST_CHARACTERS) as ChunkDigest;
}

export interface SealInput {
  readonly keys: DomainKeys;
  readonly level: number;
  readonly payload: Uint8Array;
  /** Set if the payload is one chunk alone. */
  readonly chunk: ChunkDigest | null;
  /** Shared memory that the block is made in. */
  readonly target: Uint8Array;
}

export interface SealOutput {
  readonly id: BlockId;
  /** Bytes of the block. */
  readonly length: number;
}

export function sealData({ keys, level, payload, chunk, target }: SealInput): SealOutput {
  return sealBlockInto(keys, payload, { type: 'data', level, ...(chunk === null ? {} : { chunk }) }, target);
}

const task = <Input, Output>(name: string, run: Task<Input, Output>['run']): Task<Input, Output> => ({
  module: import.meta.url,
  name,
  run,
});

export const scanTask = task('scanPiece', scanPiece);
export const digestTask = task('digestChunks', digestChunks);
export const sealTask = task('sealData', sealData);
