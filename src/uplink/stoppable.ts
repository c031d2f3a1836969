import { LowtideError } from '../model/errors.ts';
import { untilStopped } from '../model/stopping.ts';
import type { CenterApi } from '../protocol/center-api.ts';

/**
 * The same center for as long as `stop` has not aborted: calls under way reject with `interrupted` then, and streams
 * end, whether or not the line still does anything. So a session can be left at any time.
 */
export function stoppable(api: CenterApi, stop: AbortSignal): CenterApi {
  return {
    hello: (me) => unlessStopped(stop, () => api.hello(me)),
    offer: (manifest, keyring, wishes) => unlessStopped(stop, () => api.offer(manifest, keyring, wishes)),
    enroll: (members) => unlessStopped(stop, () => api.enroll(members)),
    left: (words) => unlessStopped(stop, () => api.left(words)),
    orders: (ended) => untilStopped(api.orders(ended), stop),
    missing: (order, ids) => unlessStopped(stop, () => api.missing(order, ids)),
    stored: (client, ids) => unlessStopped(stop, () => api.stored(client, ids)),
    blocks: (order, from) => untilStopped(api.blocks(order, from), stop),
    commit: (order) => unlessStopped(stop, () => api.commit(order)),
    decline: (order, why) => unlessStopped(stop, () => api.decline(order, why)),
    clients: (after) => unlessStopped(stop, () => api.clients(after)),
    keyrings: (client, after) => unlessStopped(stop, () => api.keyrings(client, after)),
    copies: (query) => unlessStopped(stop, () => api.copies(query)),
    withdraw: (id, record, centers) => unlessStopped(stop, () => api.withdraw(id, record, centers)),
    fetch: (scope, ids, ended) => untilStopped(api.fetch(scope, ids, ended), stop),
  };
}

async function unlessStopped<T>(stop: AbortSignal, call: () => Promise<T>): Promise<T> {
  const interrupted = (): LowtideError => new LowtideError('interrupted', 'the connection was given up');
  if (stop.aborted) throw interrupted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(interrupted());
  stop.addEventListener('abort', abort, { once: true });
  try {
    const answer = call();
    // What comes after the end is nobody's any more.
    answer.catch(() => undefined);
    return await Promise.race([answer, promise]);
  } finally {
    stop.removeEventListener('abort', abort);
  }
}
