import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CollectKit, streamOf, type TestClient } from '../../test/support/collect-kit.ts';
import { noise } from '../../test/support/depot-kit.ts';
import { HttpCenter } from '../../test/support/http-center.ts';
import { type RawAnswer, rawAsk, rawRequest } from '../../test/support/raw-tls.ts';
import { Collector } from '../collect/collector.ts';
import { Depot } from '../depot/depot.ts';
import { signMembership } from '../format/membership.ts';
import { centerIdOf, signingKeyFromSeed } from '../format/signing.ts';
import { listOffers } from '../ledger/offers.ts';
import { membersTold, setMembersMax, setQuota } from '../ledger/quotas.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { Member, Wishes } from '../model/exchange.ts';
import type { CenterId, ClientId, OrderId } from '../model/ids.ts';
import { HOUR_MS } from '../model/time.ts';
import { encodeMessage } from '../protocol/fields.ts';
import { membersMessage, offerMessage } from '../protocol/messages.ts';
import type { CenterConnection } from './center-client.ts';
import type { Joined } from './join.ts';

const refused = (code: ErrorCode) => (error: unknown) => isLowtideError(error, code);
const JSON_BODY = { 'Content-Type': 'application/json' };
const NODE: CenterId = centerIdOf(signingKeyFromSeed(noise('node osaka', 32)).publicKey);

/** A machine's signed word that it has joined osaka. */
function wordOf({ id: client, name, signingKey }: TestClient): Member {
  const word = { client, instanceKey: signingKey.publicKey, joined: NODE, node: null, at: 5 };
  return { name, membership: signMembership(word, signingKey) };
}

/** A real collector behind the real server, and osaka, a relay that has joined with a token. */
describe('a relay over HTTPS', () => {
  let house: HttpCenter;
  let depot: Depot;
  let kit: CollectKit;
  let osaka: Joined;
  let relay: ClientId;
  let api: CenterConnection;
  let running: Promise<void>;
  const stop = new AbortController();
  before(async () => {
    house = await HttpCenter.start({}, { retry_ms_min: 1 });
    kit = await CollectKit.make();
    const { world, ledger, authority } = house;
    await Depot.create(world, `${world.directory}/store`);
    depot = await Depot.open(world, `${world.directory}/store`, 'write');
    const { face: center, receiptKey } = authority;
    const parts = { world, depot, ledger, center, receiptKey, above: null };
    const collector = await Collector.start(parts, { windows: 'any', zone: 'UTC', streams: 2 });
    running = collector.run(stop.signal);
    house.serving = (client) => collector.apiFor(client, null);
    osaka = await house.join('osaka', NODE);
    relay = osaka.identity.client;
    api = house.connect(osaka);
  });
  after(async () => {
    api.close();
    stop.abort();
    await running;
    await depot.close();
    await house.close();
  });

  const post = (path: string, body: Uint8Array): Promise<RawAnswer> =>
    rawAsk(house, osaka, rawRequest(house, 'POST', path, JSON_BODY, Buffer.from(body).toString()));
  const codeOf = ({ body }: RawAnswer): string => (JSON.parse(body) as { code: string }).code;

  it('tells of as many machines as its operator above allows: one more is 507 members-full, and none of that request counts', async () => {
    const { db } = house.ledger;
    await setMembersMax(db, relay, 3);
    const [one, two, three, four] = ['one', 'two', 'three', 'four'].map((name) => wordOf(kit.stranger(name)));
    await api.enroll([one!, two!]);
    await assert.rejects(api.enroll([three!, four!]), refused('members-full'));
    const answer = await post('/v1/members', encodeMessage(membersMessage, { members: [three!, four!] }));
    assert.deepEqual([answer.status, codeOf(answer)], [507, 'members-full']);
    assert.match(answer.body, /osaka may tell of 3 machines and has told of 2/);
    assert.equal(await membersTold(db, relay), 2);
    await api.enroll([three!]);
    await api.enroll([one!, two!, three!]);
    await setMembersMax(db, relay, 1);
    await api.enroll([one!, two!, three!]);
    await assert.rejects(api.enroll([four!]), refused('members-full'));
    await setMembersMax(db, relay, null);
    await api.enroll([four!]);
    assert.equal(await membersTold(db, relay), 4);
  });

  it('brings as many bytes as its quota: more is 507 quota-full before it is read, and comes once there is room', async () => {
    const { db } = house.ledger;
    const ann = kit.stranger('ann');
    await api.enroll([wordOf(ann)]);
    const first = await ann.snapshot({ data: ['a', 'b'] });
    const second = await ann.snapshot({ sequence: 2, base: first, data: ['a', 'b', 'c', 'd'] });
    const offer = (
      snapshot: typeof first,
    ): { manifest: Uint8Array; keyring: Uint8Array; wishes: Wishes } => ({
      manifest: snapshot.signed.bytes,
      keyring: ann.keyring.signed.bytes,
      wishes: ann.wishes(snapshot, { centers: [house.authority.face.id] }),
    });
    const hangUp = new AbortController();
    const orders = api.orders(hangUp.signal)[Symbol.asyncIterator]();
    const bring = async (snapshot: typeof first): Promise<OrderId> => {
      const { manifest, keyring, wishes } = offer(snapshot);
      await api.offer(manifest, keyring, wishes);
      for (;;) {
        const { done, value } = await orders.next();
        if (done === true) throw new Error('the orders ended');
        if (value.kind === 'send') return value.order;
      }
    };
    await setQuota(db, relay, first.bytes - 1);
    const body = encodeMessage(offerMessage(house.world.limits), offer(first));
    const tooMuch = await post('/v1/offers', body);
    assert.deepEqual([tooMuch.status, codeOf(tooMuch)], [507, 'quota-full']);
    assert.deepEqual(await listOffers(db), []);
    await setQuota(db, relay, first.bytes + second.bytes);
    const order = await bring(first);
    await Array.fromAsync(api.blocks(order, streamOf(first.blocks)));
    assert.equal((await api.commit(order)).kind, 'receipt');
    const next = await bring(second);
    await setQuota(db, relay, 1);
    const headers = {
      'Content-Type': 'application/vnd.lowtide.frames',
      'Transfer-Encoding': 'chunked',
      Expect: '100-continue',
    };
    const before = await depot.usage();
    const asked = rawRequest(house, 'POST', `/v1/orders/${next}/blocks`, headers, '');
    const answer = await rawAsk(house, osaka, asked);
    assert.deepEqual([answer.status, codeOf(answer)], [507, 'quota-full']);
    assert.doesNotMatch(answer.text, /100 Continue/, 'it is told before it sends anything');
    assert.deepEqual(await depot.usage(), before);
    await setQuota(db, relay, null);
    house.world.advance(HOUR_MS);
    const again = await bring(second);
    await Array.fromAsync(api.blocks(again, streamOf(second.blocks)));
    assert.equal((await api.commit(again)).kind, 'receipt', 'nothing was lost');
    hangUp.abort();
  });
});
