import { Collector } from '../../src/collect/collector.ts';
import type { Conditions } from '../../src/collect/parts.ts';
import { Depot } from '../../src/depot/depot.ts';
import { clearBlock, sealBlock, type SealedBlock } from '../../src/format/block.ts';
import { addSlot, newKeyring } from '../../src/format/keyring-edit.ts';
import { type OpenKeyring, signKeyring } from '../../src/format/keyring.ts';
import { type Manifest, type SignedManifest, signManifest } from '../../src/format/manifest.ts';
import { RefsBuilder } from '../../src/format/refs.ts';
import {
  centerIdOf,
  clientIdOf,
  instanceIdOf,
  type SigningKey,
  signingKeyFromSeed,
} from '../../src/format/signing.ts';
import { signVoid } from '../../src/format/void-record.ts';
import { putClient } from '../../src/ledger/clients.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import type { CenterFace, CopyState, Order, Wishes } from '../../src/model/exchange.ts';
import type { BlockId, CenterId, ClientId, InstanceId, OrderId, SnapshotId } from '../../src/model/ids.ts';
import { type Limits, tinyLimits } from '../../src/model/limits.ts';
import { SimulatedNode } from '../../src/sim/node.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { CenterApi } from '../../src/protocol/center-api.ts';
import type { World } from '../../src/world/ports.ts';
import { noise } from './depot-kit.ts';

export const START = Date.UTC(2026, 2, 2, 12);
const NEVER = new AbortController().signal;

export interface CollectOptions {
  readonly conditions?: Partial<Conditions>;
  readonly limits?: Partial<Limits>;
  readonly seed?: string | number;
}

/** A collector with a real depot and ledger on a simulated machine, and clients that a test drives by hand. */
export class CollectKit {
  readonly simulation: Simulation;
  readonly node: SimulatedNode;
  readonly face: CenterFace;
  readonly #receiptKey: SigningKey;
  #conditions: Conditions;
  world!: World;
  depot!: Depot;
  ledger!: Ledger;
  collector!: Collector;
  #stop = new AbortController();
  #life: Promise<void> = Promise.resolve();

  private constructor(options: CollectOptions) {
    const limits = { ...tinyLimits, ...options.limits };
    this.simulation = new Simulation({ seed: options.seed ?? 1, start: START, limits, interleave: 2 });
    this.node = new SimulatedNode(this.simulation, { name: 'center' });
    this.#receiptKey = signingKeyFromSeed(noise('receipts', 32));
    const { publicKey } = this.#receiptKey;
    this.face = { id: centerIdOf(publicKey), kind: 'center', name: 'center', receiptKey: publicKey };
    this.#conditions = { windows: 'any', zone: 'UTC', streams: 2, ...options.conditions };
  }

  static async make(options: CollectOptions = {}): Promise<CollectKit> {
    const kit = new CollectKit(options);
    const world = kit.node.boot();
    await Depot.create(world, '/store');
    await kit.#open(world);
    return kit;
  }

  async #open(world: World): Promise<void> {
    this.world = world;
    this.depot = await Depot.open(world, '/store', 'write');
    this.ledger = await Ledger.open(world, '/ledger.db');
    const { depot, ledger, face: center } = this;
    const parts = { world, depot, ledger, center, receiptKey: this.#receiptKey, above: null };
    this.collector = await Collector.start(parts, this.#conditions);
    this.#stop = new AbortController();
    this.#life = this.collector.run(this.#stop.signal);
  }

  /** Power loss, and up again. Clients must ask for their `api` anew. */
  async crash(): Promise<void> {
    this.node.crash();
    await this.#open(this.node.boot());
  }

  /** The clean stop, as far as it comes within `ms`. */
  async stop(ms = 60_000): Promise<void> {
    this.#stop.abort();
    await this.simulation.finish(this.#life, this.simulation.now + ms);
  }

  /** The clean stop and up again. */
  async restart(): Promise<void> {
    await this.stop();
    await this.ledger.close();
    await this.depot.close();
    this.node.stop();
    await this.#open(this.node.boot());
  }

  /** @param domainKey of a domain that it shares with others; else it has its own */
  async client(name: string, domainKey?: Uint8Array): Promise<TestClient> {
    const client = new TestClient(this, name, domainKey);
    const { id, signingKey } = client;
    const key = { instance_key: signingKey.publicKey, pass: name, enrolled_at: START };
    await putClient(this.ledger.db, { id, name, role: 'agent', ...key });
    return client;
  }

  /** Another center, let in to read. */
  async peer(name: string): Promise<TestClient> {
    const peer = new TestClient(this, name);
    const key = { instance_key: peer.signingKey.publicKey, pass: name, enrolled_at: START };
    await putClient(this.ledger.db, { id: peer.id, name, role: 'peer', ...key });
    return peer;
  }

  /** One that has not joined here. */
  stranger(name: string): TestClient {
    return new TestClient(this, name);
  }

  /** Virtual time goes on. */
  async pass(ms: number): Promise<void> {
    await this.simulation.run({ for: ms });
  }

  /** Codes of the alarms so far. */
  get alarms(): string[] {
    return this.simulation.recorder.events('alarm').map(({ code }) => code);
  }
}

export interface ClientSnapshot {
  readonly id: SnapshotId;
  readonly signed: SignedManifest;
  /** Everything of its refs that is not in its base, pages included. */
  readonly blocks: readonly SealedBlock[];
  readonly bytes: number;
}

export interface SnapshotSpec {
  readonly job?: string;
  readonly sequence?: number;
  readonly base?: ClientSnapshot | null;
  /** Names of its data blocks: the same name gives the same block. */
  readonly data?: readonly string[];
  readonly manifest?: Partial<Manifest>;
  readonly signingKey?: SigningKey;
}

/** One client with keys of its own, which does nothing by itself. */
export class TestClient {
  readonly kit: CollectKit;
  readonly name: string;
  readonly id: ClientId;
  readonly instance: InstanceId;
  readonly signingKey: SigningKey;
  readonly keyring: OpenKeyring;

  constructor(kit: CollectKit, name: string, domainKey?: Uint8Array) {
    this.kit = kit;
    this.name = name;
    this.signingKey = signingKeyFromSeed(noise(`key of ${name}`, 32));
    this.instance = instanceIdOf(this.signingKey.publicKey);
    this.id = clientIdOf(this.signingKey.publicKey);
    let turn = 0;
    const entropy = (length: number): Uint8Array => noise(`${name} ${turn++}`, length);
    const making = { entropy, limits: tinyLimits, now: START };
    const shared = domainKey === undefined ? {} : { domainKey };
    const ring = newKeyring({ ...making, ...shared, signingKey: this.signingKey, storeSigningSeed: false });
    const slot = { kind: 'device', label: 'device', secret: noise('device', 32) } as const;
    this.keyring = signKeyring(addSlot(ring, slot, making), this.signingKey);
  }

  get api(): CenterApi {
    return this.kit.collector.apiFor(this.id, `address of ${this.name}`);
  }

  block(name: string, length = 1500): SealedBlock {
    return sealBlock(this.keyring.keys.newest, noise(name, length), { type: 'data', level: 0 });
  }

  async snapshot(spec: SnapshotSpec = {}): Promise<ClientSnapshot> {
    const { job = 'home', sequence = 1, base = null, data = ['a', 'b'] } = spec;
    const pages: SealedBlock[] = [];
    const builder = new RefsBuilder(tinyLimits, async (payload) => {
      const page = clearBlock(this.keyring.keys.newest.id, payload);
      pages.push(page);
      return { id: page.id, length: page.bytes.length };
    });
    const content = data.map((name) => this.block(name));
    for (const { id, bytes } of content) await builder.add({ id, length: bytes.length });
    const signed = signManifest(
      {
        client: this.id,
        instance: this.instance,
        job,
        sequence,
        previous: base?.id ?? null,
        base: base?.id ?? null,
        takenAt: START,
        refs: await builder.finish(),
        tree: { id: 'ab'.repeat(32) as BlockId, length: 100, entries: 1, bytes: 100 },
        keyring: this.keyring.signed.hash,
        complete: true,
        counts: { files: 1, directories: 1, others: 0, bytes: 100, problems: 0 },
        labels: { client: this.name, roots: ['/home'] },
        sealed: new Uint8Array(noise('sealed', 40)),
        ...spec.manifest,
      },
      spec.signingKey ?? this.signingKey,
    );
    const inBase = new Set(base?.blocks.map(({ id }) => id));
    const blocks = [...content, ...pages].filter(({ id }) => !inBase.has(id));
    return { id: signed.id, signed, blocks, bytes: blocks.reduce((sum, { bytes }) => sum + bytes.length, 0) };
  }

  wishes(snapshot: ClientSnapshot, changes: Partial<Wishes> = {}): Wishes {
    return {
      transfer: 'any',
      zone: 'UTC',
      centers: [this.kit.face.id],
      freeAfter: 'centers',
      bytes: snapshot.bytes,
      blocks: snapshot.blocks.length,
      ...changes,
    };
  }

  async offer(snapshot: ClientSnapshot, changes: Partial<Wishes> = {}): Promise<readonly CopyState[]> {
    const wishes = this.wishes(snapshot, changes);
    return await this.api.offer(snapshot.signed.bytes, this.keyring.signed.bytes, wishes);
  }

  /** Without centers as programs before format F48 wrote it. */
  voidRecord(snapshot: SnapshotId, centers?: readonly CenterId[]): Uint8Array {
    const { id: client, instance } = this;
    const record = { client, instance, snapshot, reason: 'test', at: START, ...(centers && { centers }) };
    return signVoid(record, this.signingKey);
  }

  /** Listens for orders until `hangUp`. */
  listen(): Listener {
    return new Listener(this.kit.simulation, this.api);
  }

  /** All the blocks that the center lacks, in one stream; answers what was acknowledged. */
  async send(order: OrderId, snapshot: ClientSnapshot): Promise<BlockId[]> {
    const ids = snapshot.blocks.map(({ id }) => id);
    const missing = new Set(await this.api.missing(order, ids));
    const sent = snapshot.blocks.filter(({ id }) => missing.has(id));
    return (await Array.fromAsync(this.api.blocks(order, streamOf(sent)))).flat();
  }

  /** Offers, waits for the order, sends, commits: a receipt. */
  async bring(snapshot: ClientSnapshot): Promise<Uint8Array> {
    const listener = this.listen();
    await this.offer(snapshot);
    const { order } = await listener.order();
    await this.send(order, snapshot);
    const answer = await this.api.commit(order);
    listener.hangUp();
    await this.kit.simulation.settle();
    if (answer.kind !== 'receipt') throw new Error(`no receipt: ${answer.missing.length} blocks are missing`);
    return answer.receipt;
  }
}

type SendOrder = Extract<Order, { kind: 'send' }>;

/** The stream of orders of one session. */
export class Listener {
  readonly heard: Order[] = [];
  ended = false;
  readonly #stop = new AbortController();
  readonly #simulation: Simulation;
  #given = 0;

  constructor(simulation: Simulation, api: CenterApi) {
    this.#simulation = simulation;
    void this.#listen(api);
  }

  get sends(): SendOrder[] {
    return this.heard.filter((order) => order.kind === 'send');
  }

  get stops(): { readonly order: OrderId; readonly code: string }[] {
    return this.heard.filter((order) => order.kind === 'stop');
  }

  /** The next order to send, within an hour. */
  async order(): Promise<SendOrder> {
    const deadline = this.#simulation.now + 3_600_000;
    await this.#simulation.runUntil(() => this.sends.length > this.#given, deadline);
    return this.sends[this.#given++]!;
  }

  hangUp(): void {
    this.#stop.abort();
  }

  async #listen(api: CenterApi): Promise<void> {
    for await (const order of api.orders(this.#stop.signal)) this.heard.push(order);
    this.ended = true;
  }
}

export async function* streamOf(blocks: readonly SealedBlock[]): AsyncGenerator<SealedBlock> {
  yield* blocks;
}

/** Blocks that come when the test says so. */
export class HandStream implements AsyncIterable<SealedBlock> {
  readonly #items: (SealedBlock | Error | null)[] = [];
  #wake = Promise.withResolvers<void>();

  push(...blocks: readonly SealedBlock[]): void {
    this.#put(...blocks);
  }

  end(): void {
    this.#put(null);
  }

  /** The connection is gone. */
  fail(error: Error): void {
    this.#put(error);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SealedBlock> {
    for (;;) {
      const item = this.#items.shift();
      if (item === null) return;
      if (item instanceof Error) throw item;
      if (item !== undefined) yield item;
      else await this.#wake.promise;
    }
  }

  #put(...items: readonly (SealedBlock | Error | null)[]): void {
    this.#items.push(...items);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

/** What a stream of acknowledgements has said so far, and how it ended. */
export class Acknowledged {
  readonly ids: BlockId[] = [];
  ended = false;
  error: unknown = null;
  readonly done: Promise<void>;

  constructor(stream: AsyncIterable<readonly BlockId[]>) {
    this.done = this.#read(stream);
  }

  async #read(stream: AsyncIterable<readonly BlockId[]>): Promise<void> {
    try {
      for await (const ids of stream) this.ids.push(...ids);
    } catch (error) {
      this.error = error;
    }
    this.ended = true;
  }
}

export { NEVER };
