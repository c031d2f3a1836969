import { SECOND_MS } from '../model/time.ts';
import type { PlannerState, Run } from './records.ts';

/** What a transfer takes beside its bytes. Milliseconds. */
export interface Handling {
  /** From an order to the first call in it. */
  readonly setUp: number;
  /** From the last byte to the receipt. */
  readonly closing: number;
}

/** Before any was seen. */
export const USUAL_HANDLING: Handling = { setUp: 0.3 * SECOND_MS, closing: 0.3 * SECOND_MS };
/** How much a new one counts: as a power, so that one that takes a hundred times as long counts as one and a half. */
const WEIGHT = 0.1;
const LEAST_MS = 10;

/** It has begun what it was ordered. */
export function noteSetUp(state: PlannerState, { since }: Run): void {
  const { handling } = state.learnt;
  state.learnt.handling = { ...handling, setUp: blend(handling.setUp, state.now - since) };
}

/** It was committed. */
export function noteClosing(state: PlannerState, { lastByteAt }: Run): void {
  if (lastByteAt === null) return;
  const { handling } = state.learnt;
  state.learnt.handling = { ...handling, closing: blend(handling.closing, state.now - lastByteAt) };
}

const blend = (known: number, seen: number): number =>
  known * (Math.max(LEAST_MS, seen) / Math.max(LEAST_MS, known)) ** WEIGHT;
