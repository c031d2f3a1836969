/** Shared by a thread and who asked it for a task: which of the two has it. */
export type Claim = Int32Array;

export const BEGUN = 1;
/** It may be done elsewhere. */
export const GIVEN_UP = 2;

export const newClaim = (): Claim => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/**
 * Whoever comes first decides: the thread that begins the task, or who gives it up. Only of one that has begun can it be that
 * it hangs; one that was given up is never begun, so the thread that it was sent to can be trusted.
 */
export function takeClaim(claim: Claim, how: typeof BEGUN | typeof GIVEN_UP): boolean {
  return Atomics.compareExchange(claim, 0, 0, how) === 0;
}
