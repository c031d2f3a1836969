import type { BlockSource } from '../format/block-source.ts';
import type { SealedBlock } from '../format/block.ts';
import type {
  CopyQuery,
  CopyRecord,
  CopyState,
  Hello,
  KnownClient,
  Member,
  Order,
  Page,
  Welcome,
  Wishes,
} from '../model/exchange.ts';
import type { BlockId, CenterId, ClientId, OrderId, SnapshotId } from '../model/ids.ts';

/**
 * What a node above offers to a node below; docs/protocol.md is normative. The caller's identity is bound when the
 * object is made. Everything is idempotent: any call may be repeated after a lost answer.
 */
export interface CenterApi extends BlockSource {
  /** Opens a session. The newest session of an instance takes over. Errors: `revoked`, `clone-suspected`. */
  hello(me: Hello): Promise<Welcome>;
  /**
   * Asks for a snapshot to be collected (SEED fig. 4). Durable when it resolves. The keyring that the manifest names
   * must be known or come with it.
   * Errors: `damaged-manifest`, `wrong-signature`, `forbidden`, `sequence-fork` (kept, with an alarm).
   */
  offer(manifest: Uint8Array, keyring: Uint8Array, wishes: Wishes): Promise<readonly CopyState[]>;
  /**
   * A relay tells which machines are in its subtree; until then nothing of theirs is taken from it. Durable when it
   * resolves. At most limits.page_rows at once. Errors: `forbidden`, `wrong-signature`, `bad-request`.
   * @returns words of these machines that they have left what it tells that they joined
   */
  enroll(members: readonly Member[]): Promise<readonly Uint8Array[]>;
  /**
   * Brings machines' signed words that they have left a node: the caller's own, and those of its subtree. Of others nothing
   * is taken. Durable when it resolves. At most limits.page_rows at once. Errors: `wrong-signature`, `bad-request`.
   */
  left(words: readonly Uint8Array[]): Promise<void>;
  /** Wake-ups until `stop` aborts or the connection ends; losing one loses nothing. The first item comes at once. */
  orders(stop: AbortSignal): AsyncIterable<Order>;
  /**
   * Which of these blocks the node above lacks, inside an order. At most limits.ids_per_message ids.
   * Errors: `order-ended`, `too-large`.
   */
  missing(order: OrderId, ids: readonly BlockId[]): Promise<readonly BlockId[]>;
  /**
   * Which of these blocks of a client's own key domains every center above here has for good, or the node itself if it is
   * a center: asked by a relay, outside any order, so that what is above need not travel. Promises nothing.
   * At most limits.ids_per_message ids.
   */
  stored(client: ClientId, ids: readonly BlockId[]): Promise<readonly BlockId[]>;
  /**
   * Sends blocks, whose memory is given up; answers with ids that are durable now, in groups. May end early: what was not answered was not
   * taken. Errors: `order-ended` (the window closed: go on in the next order), `hash-mismatch`, `disk-full`, `forbidden`.
   */
  blocks(order: OrderId, from: AsyncIterable<SealedBlock>): AsyncIterable<readonly BlockId[]>;
  /** Closes the order if everything is there. Repeated: the same receipt, byte for byte. */
  commit(order: OrderId): Promise<CommitAnswer>;
  /** This order will not be carried out: its stream is somebody else's at once. Errors: `order-ended`. */
  decline(order: OrderId, why: DeclineReason): Promise<void>;
  /**
   * The clients that the caller may read: itself, a relay its subtree, a peer everybody. With `copies`, `keyrings` and
   * `fetch` it is all that a peer may ask (beside hello). In order of id, at most limits.page_rows.
   */
  clients(after: ClientId | null): Promise<Page<KnownClient>>;
  /** Keyrings of such a client, oldest version first, as signed records. Errors: `not-found`. */
  keyrings(client: ClientId, after: string | null): Promise<Page<Uint8Array>>;
  /** The caller's copies: states, receipts, manifests. How truth comes down. */
  copies(query: CopyQuery): Promise<Page<CopyRecord>>;
  /**
   * Closes a snapshot of the caller's that can never be collected at these centers, and everywhere if there are none.
   * `record` is a void record signed by its owner.
   */
  withdraw(id: SnapshotId, record: Uint8Array, centers: readonly CenterId[]): Promise<void>;
}

/** Protocol R36. */
export const DECLINE_REASONS = ['busy', 'not-owed', 'not-here'] as const;
export type DeclineReason = (typeof DECLINE_REASONS)[number];

export type CommitAnswer =
  | { readonly kind: 'receipt'; readonly receipt: Uint8Array }
  | { readonly kind: 'missing'; readonly missing: readonly BlockId[] };

export const PROTOCOL_VERSION = 1;
