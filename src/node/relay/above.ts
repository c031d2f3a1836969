import type { SealedBlock } from '../../format/block.ts';
import type { Above } from '../../collect/parts.ts';
import type { CenterFace, Page } from '../../model/exchange.ts';
import type { BlockId, CenterId, ClientId, SnapshotId } from '../../model/ids.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import type { UnixMillis } from '../../model/time.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { Uplink } from '../../uplink/uplink.ts';
import { BlockFetcher } from '../../restore/block-fetcher.ts';
import type { NamedSource } from '../../restore/restore-plan.ts';
import type { World } from '../../world/ports.ts';
import { centersReached, type Upstream } from '../agent/parts.ts';
import { SourceCosts } from '../agent/source-costs.ts';
import { sourceName } from '../agent/sources.ts';

const NOTHING: Page<never> = { rows: [], next: null };

/** The ways up of a relay, as its collector may use them: those that are open now. */
export class OpenWays implements Pick<
  Above,
  'centers' | 'owed' | 'stored' | 'awaySince' | 'fetch' | 'copies' | 'isOpen' | 'introduce' | 'keyrings'
> {
  readonly #world: World;
  readonly #costs = new SourceCosts();
  readonly #upstreams: readonly Upstream[];
  readonly #uplinks: () => readonly Uplink[];
  readonly #always: () => readonly CenterId[];

  /** @param always centers that everything is owed to; empty for all */
  constructor(
    world: World,
    upstreams: readonly Upstream[],
    uplinks: () => readonly Uplink[],
    always: () => readonly CenterId[],
  ) {
    this.#world = world;
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
    if (centers.length === 0) return new Set();
    const asked = this.#waysTo(centers);
    if (asked === null) throw new LowtideError('center-unreachable', 'some center above cannot be asked now');
    let everywhere = new Set(ids);
    for (const api of asked) everywhere = new Set(await api.stored(client, [...everywhere]));
    return everywhere;
  };

  introduce = async (): Promise<void> => {
    for (const uplink of this.#uplinks()) await uplink.introduce();
  };

  /** The last way that closed says since when. */
  awaySince = (center: CenterId): UnixMillis | null => {
    const ways = this.#uplinks().filter((_, at) =>
      this.#upstreams[at]!.centers.some(({ id }) => id === center),
    );
    if (ways.length === 0 || ways.some(({ status }) => status.connected)) return null;
    return Math.max(...ways.map(({ status }) => status.since));
  };

  isOpen = (): boolean => this.#uplinks().some(({ api }) => api !== null);

  /** As they were measured before, and block by block: the relay's own patience with what is above. */
  fetch: Above['fetch'] = (scope, ids, stop) => this.#fetch(scope, ids, stop);

  async *#fetch(scope: SnapshotId, ids: readonly BlockId[], stop: AbortSignal): AsyncGenerator<SealedBlock> {
    const sources: NamedSource[] = [];
    for (const [at, { api }] of this.#uplinks().entries()) {
      const name = sourceName(this.#upstreams[at]!);
      if (api !== null) sources.push({ name, source: api, cost: this.#costs.of(name) });
    }
    const fetcher = new BlockFetcher(this.#world, scope, sources, stop);
    for await (const fetched of fetcher.fetch(ids)) if (fetched.kind === 'block') yield fetched;
  }

  copies: Above['copies'] = (way, query) => this.#page(way, (api) => api.copies(query));

  keyrings: Above['keyrings'] = (way, client, after) => this.#page(way, (api) => api.keyrings(client, after));

  /** Empty if the node on that way does not answer; null if there are not so many ways. */
  async #page<Row>(way: number, ask: (api: CenterApi) => Promise<Page<Row>>): Promise<Page<Row> | null> {
    if (way >= this.#upstreams.length) return null;
    const api = this.#uplinks()[way]?.api ?? null;
    if (api === null) return NOTHING;
    try {
      return await ask(api);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      return NOTHING;
    }
  }

  /** Open ways that together lead to all of them; null if some cannot be asked. */
  #waysTo(centers: readonly CenterId[]): readonly CenterApi[] | null {
    const ways = new Set<CenterApi>();
    for (const center of centers) {
      const at = this.#upstreams.findIndex(
        (upstream, each) =>
          upstream.centers.some(({ id }) => id === center) && (this.#uplinks()[each]?.api ?? null) !== null,
      );
      const api = this.#uplinks()[at]?.api ?? null;
      if (api === null) return null;
      ways.add(api);
    }
    return [...ways];
  }
}
