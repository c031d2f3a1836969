import { checkBlockId, type SealedBlock } from '../../src/format/block.ts';
import { LowtideError } from '../../src/model/errors.ts';
import type {
  CenterFace,
  CopyQuery,
  CopyRecord,
  Hello,
  KnownClient,
  Member,
  Order,
  Page,
  Welcome,
  Wishes,
} from '../../src/model/exchange.ts';
import type { BlockId, CenterId, ClientId, OrderId, SnapshotId } from '../../src/model/ids.ts';
import type { CenterApi, CommitAnswer, DeclineReason } from '../../src/protocol/center-api.ts';
import { inlineWork } from '../../src/world/threads/inline-work.ts';

/** What a center in memory has of one client. */
export class ClientShelf {
  readonly blocks = new Map<BlockId, Uint8Array>();
  readonly offers: { manifest: Uint8Array; keyring: Uint8Array; wishes: Wishes }[] = [];
  readonly members: Member[] = [];
  readonly left: Uint8Array[] = [];
  /** Whom this client may read, and its keyrings. */
  clients: KnownClient[] = [];
  keyrings: Uint8Array[] = [];
  readonly withdrawn: { id: SnapshotId; record: Uint8Array; centers: readonly CenterId[] }[] = [];
  readonly declined: DeclineReason[] = [];
  readonly snapshots = new Set<SnapshotId>();
  readonly orders: Order[] = [{ kind: 'news' }];
  copies: CopyRecord[] = [];
  /** The order that is open, and what its commit needs. */
  order: OrderId | null = null;
  needed: readonly BlockId[] = [];
  /** Blocks that an order takes before its window closes. */
  appetite = Infinity;
  /** True: what is over the appetite ends the stream with `order-ended`, else without a word. */
  complains = true;
  /** Calls that have begun and not ended. */
  open = 0;
}

/** The other side of a transport under test: no disk, no plan, but the contract of `CenterApi` to the letter. */
export class MemoryCenter {
  readonly face: CenterFace;
  readonly shelves = new Map<ClientId, ClientShelf>();
  /** Thrown by the next call of any kind. */
  trouble: unknown = null;
  readonly groupSize = 3;

  constructor(face: CenterFace) {
    this.face = face;
  }

  shelf(client: ClientId): ClientShelf {
    const shelf = this.shelves.get(client) ?? new ClientShelf();
    this.shelves.set(client, shelf);
    return shelf;
  }

  apiFor(client: ClientId): CenterApi {
    return new MemoryFace(this, client, this.shelf(client));
  }
}

class MemoryFace implements CenterApi {
  readonly #center: MemoryCenter;
  readonly #client: ClientId;
  readonly #shelf: ClientShelf;

  constructor(center: MemoryCenter, client: ClientId, shelf: ClientShelf) {
    this.#center = center;
    this.#client = client;
    this.#shelf = shelf;
  }

  async hello(me: Hello): Promise<Welcome> {
    this.#maybeFail();
    if (me.client !== this.#client) throw new LowtideError('forbidden', "this is another client's name");
    if (me.session === 'stale') throw new LowtideError('clone-suspected', 'two machines have one identity');
    const { face } = this.#center;
    return {
      protocol: me.protocol,
      center: face,
      session: `after ${me.session ?? 'nothing'}`,
      clock: me.clock + 1,
      incarnation: 'first',
      centers: [face],
      above: [face.id],
      windows: '22:00-08:00',
      zone: 'Asia/Tokyo',
    };
  }

  async offer(manifest: Uint8Array, keyring: Uint8Array, wishes: Wishes) {
    this.#maybeFail();
    if (manifest[0] === 0) throw new LowtideError('damaged-manifest', 'the manifest is not one');
    this.#shelf.offers.push({ manifest, keyring, wishes });
    return this.#shelf.copies.map(
      ({ receipt: _receipt, manifest: _manifest, hops: _hops, closing: _closing, ...state }) => state,
    );
  }

  async enroll(members: readonly Member[]): Promise<readonly Uint8Array[]> {
    this.#maybeFail();
    this.#shelf.members.push(...members);
    return members.map(({ membership }) => membership);
  }

  async left(words: readonly Uint8Array[]): Promise<void> {
    this.#maybeFail();
    this.#shelf.left.push(...words);
  }

  async *orders(stop: AbortSignal): AsyncIterable<Order> {
    this.#maybeFail();
    const stopped = new Promise<void>((resolve) =>
      stop.addEventListener('abort', () => resolve(), { once: true }),
    );
    this.#shelf.open++;
    try {
      yield* this.#shelf.orders;
      if (!stop.aborted) await stopped;
    } finally {
      this.#shelf.open--;
    }
  }

  async missing(order: OrderId, ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    this.#checkOrder(order);
    return ids.filter((id) => !this.#shelf.blocks.has(id));
  }

  async stored(client: ClientId, ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    const { blocks } = this.#center.shelf(client);
    return ids.filter((id) => blocks.has(id));
  }

  async *blocks(order: OrderId, from: AsyncIterable<SealedBlock>): AsyncIterable<readonly BlockId[]> {
    this.#checkOrder(order);
    const shelf = this.#shelf;
    let group: BlockId[] = [];
    let taken = 0;
    shelf.open++;
    try {
      for await (const block of from) {
        if (taken++ >= shelf.appetite) {
          if (group.length > 0) yield group;
          if (shelf.complains) throw new LowtideError('order-ended', 'the window is closed');
          return;
        }
        await checkBlockId(inlineWork(), block);
        shelf.blocks.set(block.id, new Uint8Array(block.bytes));
        group.push(block.id);
        if (group.length < this.#center.groupSize) continue;
        yield group;
        group = [];
      }
      if (group.length > 0) yield group;
    } finally {
      shelf.open--;
    }
  }

  async commit(order: OrderId): Promise<CommitAnswer> {
    this.#checkOrder(order);
    const missing = this.#shelf.needed.filter((id) => !this.#shelf.blocks.has(id));
    return missing.length > 0
      ? { kind: 'missing', missing }
      : { kind: 'receipt', receipt: new Uint8Array([1, 2, 3]) };
  }

  async decline(order: OrderId, why: DeclineReason): Promise<void> {
    this.#checkOrder(order);
    this.#shelf.declined.push(why);
  }

  async clients(after: ClientId | null): Promise<Page<KnownClient>> {
    this.#maybeFail();
    const rows = this.#shelf.clients.filter(({ client }) => after === null || client > after);
    return { rows: rows.slice(0, 1), next: rows.length > 1 ? rows[0]!.client : null };
  }

  async keyrings(client: ClientId, after: string | null): Promise<Page<Uint8Array>> {
    this.#maybeFail();
    if (client !== this.#client) throw new LowtideError('not-found', 'there is no such thing here');
    const rows = this.#shelf.keyrings;
    return after === null ? { rows: rows.slice(0, 1), next: 'more' } : { rows: rows.slice(1), next: null };
  }

  async copies(query: CopyQuery): Promise<Page<CopyRecord>> {
    this.#maybeFail();
    const after = query.after ?? '';
    const rows = this.#shelf.copies.filter(
      ({ snapshot }) => snapshot > after && (query.snapshots ?? [snapshot]).includes(snapshot),
    );
    const page = rows.slice(0, 2);
    return { rows: page, next: rows.length > 2 ? page.at(-1)!.snapshot : null };
  }

  async withdraw(id: SnapshotId, record: Uint8Array, centers: readonly CenterId[]): Promise<void> {
    this.#checkSnapshot(id);
    this.#shelf.withdrawn.push({ id, record, centers });
  }

  async *fetch(scope: SnapshotId, ids: readonly BlockId[], stop: AbortSignal): AsyncIterable<SealedBlock> {
    this.#checkSnapshot(scope);
    this.#shelf.open++;
    try {
      for (const id of ids) {
        const bytes = this.#shelf.blocks.get(id);
        if (bytes !== undefined && !stop.aborted) yield { id, bytes: new Uint8Array(bytes) };
      }
    } finally {
      this.#shelf.open--;
    }
  }

  #maybeFail(): void {
    const { trouble } = this.#center;
    this.#center.trouble = null;
    if (trouble !== null) throw trouble;
  }

  #checkOrder(order: OrderId): void {
    this.#maybeFail();
    if (order !== this.#shelf.order) throw new LowtideError('order-ended', 'there is no such order');
  }

  #checkSnapshot(id: SnapshotId): void {
    this.#maybeFail();
    if (!this.#shelf.snapshots.has(id))
      throw new LowtideError('no-such-snapshot', 'there is no such snapshot here');
  }
}
