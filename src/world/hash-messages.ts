/** What a HashThread and its thread say to each other. Apart from both: who imports the thread's file becomes one. */
export const DIGEST_BYTES = 32;
/** Numbers that say where a part is: which buffer, offset, length. */
export const PLACE = 3;

/** Buffers go there and come back. */
export interface HashQuestion {
  readonly id: number;
  readonly buffers: readonly ArrayBuffer[];
  readonly places: readonly number[];
}

export interface HashAnswer {
  readonly id: number;
  readonly buffers: readonly ArrayBuffer[];
  /** Of each part in turn. */
  readonly digests: Uint8Array;
}
