import { inlineWork } from '../world/threads/inline-work.ts';
import type { Work } from '../world/ports.ts';
import type { Incarnation } from './incarnation.ts';

/** The Work port: tasks run where they are asked for, and answer in an order drawn from the schedule's seed. */
export function simulatedWork(incarnation: Incarnation, lanes: number): Work {
  const inline = inlineWork(lanes);
  return {
    lanes,
    run: async (task, input, transfer) => {
      const running = inline.run(task, input, transfer);
      // Looked at even if the answer never comes.
      running.catch(() => {});
      await incarnation.answer(() => {});
      return await running;
    },
    sha256: async (parts) => {
      await incarnation.answer(() => {});
      return await inline.sha256(parts);
    },
  };
}
