import { connectLocal } from '../http/local-client.ts';
import { isLowtideError } from '../model/errors.ts';
import type { Context } from './context.ts';

/** So long a node may need to start, on a machine with much to do. */
const PATIENCE_MS = 30_000;
const TOLD_AFTER_MS = 3_000;
const LOOK_AGAIN_MS = 200;

/**
 * Opens a data folder that may be somebody else's for a moment: of a verb that is about to end, or of a node that has not
 * begun to answer.
 * @param givesUp whether it is no use to wait
 * @throws LowtideError `locked` if it was not free for half a minute, and whatever `open` throws
 */
export async function whenFree<T>(
  { world, output, stop }: Pick<Context, 'world' | 'output' | 'stop'>,
  open: () => Promise<T>,
  givesUp: () => Promise<boolean>,
): Promise<T> {
  const { clock } = world;
  const began = clock.monotonic();
  for (let told = false; ;) {
    try {
      return await open();
    } catch (error) {
      const waited = clock.monotonic() - began;
      if (!isLowtideError(error, 'locked') || waited > PATIENCE_MS || (await givesUp())) throw error;
      if (!told && waited > TOLD_AFTER_MS) {
        output.warn(`waiting: ${error.message}`);
        told = true;
      }
    }
    await clock.sleep(LOOK_AGAIN_MS, stop);
    stop.throwIfAborted();
  }
}

/** For a node that is to run: not while another one does. */
export const whenNobodyRuns = async <T>(
  context: Pick<Context, 'world' | 'output' | 'stop'>,
  socket: string,
  open: () => Promise<T>,
): Promise<T> => await whenFree(context, open, async () => (await connectLocal(socket)) !== null);
