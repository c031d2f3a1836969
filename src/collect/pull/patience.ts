import { isLowtideError } from '../../model/errors.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { World } from '../../world/ports.ts';

/** So often a source may be asked in vain before the pull is given up; it goes on where it was when it is started again. */
export const ATTEMPTS = 10;

/** What a pull asks of a source. */
export type Readable = Pick<CenterApi, 'clients' | 'keyrings' | 'copies' | 'fetch'>;

/** Not about what was asked for: the same may be asked again later. */
export function isSourceTrouble(error: unknown): boolean {
  return isLowtideError(error, 'center-unreachable', 'bad-answer', 'too-many', 'interrupted', 'crashed');
}

/** The same source, asked again after a while when it does not answer. Streams are for the caller to take up again. */
export function patient(api: Readable, world: World, stop: AbortSignal): Readable {
  const again = <T>(call: () => Promise<T>): Promise<T> => stubbornly(call, world, stop);
  return {
    clients: (after) => again(() => api.clients(after)),
    keyrings: (client, after) => again(() => api.keyrings(client, after)),
    copies: (query) => again(() => api.copies(query)),
    fetch: (scope, ids, ended) => api.fetch(scope, ids, ended),
  };
}

async function stubbornly<T>(
  call: () => Promise<T>,
  { clock, limits }: World,
  stop: AbortSignal,
): Promise<T> {
  for (let attempt = 1, wait = limits.retry_ms_min; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!isSourceTrouble(error) || attempt === ATTEMPTS || stop.aborted) throw error;
      await clock.sleep(wait, stop);
      wait = Math.min(2 * wait, limits.retry_ms_max);
    }
  }
}
