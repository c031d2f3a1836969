import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { realWorld, type TestWorld } from '../../test/support/real-world.ts';
import { revokeClient } from '../ledger/clients.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { ClientId } from '../model/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';
import { type Authority, createAuthority, newKey } from './authority.ts';
import { LIFETIME, parseCertificate, rawKeyHash, readClientCertificate } from './certificates.ts';
import { type ClientIdentity, createClientIdentity } from './client-identity.ts';
import { Enrollment } from './enrollment.ts';
import { acceptEnrollment, acceptRenewal, joinRequest, passNeedsRenewal, renewRequest } from './joining.ts';
import { proveJoin, proveRenew } from './proof.ts';
import { listTokens, removeToken } from './token-table.ts';
import { parseToken, secretHash } from './token.ts';

let world: TestWorld;
let ledger: Ledger;
let authority: Authority;
let center: Enrollment;
let machines = 0;

before(async () => {
  world = await realWorld();
  ledger = await Ledger.open(world, `${world.directory}/ledger`);
  authority = await createAuthority(world, `${world.directory}/identity`, { name: 'Tokyo' });
  center = new Enrollment(world, ledger, authority);
});
after(async () => {
  await ledger.close();
  await world.dispose();
});

const machine = (): Promise<ClientIdentity> =>
  createClientIdentity(world, `${world.directory}/machine${machines++}`);

const tokenFor = async (name: string, lifetimeMs = HOUR_MS) => {
  const wish = { addresses: [{ host: 'localhost', port: 8420 }], name, role: 'agent' as const, lifetimeMs };
  return parseToken((await center.makeToken(wish)).text);
};

test('a token, a join and a certificate for the key that asked', async () => {
  const ann = await machine();
  const token = await tokenFor('ann-laptop');
  const answer = await center.redeem(joinRequest(ann, token, 'host'));
  const joined = acceptEnrollment(ann, token, answer, authority.root.certificate, world.clock.now());
  assert.equal(joined.name, 'ann-laptop');
  assert.deepEqual(joined.face, authority.face);
  const pass = readClientCertificate(parseCertificate(joined.chain));
  assert.equal(pass.client, ann.client);
  assert.equal(await center.standing(ann.client, pass.keyHash), 'known');
  assert.equal(await center.standing(ann.client, 'ab'.repeat(32)), 'unknown');
  assert.equal(await center.standing('ab'.repeat(16) as ClientId, pass.keyHash), 'unknown');
  const enrolled = world.monitor.events.filter((event) => event.kind === 'enrolled');
  assert.deepEqual(enrolled, [{ kind: 'enrolled', client: ann.client, name: 'ann-laptop' }]);
});

test('a repeated request, for a lost answer, gets the same answer, and is not told twice', async () => {
  const bob = await machine();
  const token = await tokenFor('bob');
  const request = joinRequest(bob, token, 'host');
  const first = await center.redeem(request);
  world.advance(MINUTE_MS);
  const told = world.monitor.events.length;
  assert.deepEqual(await center.redeem(request), first);
  assert.equal(world.monitor.events.length, told);
  world.advance(HOUR_MS);
  await assert.rejects(center.redeem(request), { code: 'token-expired' });
});

test('two machines with one token: exactly one gets in (faults 24)', async () => {
  const token = await tokenFor('');
  const twins = [await machine(), await machine()];
  const answers = await Promise.allSettled(
    twins.map((twin, at) => center.redeem(joinRequest(twin, token, `twin-${at}`))),
  );
  assert.deepEqual(answers.map((answer) => answer.status).sort(), ['fulfilled', 'rejected']);
  const refused = answers.find((answer) => answer.status === 'rejected');
  assert.equal(refused?.reason.code, 'token-used');
});

test('expired, unknown, taken back, or of another center: each has its own code', async () => {
  const eve = await machine();
  const token = await tokenFor('eve');
  const request = joinRequest(eve, token, 'host');
  await assert.rejects(center.redeem({ ...request, center: 'ab'.repeat(16) as typeof request.center }), {
    code: 'token-other-center',
  });
  const guess = { ...token, secret: new Uint8Array(32) };
  await assert.rejects(center.redeem(joinRequest(eve, guess, 'host')), { code: 'token-bad' });
  await removeToken(ledger.db, secretHash(token.secret));
  await assert.rejects(center.redeem(request), { code: 'token-bad' });
  const short = await tokenFor('eve', MINUTE_MS);
  world.advance(MINUTE_MS);
  await assert.rejects(center.redeem(joinRequest(eve, short, 'host')), { code: 'token-expired' });
  await assert.rejects(tokenFor('eve', 2 * DAY_MS), { code: 'bad-request' });
});

test('a token that was used stays on record, and nowhere is its secret', async () => {
  const token = await tokenFor('ida');
  await center.redeem(joinRequest(await machine(), token, 'host'));
  await removeToken(ledger.db, secretHash(token.secret));
  const row = (await listTokens(ledger.db)).find(({ name }) => name === 'ida');
  assert.equal(row?.hash, secretHash(token.secret));
  const secret = Buffer.from(token.secret).toString('hex');
  assert.ok(!JSON.stringify(await listTokens(ledger.db)).includes(secret));
});

test('a request changed on its way, or for a client that the key does not name, is refused', async () => {
  const fay = await machine();
  const gus = await machine();
  const token = await tokenFor('fay');
  const request = joinRequest(fay, token, 'host');
  const planted = { ...request, tlsKey: gus.tls.publicKey };
  await assert.rejects(center.redeem(planted), { code: 'wrong-signature' });
  const other = proveJoin({ ...request, client: gus.client }, fay.instance);
  await assert.rejects(center.redeem(other), { code: 'forbidden' });
  await center.redeem(request);
});

test('a name that another client has is refused, and the token stays good (faults 25)', async () => {
  await center.redeem(joinRequest(await machine(), await tokenFor('hal'), 'host'));
  const second = await machine();
  await assert.rejects(center.redeem(joinRequest(second, await tokenFor('hal'), 'host')), {
    code: 'client-exists',
  });
  const open = await tokenFor('');
  await assert.rejects(center.redeem(joinRequest(second, open, 'hal')), { code: 'client-exists' });
  await assert.rejects(center.redeem(joinRequest(second, open, 'a\u001b[2Jb')), { code: 'bad-name' });
  await assert.rejects(center.redeem(joinRequest(second, open, 'x'.repeat(101))), { code: 'bad-name' });
  assert.equal((await center.redeem(joinRequest(second, open, 'hal-two'))).name, 'hal-two');
  await assert.rejects(tokenFor('<b>'), { code: 'bad-name' });
});

test('the same machine joins again with a new token; its old pass is worth nothing then', async () => {
  const kim = await machine();
  await center.redeem(joinRequest(kim, await tokenFor('kim'), 'host'));
  const renewed = { ...kim, tls: newKey(world) };
  await center.redeem(joinRequest(renewed, await tokenFor('kim-two'), 'host'));
  assert.equal(await center.standing(kim.client, rawKeyHash(kim.tls.publicKey)), 'unknown');
  assert.equal(await center.standing(kim.client, rawKeyHash(renewed.tls.publicKey)), 'known');
});

test('a revoked client is shut out, and neither token nor renewal lets it in again', async () => {
  const lea = await machine();
  const token = await tokenFor('lea');
  const request = joinRequest(lea, token, 'host');
  const answer = await center.redeem(request);
  const joined = acceptEnrollment(lea, token, answer, authority.root.certificate, world.clock.now());
  await revokeClient(ledger.db, lea.client, world.clock.now());
  assert.equal(await center.standing(lea.client, rawKeyHash(lea.tls.publicKey)), 'revoked');
  const code = { code: 'revoked' };
  await assert.rejects(center.redeem(request), code);
  await assert.rejects(center.redeem(joinRequest(lea, await tokenFor('lea'), 'host')), code);
  await assert.rejects(center.renew(renewRequest(lea, joined, world.clock.now())), code);
});

test('a certificate is renewed by proof of the instance key, even long after it has expired (faults G2)', async () => {
  const max = await machine();
  const token = await tokenFor('max');
  const answer = await center.redeem(joinRequest(max, token, 'host'));
  const joined = acceptEnrollment(max, token, answer, authority.root.certificate, world.clock.now());
  assert.equal(passNeedsRenewal(joined, world.clock.now()), false);
  world.advance(LIFETIME.client + 30 * DAY_MS);
  assert.equal(passNeedsRenewal(joined, world.clock.now()), true);
  const now = world.clock.now();
  const renewed = acceptRenewal(max, joined, await center.renew(renewRequest(max, joined, now)));
  const { notAfter } = readClientCertificate(parseCertificate(renewed.chain));
  assert.ok(notAfter > now + LIFETIME.client - DAY_MS);
  assert.equal(passNeedsRenewal(renewed, now), false);
  const stale = renewRequest(max, joined, now - 6 * MINUTE_MS);
  await assert.rejects(center.renew(stale), { code: 'clock-off' });
  const { proof, ...body } = renewRequest(max, joined, now);
  assert.equal(proof.length, 64);
  await assert.rejects(center.renew(proveRenew(body, newKey(world))), { code: 'wrong-signature' });
  const unknown = proveRenew({ ...body, client: 'ab'.repeat(16) as ClientId }, max.instance);
  await assert.rejects(center.renew(unknown), { code: 'not-enrolled' });
});

test('a client does not take what another center, or a lying one, answers', async () => {
  const ned = await machine();
  const token = await tokenFor('ned');
  const answer = await center.redeem(joinRequest(ned, token, 'host'));
  const now = world.clock.now();
  const ca = authority.root.certificate;
  const elsewhere = await createAuthority(world, `${world.directory}/elsewhere`, { name: 'Osaka' });
  assert.throws(() => acceptEnrollment(ned, token, { ...answer, center: elsewhere.face }, ca, now), {
    code: 'token-other-center',
  });
  assert.throws(() => acceptEnrollment(ned, token, answer, elsewhere.root.certificate, now), {
    code: 'wrong-center',
  });
  const other = await machine();
  assert.throws(() => acceptEnrollment(other, token, answer, ca, now), { code: 'wrong-key' });
  assert.throws(() => acceptEnrollment(ned, token, { ...answer, chain: ca }, ca, now), {
    code: 'not-enrolled',
  });
});
