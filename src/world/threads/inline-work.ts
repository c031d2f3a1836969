import { hashHere } from './hashing.ts';
import { plainKernels } from './kernels.ts';
import type { Task, Work } from '../ports.ts';

/**
 * Runs tasks where they are asked for, one after another: for the simulator and for short commands. Input and output
 * go through structured clone as they would with threads, so that what works here works there.
 */
export function inlineWork(lanes = 1, kernels = plainKernels): Work {
  return {
    lanes,
    async run<Input, Output>(
      task: Task<Input, Output>,
      input: Input,
      transfer: readonly ArrayBuffer[] = [],
    ): Promise<Output> {
      const given = structuredClone(input, { transfer: [...transfer] });
      // A turn of its own: the caller goes on first, as it would with a thread.
      await Promise.resolve();
      const output = task.run(given, kernels);
      return structuredClone(output instanceof Promise ? await output : output);
    },
    sha256: async (parts) => parts.map(hashHere),
  };
}
