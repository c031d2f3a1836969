import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as tls from 'node:tls';
import { HttpCenter } from '../../test/support/http-center.ts';
import { type RawAnswer, rawAsk, rawConnect, rawRead, rawRequest } from '../../test/support/raw-tls.ts';
import { errorRegistry } from '../model/errors.ts';
import type { OrderId, SnapshotId } from '../model/ids.ts';
import { errorFrame } from '../protocol/frames.ts';
import type { Joined } from './join.ts';
import { routes } from './router.ts';

let house: HttpCenter;
let ann: Joined;
let bob: Joined;
const order = '0f'.repeat(16) as OrderId;
const snapshot = 'ab'.repeat(32) as SnapshotId;

before(async () => {
  house = await HttpCenter.start(
    {
      headers_ms: 300,
      body_ms: 300,
      idle_ms: 300,
      linger_ms: 200,
      recheck_ms: 100,
      bytes_per_second_min: 5_000_000,
    },
    { ids_per_message: 100 },
  );
  ann = await house.join('ann');
  bob = await house.join('bob');
  house.center.shelf(ann.identity.client).order = order;
  house.center.shelf(ann.identity.client).snapshots.add(snapshot);
});
after(() => house.close());

const JSON_BODY = { 'Content-Type': 'application/json' };
const ask = (who: Joined | null, method: string, path: string, headers = {}, body = ''): Promise<RawAnswer> =>
  rawAsk(house, who, rawRequest(house, method, path, headers, body));
const post = (path: string, body: string, headers: Record<string, string> = JSON_BODY): Promise<RawAnswer> =>
  ask(ann, 'POST', path, headers, body);
const codeOf = ({ body }: RawAnswer): string => (JSON.parse(body) as { code: string }).code;
const filled = (path: string): string =>
  path.replace('orders/:id', `orders/${order}`).replace(':id', snapshot);

async function stillServes(): Promise<void> {
  assert.equal((await ask(null, 'GET', '/v1/health')).status, 200);
  assert.equal((await post('/v1/copies', '{}')).status, 200);
}

test('every route but three is closed to who shows no certificate, whatever it is asked (faults 1)', async () => {
  const open = routes.filter((route) => route.open).map((route) => route.path);
  assert.deepEqual(open, ['/v1/health', '/v1/join', '/v1/renew']);
  for (const route of routes) {
    if (route.open) continue;
    const answer = await ask(null, route.method, filled(route.path));
    assert.equal(answer.status, 401, route.path);
    assert.equal(codeOf(answer), 'not-enrolled');
  }
  for (const path of ['/v1', '/v1/nothing', '/v1/orders/x/y', '/metrics']) {
    assert.equal((await ask(null, 'GET', path)).status, 401, path);
  }
  const health = await ask(null, 'GET', '/v1/health');
  assert.equal(health.body, '{"status":"ok"}');
  assert.doesNotMatch(health.headers, /server|powered|version/i);
  assert.match(health.headers, /^cache-control: no-store/m);
});

test("another client's orders and snapshots do not exist (faults 2)", async () => {
  const ids = { 'Content-Type': 'application/vnd.lowtide.ids' };
  const other = await ask(bob, 'POST', `/v1/snapshots/${snapshot}/blocks`, ids, 'x'.repeat(32));
  const none = await ask(bob, 'POST', `/v1/snapshots/${'00'.repeat(32)}/blocks`, ids, 'x'.repeat(32));
  assert.equal(other.status, 404);
  assert.equal(other.body, none.body);
  assert.equal((await ask(bob, 'POST', `/v1/orders/${order}/missing`, ids, 'x'.repeat(32))).status, 409);
});

test('nothing can be deleted, put or patched; only the method that a path takes is allowed (faults 3)', async () => {
  for (const method of ['DELETE', 'PUT', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE']) {
    const answer = await ask(ann, method, `/v1/snapshots/${snapshot}/blocks`);
    assert.equal(answer.status, 405, method);
    assert.match(answer.headers, /^allow: POST$/m);
  }
  assert.equal((await ask(ann, 'GET', '/v1/nothing')).status, 404);
});

test('a body that is cut off, or longer than it says, leaves nothing behind (faults 6)', async () => {
  const { offers } = house.center.shelf(ann.identity.client);
  const offer = JSON.stringify({ manifest: 'AQ', keyring: 'AQ', wishes: {} });
  const socket = await rawConnect(house, ann);
  socket.end(rawRequest(house, 'POST', '/v1/offers', { ...JSON_BODY, 'Content-Length': '5000' }, offer));
  assert.ok([0, 400].includes((await rawRead(socket, 1000)).status));
  const long = rawRequest(
    house,
    'POST',
    '/v1/copies',
    { ...JSON_BODY, 'Content-Length': '2' },
    '{}trailing garbage\r\n\r\n',
  );
  assert.ok([200, 400].includes((await rawAsk(house, ann, long)).status));
  assert.equal(offers.length, 0);
  await stillServes();
});

test('a length that is too much is refused before the body is read, an endless body when it is (faults 7)', async () => {
  const huge = await post('/v1/hello', '', { ...JSON_BODY, 'Content-Length': '10995116277760' });
  assert.equal(huge.status, 413);
  assert.equal(codeOf(huge), 'too-large');
  const socket = await rawConnect(house, ann);
  socket.write(rawRequest(house, 'POST', '/v1/hello', { ...JSON_BODY, 'Transfer-Encoding': 'chunked' }));
  const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`;
  const reading = rawRead(socket, 2000);
  for (let sent = 0; sent < 10 && !socket.destroyed; sent++) socket.write(chunk);
  assert.equal((await reading).status, 413);
  await stillServes();
});

test('broken framing never becomes a request (faults 8-14)', async () => {
  const host = `Host: ${house.authority.face.id}\r\n`;
  const start = `POST /v1/copies HTTP/1.1\r\n${host}Content-Type: application/json\r\n`;
  const cases: Record<string, [string, number]> = {
    'TE and CL': [`${start}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n`, 400],
    'two different CL': [`${start}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}`, 400],
    'negative CL': [`${start}Content-Length: -1\r\n\r\n`, 400],
    'bare LF': [start.replaceAll('\r\n', '\n') + 'Content-Length: 2\n\n{}', 400],
    'folded header': [`${start}X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}`, 400],
    'NUL in a header': [`${start}X-A: b\0c\r\nContent-Length: 2\r\n\r\n{}`, 400],
    '17 KiB of header': [`${start}X-A: ${'b'.repeat(17_000)}\r\nContent-Length: 2\r\n\r\n{}`, 431],
    'no Host': ['POST /v1/copies HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}', 400],
    'HTTP/1.0': [`GET /v1/health HTTP/1.0\r\n${host}\r\n`, 400],
    'HTTP/9.9': [`GET /v1/health HTTP/9.9\r\n${host}\r\n`, 400],
    'a TLS hello inside TLS': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    'an unknown method': [`BREW /v1/health HTTP/1.1\r\n${host}\r\n`, 400],
    'a bad chunk size': [`${start}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`, 400],
    'a GET with a body': [`GET /v1/health HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\n{}`, 400],
  };
  for (const [name, [bytes, status]] of Object.entries(cases)) {
    assert.equal((await rawAsk(house, ann, Buffer.from(bytes, 'latin1'))).status, status, name);
  }
  await stillServes();
});

test('what never became a request says nothing about what was asked: whoever asked tries again (R8)', async () => {
  const garbled = await rawAsk(house, ann, 'BREW\0 /v1/offers HTTP/1.1\r\n\r\n');
  assert.deepEqual([garbled.status, codeOf(garbled)], [400, 'center-unreachable']);
  const socket = await rawConnect(house, ann);
  socket.end(rawRequest(house, 'POST', '/v1/copies', { ...JSON_BODY, 'Content-Length': '50' }, '{}'));
  const cut = await rawRead(socket, 1000);
  assert.ok(cut.status === 0 || codeOf(cut) === 'center-unreachable', cut.text);
  assert.equal(errorRegistry['center-unreachable'].retry, true);
});

test('a handshake that takes too long ends without an answer, which would be taken for one to the first request', async (t) => {
  const hasty = await HttpCenter.start({ connect_ms: 100 });
  t.after(() => hasty.close());
  const line = net.connect(hasty.server.port, '127.0.0.1');
  const written: Buffer[] = [];
  const holdsBack = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk);
      if (written.length === 1) line.write(chunk);
      done();
    },
  });
  line.on('data', (chunk) => holdsBack.push(chunk)).on('close', () => holdsBack.push(null));
  line.on('error', () => {});
  const socket = tls.connect({ socket: holdsBack, ca: hasty.authority.root.certificate, host: '127.0.0.1' });
  socket.on('error', () => {});
  const answer = await rawRead(socket, 500);
  assert.ok(written.length > 1, 'the client took the handshake for done');
  assert.equal(answer.text, '');
});

test('a center ends although somebody never ends his handshake', async () => {
  const patient = await HttpCenter.start({ connect_ms: 60_000, close_ms: 50 });
  const line = net.connect(patient.server.port, '127.0.0.1').on('error', () => {});
  await once(line, 'connect');
  await patient.close();
  line.destroy();
});

test('one Host, and one of ours; no absolute form (faults 15)', async () => {
  const health = (lines: string, target = '/v1/health'): Promise<RawAnswer> =>
    rawAsk(house, null, `GET ${target} HTTP/1.1\r\n${lines}\r\n`);
  const own = `Host: ${house.authority.face.id}\r\n`;
  assert.equal((await health(own)).status, 200);
  assert.equal((await health('Host: LOCALHOST:8420\r\n')).status, 200);
  assert.equal((await health(`${own}${own}`)).status, 400);
  assert.equal((await health(own, 'http://169.254.169.254/v1/health')).status, 400);
  assert.equal((await health(own, '*')).status, 400);
  for (const host of ['evil.example', '[::1]', 'localhost:x', '', 'a@localhost', 'localhost.']) {
    const answer = await health(`Host: ${host}\r\n`);
    assert.ok([400, 421].includes(answer.status), `${host}: ${answer.status}`);
  }
});

test('an expectation is met only when the body is wanted (faults 16)', async () => {
  const expect = { ...JSON_BODY, Expect: '100-continue' };
  const tooMuch = await post('/v1/copies', '', { ...expect, 'Content-Length': '99999999' });
  assert.equal(tooMuch.status, 413);
  assert.doesNotMatch(tooMuch.text, / 100 Continue/);
  const fine = await post('/v1/copies', '{}', expect);
  assert.match(fine.text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/);
  const stranger = await ask(null, 'POST', '/v1/copies', { ...expect, 'Content-Length': '2' });
  assert.doesNotMatch(stranger.text, / 100 Continue/);
  assert.equal(stranger.status, 401);
  assert.equal((await post('/v1/copies', '{}', { ...JSON_BODY, Expect: 'foo' })).status, 417);
});

test('slow headers, slow bodies and slow streams are cut off; they hold nobody up (faults 17)', async () => {
  const slowly = async (text: string, then: string): Promise<RawAnswer> => {
    const socket = await rawConnect(house, ann);
    socket.write(text);
    const drip = setInterval(() => socket.write(then), 50);
    const answer = await rawRead(socket, 5000);
    clearInterval(drip);
    return answer;
  };
  const frames = { 'Content-Type': 'application/vnd.lowtide.frames', 'Transfer-Encoding': 'chunked' };
  const [headers, body, stream] = await Promise.all([
    slowly('GET /v1/health HTTP/1.1\r\nX-A: ', 'b'),
    slowly(rawRequest(house, 'POST', '/v1/copies', { ...JSON_BODY, 'Content-Length': '1000' }), ' '),
    slowly(
      rawRequest(house, 'POST', `/v1/orders/${order}/blocks`, frames) + '4\r\n\x00\x00\x10\x00\r\n',
      '1\r\nx\r\n',
    ),
    stillServes(),
  ]);
  assert.equal(headers.status, 408);
  assert.equal(body.status, 408);
  assert.equal(stream.status, 408);
  for (const answer of [headers, body, stream]) assert.equal(codeOf(answer), 'center-unreachable');
  assert.equal(house.center.shelf(ann.identity.client).open, 0);
});

test('who does not read its blocks loses its connection, and the center stops reading them from its store (faults 17)', async () => {
  const shelf = house.center.shelf(ann.identity.client);
  for (let at = 0; at < 64; at++)
    shelf.blocks.set(at.toString(16).padStart(64, '0') as never, Buffer.alloc(1 << 20));
  const ids = Buffer.concat([...shelf.blocks.keys()].map((id) => Buffer.from(id, 'hex'))).toString('latin1');
  const socket = await rawConnect(house, ann);
  socket.pause();
  const type = { 'Content-Type': 'application/vnd.lowtide.ids' };
  socket.write(rawRequest(house, 'POST', `/v1/snapshots/${snapshot}/blocks`, type, ids), 'latin1');
  const before = process.memoryUsage().arrayBuffers;
  await until(() => shelf.open === 1);
  await sleep(200);
  assert.ok(process.memoryUsage().arrayBuffers - before < 16 << 20);
  await until(() => shelf.open === 0);
  socket.destroy();
  shelf.blocks.clear();
});

test('one address cannot take all connections (faults 18)', async () => {
  const small = await HttpCenter.start({ connections_per_address: 5 });
  const open = await Promise.all(Array.from({ length: 5 }, () => rawConnect(small, null)));
  const sixth = await rawConnect(small, null);
  await until(() => sixth.destroyed);
  open[0]!.write(rawRequest(small, 'GET', '/v1/health'));
  assert.equal((await rawRead(open[0]!, 1000)).status, 200);
  await sleep(20);
  assert.equal((await rawAsk(small, null, rawRequest(small, 'GET', '/v1/health'))).status, 200);
  for (const socket of open) socket.destroy();
  await small.close();
});

test('only canonical paths and ids are looked at (faults 22, 23)', async () => {
  const paths = [
    '/v1/copies/',
    '//v1/copies',
    '/v1//copies',
    '/v1/./copies',
    '/v1/../v1/copies',
    '/v1/%63opies',
    '/V1/copies',
  ];
  paths.push(
    '/v1/copies;x=1',
    '/v1/copies?x=1',
    '/v1/copies#x',
    '/v1\\copies',
    '/v1/copies%00',
    '/v1/\u00e9',
    `/v1/${'a'.repeat(300)}`,
  );
  for (const path of paths) assert.equal((await post(path, '{}')).status, 400, path);
  for (const id of [
    '../x',
    '%2e%2e%2f',
    'ab'.repeat(31),
    'ab'.repeat(32) + 'a',
    'AB'.repeat(32),
    'zz'.repeat(32),
    'a'.repeat(10_000),
  ]) {
    const answer = await ask(ann, 'POST', `/v1/snapshots/${id}/withdraw`, JSON_BODY, '{"record":"AQ"}');
    assert.ok([400, 404].includes(answer.status), `${id}: ${answer.status}`);
    assert.notEqual(codeOf(answer), 'no-such-snapshot');
  }
});

test('hostile JSON is a 400, or a 413 (faults 27)', async () => {
  const bodies = [
    '['.repeat(8000) + ']'.repeat(8000),
    '{"after":"a","after":"b"}',
    '{"__proto__":{"a":1}}',
    '{"constructor":1}',
    '{"after":1e999}',
    '{"after":"\\ud800"}',
    '\xef\xbb\xbf{}',
    '\xff',
    '',
    'null',
    '[]',
    '{"after":null}',
    '{"unknown":1}',
    '{"client":"AB"}',
    '{} {}',
  ];
  for (const body of bodies)
    assert.equal((await post('/v1/copies', body, JSON_BODY)).status, 400, body.slice(0, 40));
  assert.equal((await post('/v1/hello', `["${'a'.repeat(20_000)}"]`)).status, 413);
  assert.equal(({} as { a?: number }).a, undefined);
});

test('hostile frames: too long, cut, unordered (faults 28)', async () => {
  const type = { 'Content-Type': 'application/vnd.lowtide.frames' };
  const send = (hex: string): Promise<RawAnswer> =>
    post(`/v1/orders/${order}/blocks`, Buffer.from(hex, 'hex').toString('latin1'), type);
  assert.equal((await send('7fffffff')).status, 413);
  assert.equal((await send('00000001aa')).status, 400);
  assert.equal((await send('0000')).status, 400);
  assert.equal((await send('')).status, 400);
  assert.equal((await send(`00000021${'00'.repeat(32)}aa00000000`)).status, 422);
  assert.equal((await send('80000002aaaa')).status, 400);
  assert.equal((await send(Buffer.from(errorFrame('disk-failed', 'x')).toString('hex'))).status, 400);
  const ids = { 'Content-Type': 'application/vnd.lowtide.ids' };
  assert.equal((await post(`/v1/orders/${order}/missing`, 'x'.repeat(33), ids)).status, 400);
  assert.equal((await post(`/v1/orders/${order}/missing`, 'x'.repeat(32 * 101), ids)).status, 413);
});

test('bodies of another type or encoding are a 415 (faults 29)', async () => {
  for (const type of [
    'text/plain',
    'application/json; charset=utf-16',
    'application/x-www-form-urlencoded',
    'APPLICATION/JSON',
  ]) {
    assert.equal((await post('/v1/copies', '{}', { 'Content-Type': type })).status, 415, type);
  }
  assert.equal((await post('/v1/copies', '{}', {})).status, 415);
  for (const encoding of ['gzip', 'identity', 'zstd']) {
    assert.equal(
      (await post('/v1/copies', '{}', { ...JSON_BODY, 'Content-Encoding': encoding })).status,
      415,
    );
  }
});

async function until(happens: () => boolean, ms = 3000): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(5)) if (happens()) return;
  assert.fail('it never happened');
}
