import { LowtideError } from '../../src/model/errors.ts';
import type { Task } from '../../src/world/ports.ts';

export function add({ a, b }: { a: number; b: number }): number {
  return a + b;
}

export function echo(input: unknown): unknown {
  return input;
}

export function reverse({ bytes }: { bytes: Uint8Array }): Uint8Array {
  return bytes.reverse();
}

export function fail(message: string): never {
  throw new Error(message);
}

export function refuse(): never {
  throw new LowtideError('damaged-block', 'the block is damaged');
}

/** Ends its thread without an answer. */
export function die(): never {
  return process.exit(7);
}

/** Notes in the first number that it has begun, and waits until the second is no longer 0. */
export function hold(gate: Int32Array): void {
  Atomics.add(gate, 0, 1);
  Atomics.wait(gate, 1, 0);
}

const task = <Input, Output>(run: (input: Input) => Output): Task<Input, Output> => ({
  module: import.meta.url,
  name: run.name,
  run,
});

export const addTask = task(add);
export const echoTask = task(echo);
export const reverseTask = task(reverse);
export const failTask = task(fail);
export const refuseTask = task(refuse as (input: null) => never);
export const dieTask = task(die as (input: null) => never);
export const holdTask = task(hold);
