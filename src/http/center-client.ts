import type { SealedBlock } from '../format/block.ts';
import type { ClientCredentials } from '../identity/client-identity.ts';
import { errorRegistry, LowtideError } from '../model/errors.ts';
import type { CopyState, Member, Order } from '../model/exchange.ts';
import type { BlockId, ClientId, OrderId, SnapshotId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { decodeMessage, encodeMessage } from '../protocol/fields.ts';
import { decodeBlock, decodeIds, encodeIds, errorOf, ID_BYTES, readFrames } from '../protocol/frames.ts';
import {
  clientPageMessage,
  clientsQueryMessage,
  copyPageMessage,
  copyQueryMessage,
  declineMessage,
  copyStatesMessage,
  helloMessage,
  keyringPageMessage,
  keyringsQueryMessage,
  leavingsMessage,
  membersAnswer,
  membersMessage,
  missingMessage,
  offerMessage,
  orderLineOf,
  receiptMessage,
  welcomeMessage,
  withdrawMessage,
} from '../protocol/messages.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import type { z } from 'zod';
import type { CenterPin } from './connecting.ts';
import { FRAMES_TYPE, httpLimits, type HttpLimits, IDS_TYPE, JSON_TYPE, LINES_TYPE } from './http-limits.ts';
import { readLines } from './lines.ts';
import { patiently } from './patience.ts';
import { Requester } from './requester.ts';
import { sendBlocks } from './sending-blocks.ts';

export interface CenterClientOptions {
  readonly pin: CenterPin;
  /** PEM of the center's root. */
  readonly ca: string;
  readonly credentials: ClientCredentials;
  readonly limits: Limits;
  readonly http?: Partial<HttpLimits>;
}

export interface CenterConnection extends CenterApi {
  /** Closes idle connections; what is under way breaks. */
  close(): void;
}

const ORDER_LINE_BYTES_MAX = 16 * 1024;
/** Heartbeats that may be lost before the line counts as broken. */
const BEATS = 3;

/**
 * A center over HTTPS. Nothing is connected before the first call, and connections come and go as needed.
 * @throws LowtideError `wrong-center` if the root is not the pinned one
 */
export function connectCenter(options: CenterClientOptions): CenterConnection {
  const http = { ...httpLimits, ...options.http };
  return new CenterClient(new Requester(options.pin, options.ca, options.credentials, http), options.limits);
}

class CenterClient implements CenterConnection {
  readonly #requester: Requester;
  readonly #limits: Limits;

  constructor(requester: Requester, limits: Limits) {
    this.#requester = requester;
    this.#limits = limits;
  }

  hello: CenterApi['hello'] = (me) => this.#ask('/v1/hello', encodeMessage(helloMessage, me), welcomeMessage);

  offer: CenterApi['offer'] = async (manifest, keyring, wishes): Promise<readonly CopyState[]> => {
    const body = encodeMessage(offerMessage(this.#limits), { manifest, keyring, wishes });
    return (await this.#ask('/v1/offers', body, copyStatesMessage)).copies;
  };

  async *orders(stop: AbortSignal): AsyncIterable<Order> {
    const { heartbeat_ms } = this.#limits;
    const over = new AbortController();
    const signal = AbortSignal.any([stop, over.signal]);
    const patience = {
      ...this.#requester.patience(),
      idle_ms: BEATS * heartbeat_ms,
      bytes_per_second_min: 0,
    };
    try {
      const response = await this.#requester.begin({
        method: 'GET',
        path: '/v1/orders',
        answerType: LINES_TYPE,
        wait_ms: patience.idle_ms,
        stop: signal,
      });
      const lines = readLines(patiently(response, patience), ORDER_LINE_BYTES_MAX, 'bad-answer');
      for await (const line of lines) {
        const said = orderLineOf(answerOf(line));
        if ('end' in said) return;
        if ('error' in said) throw said.error;
        if ('order' in said) yield said.order;
      }
      throw new LowtideError('center-unreachable', 'the connection to the center broke');
    } catch (error) {
      if (!stop.aborted) throw error;
    } finally {
      over.abort();
    }
  }

  enroll: CenterApi['enroll'] = async (members: readonly Member[]) => {
    const body = encodeMessage(membersMessage, { members });
    return (await this.#ask('/v1/members', body, membersAnswer)).left ?? [];
  };

  left: CenterApi['left'] = async (leavings) => {
    await this.#ask('/v1/leavings', encodeMessage(leavingsMessage, { leavings }), null);
  };

  missing(order: OrderId, ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    return this.#someOf(`/v1/orders/${order}/missing`, ids);
  }

  stored(client: ClientId, ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    return this.#someOf(`/v1/clients/${client}/stored`, ids);
  }

  async #someOf(path: string, ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    const asking = {
      method: 'POST',
      path,
      type: IDS_TYPE,
      body: encodeIds(ids),
      answerType: IDS_TYPE,
      wait_ms: this.#requester.limits.idle_ms,
    } as const;
    const some = decodeIds(await this.#requester.call(asking, ids.length * ID_BYTES));
    const asked = new Set(ids);
    if (some.every((id) => asked.delete(id))) return some;
    throw new LowtideError('bad-answer', 'the center answers about blocks that it was not asked for');
  }

  blocks(order: OrderId, from: AsyncIterable<SealedBlock>): AsyncIterable<readonly BlockId[]> {
    const asking = {
      method: 'POST',
      path: `/v1/orders/${order}/blocks`,
      type: FRAMES_TYPE,
      answerType: FRAMES_TYPE,
    } as const;
    return sendBlocks(this.#requester, asking, from, this.#limits);
  }

  commit: CenterApi['commit'] = async (order) => {
    const { commit_ms, answer_bytes_max } = this.#requester.limits;
    const asking = {
      method: 'POST',
      path: `/v1/orders/${order}/commit`,
      type: JSON_TYPE,
      body: Buffer.alloc(0),
      answerType: JSON_TYPE,
      wait_ms: commit_ms,
      also: errorRegistry['blocks-missing'].status,
    } as const;
    const answer = answerOf(await this.#requester.call(asking, answer_bytes_max));
    const refused = errorOf(answer);
    if (refused === null) return decodeMessage(receiptMessage, answer, 'bad-answer');
    if (refused.code !== 'blocks-missing') throw refused;
    const { missing } = decodeMessage(missingMessage(this.#limits), answer, 'bad-answer');
    return { kind: 'missing', missing };
  };

  decline: CenterApi['decline'] = async (order, why) => {
    await this.#ask(`/v1/orders/${order}/decline`, encodeMessage(declineMessage, { why }), null);
  };

  clients: CenterApi['clients'] = (after) =>
    this.#ask('/v1/clients', encodeMessage(clientsQueryMessage, { after }), clientPageMessage);

  keyrings: CenterApi['keyrings'] = (client, after) => {
    const body = encodeMessage(keyringsQueryMessage, { after });
    return this.#ask(`/v1/clients/${client}/keyrings`, body, keyringPageMessage(this.#limits));
  };

  copies: CenterApi['copies'] = (query) =>
    this.#ask('/v1/copies', encodeMessage(copyQueryMessage, query), copyPageMessage(this.#limits));

  withdraw: CenterApi['withdraw'] = async (snapshot, record, centers) => {
    const body = encodeMessage(withdrawMessage, { record, centers });
    await this.#ask(`/v1/snapshots/${snapshot}/withdraw`, body, null);
  };

  async *fetch(scope: SnapshotId, ids: readonly BlockId[], stop: AbortSignal): AsyncIterable<SealedBlock> {
    const most = this.#limits.ids_per_message;
    for (let at = 0; at < ids.length && !stop.aborted; at += most) {
      yield* this.#fetchSome(scope, ids.slice(at, at + most), stop);
    }
  }

  close(): void {
    this.#requester.close();
  }

  async *#fetchSome(
    scope: SnapshotId,
    ids: readonly BlockId[],
    stop: AbortSignal,
  ): AsyncIterable<SealedBlock> {
    const wanted = new Set(ids);
    const over = new AbortController();
    const asking = {
      method: 'POST',
      path: `/v1/snapshots/${scope}/blocks`,
      type: IDS_TYPE,
      body: encodeIds(ids),
      answerType: FRAMES_TYPE,
      wait_ms: this.#requester.limits.idle_ms,
      stop: AbortSignal.any([stop, over.signal]),
    } as const;
    let reusable = false;
    try {
      const response = await this.#requester.begin(asking);
      const chunks = patiently(response, this.#requester.patience());
      const frames = readFrames(chunks, this.#limits.block_bytes_max + ID_BYTES, 'above');
      for await (const frame of frames) {
        const block = decodeBlock(frame);
        if (!wanted.delete(block.id)) {
          throw new LowtideError('bad-answer', 'the center sent a block that it was not asked for');
        }
        yield block;
      }
      response.resume();
      reusable = true;
    } catch (error) {
      if (!stop.aborted) throw error;
    } finally {
      if (!reusable) over.abort();
    }
  }

  /** A control message and its answer; without a shape only that there was one counts. */
  async #ask<T>(
    path: string,
    body: Uint8Array,
    shape: z.ZodType<T> | null,
    wait_ms = this.#requester.limits.idle_ms,
  ): Promise<T> {
    const asking = { method: 'POST', path, type: JSON_TYPE, body, answerType: JSON_TYPE, wait_ms } as const;
    const answer = await this.#requester.call(asking, this.#requester.limits.answer_bytes_max);
    return shape === null ? (undefined as T) : decodeMessage(shape, answerOf(answer), 'bad-answer');
  }
}

function answerOf(bytes: Uint8Array): ReturnType<typeof parseStrictJson> {
  try {
    return parseStrictJson(bytes);
  } catch (error) {
    throw new LowtideError('bad-answer', 'the answer of the center is not valid JSON', { cause: error });
  }
}
