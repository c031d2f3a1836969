import type { SealedBlock } from '../format/block.ts';
import type { Above } from '../collect/parts.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { BlockId, CenterId, ClientId, SnapshotId } from '../model/ids.ts';
import { isLowtideError } from '../model/errors.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { Uplink } from '../uplink/uplink.ts';
import { centersReached, type Upstream } from './agent-parts.ts';

/** The ways up of a relay, as its collector may use them: those that are open now. */
export class OpenWays implements Pick<Above, 'centers' | 'owed' | 'stored' | 'fetch'> {
  readonly #upstreams: readonly Upstream[];
  readonly #uplinks: () => readonly Uplink[];
  readonly #always: () => readonly CenterId[];

  /** @param always centers that everything is owed to; empty for all */
  constructor(
    upstreams: readonly Upstream[],
    uplinks: () => readonly Uplink[],
    always: () => readonly CenterId[],
  ) {
    this.#upstreams = upstreams;
    this.#uplinks = uplinks;
    this.#always = always;
  }

  centers = (): readonly CenterFace[] => centersReached(this.#upstreams);

  /** A center that no way leads to is not owed anything here: its owner hears that there is no route. */
  owed = (wished: readonly CenterId[]): readonly CenterId[] => {
    const reached = this.centers().map(({ id }) => id);
    const always = this.#always();
    return reached.filter((id) => wished.includes(id) || always.length === 0 || always.includes(id));
  };

  stored = async (
    client: ClientId,
    centers: readonly CenterId[],
    ids: readonly BlockId[],
  ): Promise<ReadonlySet<BlockId>> => {
    const asked = this.#waysTo(centers);
    if (asked === null || asked.length === 0) return new Set();
    let everywhere = new Set(ids);
    for (const api of asked) {
      try {
        everywhere = new Set(await api.stored(client, [...everywhere]));
      } catch (error) {
        if (isLowtideError(error)) return new Set();
        throw error;
      }
    }
    return everywhere;
  };

  fetch: Above['fetch'] = (scope, ids, stop) => this.#fetch(scope, ids, stop);

  async *#fetch(
    scope: SnapshotId,
    ids: readonly BlockId[],
    stop: AbortSignal,
  ): AsyncGenerator<SealedBlock> {
    const lacking = new Set(ids);
    for (const { api } of this.#uplinks()) {
      if (api === null || lacking.size === 0 || stop.aborted) continue;
      try {
        for await (const block of api.fetch(scope, [...lacking], stop)) {
          lacking.delete(block.id);
          yield block;
        }
      } catch (error) {
        if (!isLowtideError(error)) throw error;
      }
    }
  }

  /** Open ways that together lead to all of them; null if some cannot be asked. */
  #waysTo(centers: readonly CenterId[]): readonly CenterApi[] | null {
    const ways = new Set<CenterApi>();
    for (const center of centers) {
      const at = this.#upstreams.findIndex(
        (upstream, each) =>
          upstream.centers.some(({ id }) => id === center) && this.#uplinks()[each]?.api != null,
      );
      const api = this.#uplinks()[at]?.api;
      if (api == null) return null;
      ways.add(api);
    }
    return [...ways];
  }
}
