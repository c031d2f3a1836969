/** What has become of a task that may be given up before a thread has begun it. */
export const BEGUN = 1;
export const GIVEN_UP = 2;

/**
 * Whoever comes first decides: the thread that begins the task, or who gives it up. Only of one that has begun can it be that
 * it hangs; one that was given up is never begun, so the thread that it was sent to can be trusted.
 * @param turn shared; null of a task that is never given up
 */
export function takeTurn(turn: Int32Array | null, how: typeof BEGUN | typeof GIVEN_UP): boolean {
  return turn === null || Atomics.compareExchange(turn, 0, 0, how) === 0;
}
