import { errorRegistry } from '../model/errors.ts';
import { parseClientId, parseOrderId, parseSnapshotId } from '../model/ids.ts';
import { encodeMessage } from '../protocol/fields.ts';
import { encodeIds } from '../protocol/frames.ts';
import {
  clientPageMessage,
  clientsQueryMessage,
  missingMessage,
  receiptMessage,
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
  offerMessage,
  welcomeMessage,
  withdrawMessage,
} from '../protocol/messages.ts';
import { readIds, readMessage } from './bodies.ts';
import { IDS_TYPE, JSON_TYPE } from './http-limits.ts';
import type { Answer, CallerExchange, Route, Service } from './routing.ts';

const SMALL_BYTES_MAX = 16 * 1024;
/** Of a page of rows. */
const LIST_BYTES_MAX = 4 * 1024 * 1024;
/** Beside manifest and keyring. */
const WISHES_BYTES_MAX = 32 * 1024;

const json = (body: Uint8Array): Answer => ({ type: JSON_TYPE, body });

const post = (
  path: string,
  handle: (service: Service, exchange: CallerExchange) => Promise<Answer>,
): Route => ({ method: 'POST', path, open: false, handle });

/** One message in, one out (protocol R10, R20-R24). */
export const controlRoutes: readonly Route[] = [
  post('/v1/hello', async (_service, exchange) => {
    const hello = await readMessage(exchange, helloMessage, SMALL_BYTES_MAX);
    return json(encodeMessage(welcomeMessage, await exchange.api.hello(hello)));
  }),

  post('/v1/offers', async ({ world: { limits } }, exchange) => {
    const bytes = Math.ceil((limits.manifest_bytes_max + limits.keyring_bytes_max) * (4 / 3));
    const offer = await readMessage(exchange, offerMessage(limits), bytes + WISHES_BYTES_MAX);
    const copies = await exchange.api.offer(offer.manifest, offer.keyring, offer.wishes);
    return json(encodeMessage(copyStatesMessage, { copies }));
  }),

  post('/v1/orders/:id/missing', async ({ world }, exchange) => {
    const order = parseOrderId(exchange.id);
    const ids = await readIds(exchange, world.limits.ids_per_message);
    return { type: IDS_TYPE, body: encodeIds(await exchange.api.missing(order, ids)) };
  }),

  post('/v1/orders/:id/commit', async ({ world }, exchange) => {
    const order = parseOrderId(exchange.id);
    const answer = await exchange.api.commit(order);
    if (answer.kind === 'receipt') return json(encodeMessage(receiptMessage, answer));
    const missing = answer.missing.slice(0, world.limits.ids_per_message);
    const message = 'the snapshot lacks blocks that its refs name: send them and ask again';
    const refusal = { code: 'blocks-missing', message, missing } as const;
    const body = encodeMessage(missingMessage(world.limits), refusal);
    return { type: JSON_TYPE, body, status: errorRegistry[refusal.code].status };
  }),

  post('/v1/orders/:id/decline', async (_service, exchange) => {
    const { why } = await readMessage(exchange, declineMessage, SMALL_BYTES_MAX);
    await exchange.api.decline(parseOrderId(exchange.id), why);
    return json(Buffer.from('{}'));
  }),

  post('/v1/members', async (_service, exchange) => {
    const { members } = await readMessage(exchange, membersMessage, LIST_BYTES_MAX);
    const left = await exchange.api.enroll(members);
    return json(encodeMessage(membersAnswer, left.length === 0 ? {} : { left }));
  }),

  post('/v1/leavings', async (_service, exchange) => {
    const { leavings } = await readMessage(exchange, leavingsMessage, LIST_BYTES_MAX);
    await exchange.api.left(leavings);
    return json(Buffer.from('{}'));
  }),

  post('/v1/clients/:id/stored', async ({ world }, exchange) => {
    const client = parseClientId(exchange.id);
    const ids = await readIds(exchange, world.limits.ids_per_message);
    return { type: IDS_TYPE, body: encodeIds(await exchange.api.stored(client, ids)) };
  }),

  post('/v1/clients', async (_service, exchange) => {
    const { after } = await readMessage(exchange, clientsQueryMessage, SMALL_BYTES_MAX);
    return json(encodeMessage(clientPageMessage, await exchange.api.clients(after)));
  }),

  post('/v1/clients/:id/keyrings', async ({ world }, exchange) => {
    const client = parseClientId(exchange.id);
    const { after } = await readMessage(exchange, keyringsQueryMessage, SMALL_BYTES_MAX);
    const page = await exchange.api.keyrings(client, after);
    return json(encodeMessage(keyringPageMessage(world.limits), page));
  }),

  post('/v1/copies', async ({ world }, exchange) => {
    const query = await readMessage(exchange, copyQueryMessage, LIST_BYTES_MAX);
    return json(encodeMessage(copyPageMessage(world.limits), await exchange.api.copies(query)));
  }),

  post('/v1/snapshots/:id/withdraw', async (_service, exchange) => {
    const snapshot = parseSnapshotId(exchange.id);
    const { record, centers } = await readMessage(exchange, withdrawMessage, SMALL_BYTES_MAX);
    await exchange.api.withdraw(snapshot, record, centers);
    return json(Buffer.from('{}'));
  }),
];
