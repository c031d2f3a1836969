import { z } from 'zod';
import type {
  CenterFace,
  CopyQuery,
  CopyRecord,
  CopyState,
  Expected,
  Hello,
  Hop,
  KnownClient,
  Member,
  Order,
  Page,
  Welcome,
  Wishes,
} from '../model/exchange.ts';
import type { BlockId, CenterId, ClientId, InstanceId, OrderId, SnapshotId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import { type CommitAnswer, DECLINE_REASONS, type DeclineReason } from './center-api.ts';
import { LowtideError } from '../model/errors.ts';
import { bytesText, idText, instant, textUpTo, wholeNumber } from './fields.ts';
import { errorOf } from './frames.ts';

/**
 * The control messages of `CenterApi` (protocol R10-R12, R20-R24, R31). Requests are strict: an unknown field is an error, so that
 * nothing is ever silently not done. Answers are not: a newer center may say more.
 */
const client = idText<ClientId>(32);
const center = idText<CenterId>(32);
const snapshot = idText<SnapshotId>(64);

const RECEIPT_BYTES_MAX = 4096;
const ROWS_MAX = 10_000;
const NEWS_MAX = 1000;
const HOPS_MAX = 100;

export const helloMessage: z.ZodType<Hello> = z.strictObject({
  protocol: wholeNumber,
  client,
  instance: idText<InstanceId>(32),
  software: textUpTo(200),
  session: textUpTo(200).nullable(),
  clock: instant,
});

export const faceMessage: z.ZodType<CenterFace> = z.object({
  id: center,
  kind: z.enum(['center', 'relay']),
  name: textUpTo(200),
  receiptKey: bytesText(32, 32),
});

/** When a node collects. */
const hours = { windows: textUpTo(4000), zone: textUpTo(100) };

export const welcomeMessage: z.ZodType<Welcome> = z.object({
  protocol: wholeNumber,
  center: faceMessage,
  session: textUpTo(200),
  clock: instant,
  incarnation: textUpTo(200),
  centers: z.array(faceMessage).max(1000),
  above: z.array(center).max(1000),
  ...hours,
  wishes: z.array(textUpTo(100)).max(100).exactOptional(),
});

const wishes: z.ZodType<Wishes> = z.strictObject({
  transfer: textUpTo(4000),
  zone: textUpTo(100),
  centers: z.array(center).max(100),
  freeAfter: z.enum(['centers', 'custody']),
  bytes: wholeNumber,
  blocks: wholeNumber,
  target: wholeNumber.exactOptional(),
});

export interface Offer {
  readonly manifest: Uint8Array;
  readonly keyring: Uint8Array;
  readonly wishes: Wishes;
}

export const offerMessage = (limits: Limits): z.ZodType<Offer> =>
  z.strictObject({
    manifest: bytesText(1, limits.manifest_bytes_max),
    keyring: bytesText(1, limits.keyring_bytes_max),
    wishes,
  });

const expected: z.ZodType<Expected> = z.object({
  by: textUpTo(200),
  at: instant,
  place: wholeNumber.nullable(),
  early: instant,
  late: instant,
});

const copyState = {
  snapshot,
  center,
  phase: z.enum(['waiting', 'in-transit', 'held', 'safe', 'behind', 'stuck', 'void']),
  code: textUpTo(100),
  until: instant.nullable(),
  since: instant,
  holder: textUpTo(200).nullable(),
  expected: expected.nullable().exactOptional(),
};

const hop: z.ZodType<Hop> = z.object({
  by: center,
  name: textUpTo(200),
  offeredAt: instant,
  arrivedAt: instant.nullable(),
  bytes: wholeNumber,
  attempts: wholeNumber,
});

export const MEMBERSHIP_BYTES_MAX = 4096;

const leavings = z.array(bytesText(1, MEMBERSHIP_BYTES_MAX)).max(ROWS_MAX);

export const membersMessage: z.ZodType<{ readonly members: readonly Member[] }> = z.strictObject({
  members: z
    .array(z.strictObject({ membership: bytesText(1, MEMBERSHIP_BYTES_MAX), name: textUpTo(200) }))
    .max(ROWS_MAX),
});

export const membersAnswer: z.ZodType<{ readonly left?: readonly Uint8Array[] }> = z.object({
  left: leavings.exactOptional(),
});

export const leavingsMessage: z.ZodType<{ readonly leavings: readonly Uint8Array[] }> = z.strictObject({
  leavings,
});

export interface ClientsQuery {
  readonly after: ClientId | null;
}

export const clientsQueryMessage: z.ZodType<ClientsQuery> = z.strictObject({ after: client.nullable() });

export const clientPageMessage: z.ZodType<Page<KnownClient>> = z.object({
  rows: z
    .array(
      z.object({
        client,
        name: textUpTo(200),
        role: z.enum(['agent', 'relay']),
        instanceKey: bytesText(32, 32),
        node: center.nullable(),
        pass: textUpTo(64),
        revoked: z.boolean(),
        memberships: z
          .array(
            z.object({
              membership: bytesText(1, MEMBERSHIP_BYTES_MAX),
              name: textUpTo(200),
              via: client,
            }),
          )
          .max(1000),
        left: leavings.exactOptional(),
      }),
    )
    .max(ROWS_MAX),
  next: textUpTo(200).nullable(),
});

export interface KeyringsQuery {
  readonly after: string | null;
}

export const keyringsQueryMessage: z.ZodType<KeyringsQuery> = z.strictObject({
  after: textUpTo(200).nullable(),
});

export const keyringPageMessage = (limits: Limits): z.ZodType<Page<Uint8Array>> =>
  z.object({
    rows: z.array(bytesText(1, limits.keyring_bytes_max)).max(ROWS_MAX),
    next: textUpTo(200).nullable(),
  });

export const copyStatesMessage: z.ZodType<{ readonly copies: readonly CopyState[] }> = z.object({
  copies: z.array(z.object(copyState)).max(1000),
});

export const copyQueryMessage: z.ZodType<CopyQuery> = z.strictObject({
  client: client.exactOptional(),
  snapshots: z.array(snapshot).max(ROWS_MAX).exactOptional(),
  manifests: z.boolean().exactOptional(),
  after: textUpTo(200).exactOptional(),
});

export const copyPageMessage = (limits: Limits): z.ZodType<Page<CopyRecord>> =>
  z.object({
    rows: z
      .array(
        z.object({
          ...copyState,
          receipt: bytesText(1, RECEIPT_BYTES_MAX).nullable(),
          manifest: bytesText(1, limits.manifest_bytes_max).nullable(),
          closing: bytesText(1, RECEIPT_BYTES_MAX).optional(),
          hops: z.array(hop).max(HOPS_MAX),
        }),
      )
      .max(ROWS_MAX),
    next: textUpTo(200).nullable(),
  });

type Receipted = Extract<CommitAnswer, { kind: 'receipt' }>;

export const receiptMessage: z.ZodType<Receipted> = z.object({
  kind: z.literal('receipt'),
  receipt: bytesText(1, RECEIPT_BYTES_MAX),
});

/** The error with which a commit is refused that misses blocks (R22). */
export const missingMessage = (
  limits: Limits,
): z.ZodType<{
  readonly code: 'blocks-missing';
  readonly message: string;
  readonly missing: readonly BlockId[];
}> =>
  z.object({
    code: z.literal('blocks-missing'),
    message: textUpTo(1000),
    missing: z.array(idText<BlockId>(64)).max(limits.ids_per_message),
  });

export interface Withdrawal {
  readonly record: Uint8Array;
  readonly centers: readonly CenterId[];
}

export const withdrawMessage: z.ZodType<Withdrawal> = z.strictObject({
  record: bytesText(1, RECEIPT_BYTES_MAX),
  centers: z.array(center).max(100),
});

export const declineMessage: z.ZodType<{ readonly why: DeclineReason }> = z.strictObject({
  why: z.enum(DECLINE_REASONS),
});

const order = idText<OrderId>(32);

const rate = wholeNumber.nullable();

export const orderMessage: z.ZodType<Order> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('send'), order, snapshot, until: instant.nullable(), rate }),
  z.object({ kind: z.literal('rate'), order, rate }),
  z.object({ kind: z.literal('stop'), order, code: textUpTo(100) }),
  z.object({ kind: z.literal('news'), snapshots: z.array(snapshot).max(NEWS_MAX).exactOptional() }),
  z.object({ kind: z.literal('policy'), ...hours }),
]);

/** One line of the long answer to `orders`. What this program does not know is `unknown`, to be passed over. */
export type OrderLine =
  | { readonly order: Order }
  | { readonly beat: true }
  | { readonly end: true }
  | { readonly error: LowtideError }
  | { readonly unknown: true };

const orderLine = z.union([
  z.strictObject({ order: orderMessage }),
  z.strictObject({ beat: z.literal(true) }),
  z.strictObject({ end: z.literal(true) }),
]);
const errorLine = z.strictObject({ error: z.unknown() });

export function orderLineOf(value: unknown): OrderLine {
  const failed = errorLine.safeParse(value);
  if (failed.success) {
    const error = errorOf(failed.data.error);
    return {
      error: error ?? new LowtideError('bad-answer', 'the orders ended with an error that cannot be read'),
    };
  }
  const result = orderLine.safeParse(value);
  return result.success ? result.data : { unknown: true };
}
