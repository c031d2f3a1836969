import { Collector } from '../../collect/collector.ts';
import type { Arriving } from '../../collect/parts.ts';
import { Depot } from '../../depot/depot.ts';
import type { SigningKey } from '../../format/signing.ts';
import { Ledger } from '../../ledger/ledger.ts';
import { findSnapshot } from '../../ledger/snapshots.ts';
import { Bell } from '../../model/bell.ts';
import type { CenterFace } from '../../model/exchange.ts';
import type { CenterId, ClientId, SnapshotId } from '../../model/ids.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import { PassedOn } from '../../uplink/passed-on.ts';
import { loseCustodyOfOthers } from '../../uplink/custody-lost.ts';
import { idsOf, type Sender } from '../../uplink/parts.ts';
import type { Uplink } from '../../uplink/uplink.ts';
import type { World } from '../../world/ports.ts';
import { OpenWays } from './above.ts';
import type { Upstream } from '../agent/parts.ts';
import { tellOfAway } from './away.ts';
import { DRAIN_AGAIN_MS, drainWhenRung } from '../draining.ts';
import type { RelayIdentity, RelayParts, RelaySettings } from './parts.ts';
import { letGo, OldManifests } from './store.ts';
import { type Below as StoreBelow, StoreRoom } from './store-room.ts';
import { Troubles } from '../troubles.ts';
import { Turns } from '../../model/turns.ts';
import { makeUplinks } from '../uplinks.ts';

export interface RelayOptions {
  /** Data folder: `store/` and `ledger.db` live in it. */
  readonly path: string;
  readonly face: CenterFace;
  readonly receiptKey: SigningKey;
  readonly identity: RelayIdentity;
  readonly settings: RelaySettings;
  readonly upstreams: readonly Upstream[];
}

/** The nodes above, as they were last known: kept for the next start. */
const PATH_FACT = 'above';

/**
 * A server to those below and a client to those above (SEED 301, 401): collector, depot, uplinks. With more than one
 * center to owe to it is a branch. The two sides share depot and ledger; each only wakes the other.
 */
export class Relay {
  readonly parts: RelayParts;
  readonly collector: Collector;
  readonly uplinks: readonly Uplink[];
  readonly #drainBell: Bell;
  readonly #troubles: Troubles;
  readonly #turns: Turns;
  readonly #room: StoreRoom;
  readonly #oldManifests: OldManifests;

  private constructor(parts: RelayParts, collector: Collector, work: Work) {
    this.parts = parts;
    this.collector = collector;
    this.uplinks = work.uplinks;
    this.#drainBell = work.drainBell;
    this.#turns = work.turns;
    this.#room = work.room;
    this.#oldManifests = new OldManifests(parts);
    this.#troubles = new Troubles(parts.world.monitor);
  }

  static async create(world: World, path: string): Promise<void> {
    await Depot.create(world, `${path}/store`);
    await (await Ledger.open(world, `${path}/ledger.db`)).close();
  }

  /** Opens the data folder as its one writer. What was in custody goes on, and so does the collection queue. */
  static async open(world: World, options: RelayOptions): Promise<Relay> {
    const { path, receiptKey, ...rest } = options;
    const depot = await Depot.open(world, `${path}/store`, 'write');
    const ledger = await Ledger.open(world, `${path}/ledger.db`);
    const parts: RelayParts = { world, depot, ledger, ...rest };
    const { face, settings, upstreams } = parts;
    const remembered = pathsOf(await ledger.fact(PATH_FACT));
    let collector: Collector | null = null;
    const ways = new OpenWays(
      world,
      upstreams,
      (): readonly Uplink[] => work.uplinks,
      () => settings.centers,
    );
    const work: Work = makeWork(parts, ways, {
      news: (client, snapshot) => void collector?.news(client, [snapshot]),
      close: async (snapshot, record) => await collector?.closedAbove(snapshot, record),
      left: async (words) => await collector?.leftAbove(words),
      admitted: () => collector?.book.admitted() ?? [],
      endPacks: async () => await collector?.writers.close(),
    });
    await loseCustodyOfOthers(
      { world, ledger, sender: work.sender, node: face.id },
      idsOf(upstreams.map((each) => each.face)),
    );
    const above = {
      centers: ways.centers,
      owed: ways.owed,
      stored: ways.stored,
      fetch: ways.fetch,
      copies: ways.copies,
      keyrings: ways.keyrings,
      isOpen: ways.isOpen,
      awaySince: ways.awaySince,
      introduce: ways.introduce,
      path: () => [...new Set(Object.values(knownPaths(parts, work.uplinks, remembered)).flat())],
      makeRoom: async (arriving: Arriving) => {
        await work.turns
          .take(() => work.room.makeRoom(arriving))
          .catch((error: unknown) => {
            collector?.lookAgain();
            throw error;
          });
      },
      fullness: () => work.room.fullness(),
      mayCache: () => work.room.mayCache(),
      cached: () => work.drainBell.ring(),
      changed: () => {
        for (const uplink of work.uplinks) uplink.wake();
        work.drainBell.ring();
      },
    };
    collector = await Collector.start(
      { world, depot, ledger, center: face, receiptKey, above },
      settings.conditions,
    );
    return new Relay(parts, collector, work);
  }

  get world(): World {
    return this.parts.world;
  }

  get depot(): Depot {
    return this.parts.depot;
  }

  get ledger(): Ledger {
    return this.parts.ledger;
  }

  apiFor(client: ClientId, address: string | null): CenterApi {
    return this.collector.apiFor(client, address);
  }

  /** The daemon's life: until `stop`, at any point of any work. */
  async run(stop: AbortSignal): Promise<void> {
    this.#drainBell.ring();
    await Promise.all([
      this.collector.run(stop),
      drainWhenRung(this.parts.world, this.#drainBell, () => this.#drain(), stop),
      tellOfAway(this.parts, this.collector, stop),
      ...this.uplinks.map((uplink) => uplink.run(stop)),
    ]);
  }

  async close(): Promise<void> {
    await this.#turns.over();
    await this.parts.ledger.close();
    await this.parts.depot.close();
  }

  /** What was passed on is let go; then the cache is trimmed. In how many ms it must be done again, if it must. */
  async #drain(): Promise<number | null> {
    const again = await this.#troubles.survive(
      'letting go of what was passed on',
      () =>
        this.#turns.take(async () => {
          const more = await letGo(this.parts);
          await this.collector.queue.dropPassedBy();
          if (more) {
            this.#room.passedOn();
            this.collector.lookAgain();
          }
          await this.#room.trimCache();
          return await this.#oldManifests.drop(more);
        }),
      DRAIN_AGAIN_MS,
    );
    await this.#troubles.survive('keeping the way up', () => this.#keepPath(), undefined);
    return again;
  }

  async #keepPath(): Promise<void> {
    const { ledger } = this.parts;
    const before = await ledger.fact(PATH_FACT);
    const paths = JSON.stringify(knownPaths(this.parts, this.uplinks, pathsOf(before)));
    if (paths === before) return;
    await ledger.setFact(PATH_FACT, paths);
    await this.collector.greetRelays();
  }
}

interface Work {
  readonly sender: Sender;
  readonly uplinks: readonly Uplink[];
  readonly drainBell: Bell;
  /** What moves or frees blocks. */
  readonly turns: Turns;
  readonly room: StoreRoom;
}

/** What the side that faces up asks of the one that faces down. */
interface Below extends StoreBelow {
  readonly news: (client: ClientId, snapshot: SnapshotId) => void;
  readonly close: (snapshot: SnapshotId, record: Uint8Array) => Promise<void>;
  readonly left: (words: readonly Uint8Array[]) => Promise<void>;
}

function makeWork(parts: RelayParts, { stored }: OpenWays, below: Below): Work {
  const { news, close, left } = below;
  const { world, depot, ledger, face, identity, settings, upstreams } = parts;
  const { client, instance } = identity;
  const drainBell = new Bell();
  const onChange = (snapshot: SnapshotId): void => {
    drainBell.ring();
    void findSnapshot(ledger.db, snapshot)
      .then((row) => row !== null && news(row.client, snapshot))
      .catch(() => undefined);
  };
  const sender = new PassedOn({
    world,
    depot,
    ledger,
    self: face,
    transfer: () => settings.transfer,
    stored,
    close,
    left,
    onChange,
  });
  const self = { world, depot, ledger, client, instance, software: settings.software, node: face.id };
  const ring = (): void => drainBell.ring();
  const heard = { onConnected: ring, onReceipt: ring, onChange };
  const uplinks = makeUplinks(upstreams, { ...self, sender, yields: () => settings.yield, ...heard });
  return { sender, uplinks, drainBell, turns: new Turns(), room: new StoreRoom(parts, below) };
}

/** By the node above: itself and those above it. */
type Paths = Readonly<Record<CenterId, readonly CenterId[]>>;

function pathsOf(fact: string | null): Paths {
  const known: unknown = JSON.parse(fact ?? '{}');
  return typeof known === 'object' && known !== null && !Array.isArray(known) ? (known as Paths) : {};
}

/** As each told last. One that is refused because it would close a circle is none. */
function knownPaths(
  { upstreams }: Pick<RelayParts, 'upstreams'>,
  uplinks: readonly Uplink[],
  remembered: Paths,
): Paths {
  return Object.fromEntries(
    upstreams.flatMap(({ face: { id } }, at) => {
      const status = uplinks[at]?.status;
      if (status?.code === 'joined-in-circle') return [];
      const path = status?.welcome?.above ?? remembered[id];
      return path === undefined ? [] : [[id, path]];
    }),
  );
}
