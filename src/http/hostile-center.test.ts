import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import * as net from 'node:net';
import { after, afterEach, before, test, type TestContext } from 'node:test';
import * as tls from 'node:tls';
import { HttpCenter } from '../../test/support/http-center.ts';
import { privateKeyPem } from '../identity/certificates.ts';
import { serverCredentials } from '../identity/authority.ts';
import { clientCredentials } from '../identity/client-identity.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { BlockId, OrderId, SnapshotId } from '../model/ids.ts';
import { blockFrame, END_FRAME } from '../protocol/frames.ts';
import { DAY_MS } from '../model/time.ts';
import { type CenterConnection, connectCenter } from './center-client.ts';
import { joinCenter, type Joined, pinOf } from './join.ts';

let house: HttpCenter;
let ann: Joined;
const closers: (() => void)[] = [];
const order = '0f'.repeat(16) as OrderId;
const snapshot = 'ab'.repeat(32) as SnapshotId;
const id = 'cd'.repeat(32) as BlockId;
const never = new AbortController().signal;

before(async () => {
  house = await HttpCenter.start();
  ann = await house.join('ann');
});
after(() => house.close());
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Impostor {
  readonly port: number;
  /** Decrypted bytes that clients have sent. */
  heard: string;
  connections: number;
}

/** A TLS server with a center's certificate, or whatever `options` say, that answers each request head with `say`. */
async function impostor(
  say: (socket: tls.TLSSocket) => void,
  options: tls.TlsOptions = {},
): Promise<Impostor> {
  const { key, chain, ca } = serverCredentials(house.world, house.authority, ['127.0.0.1']);
  const server = tls.createServer({
    key,
    cert: chain,
    ca,
    requestCert: true,
    rejectUnauthorized: false,
    ...options,
  });
  const seen: Impostor = { port: 0, heard: '', connections: 0 };
  const sockets = new Set<tls.TLSSocket>();
  server.on('connection', () => void seen.connections++);
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const before = seen.heard.includes('\r\n\r\n');
      seen.heard += bytes.toString('latin1');
      if (!before && seen.heard.includes('\r\n\r\n')) say(socket);
    });
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return Object.assign(seen, { port: (server.address() as net.AddressInfo).port });
}

function connectTo(port: number): CenterConnection {
  const pin = { ...pinOf(ann.center), addresses: [{ host: '127.0.0.1', port }] };
  const credentials = clientCredentials(ann.identity, ann.center);
  const http = { idle_ms: 300, connect_ms: 500, commit_ms: 300, answer_bytes_max: 1 << 20 };
  const limits = { ...house.world.limits, heartbeat_ms: 100 };
  const api = connectCenter({ pin, ca: ann.center.ca, credentials, limits, http });
  closers.push(() => api.close());
  return api;
}

async function says(answer: string | Uint8Array, options: tls.TlsOptions = {}): Promise<CenterConnection> {
  const { port } = await impostor((socket) => socket.write(answer), options);
  return connectTo(port);
}

const head = (headers: string, status = '200 OK'): string => `HTTP/1.1 ${status}\r\n${headers}\r\n\r\n`;
const json = (body: string): string =>
  head(`Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}`) + body;
const FRAMES = 'Content-Type: application/vnd.lowtide.frames\r\nTransfer-Encoding: chunked';
const LINES = 'Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked';
const chunk = (bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
const page = { rows: [], next: null };

test('an honest answer is taken, with fields of a newer center in it', async () => {
  const api = await says(json(JSON.stringify({ ...page, mood: 'good' })));
  assert.deepEqual(await api.copies({}), page);
});

test('a redirect is not followed, wherever it points (faults 46)', async () => {
  for (const target of ['http://127.0.0.1/', 'https://169.254.169.254/', '/v1/hello']) {
    const seen = await impostor((socket) =>
      socket.write(head(`Location: ${target}\r\nContent-Length: 0`, '302 Found')),
    );
    await assert.rejects(connectTo(seen.port).copies({}), { code: 'bad-answer', message: /status 302/ });
    assert.equal(seen.connections, 1);
  }
});

test('answers that are none give bad-answer (faults 45)', async () => {
  const answers: Record<string, string> = {
    'not JSON': json('{'),
    'other fields': json('{"rows":1}'),
    'deep JSON': json('['.repeat(5000)),
    'a row too many': json(JSON.stringify({ ...page, rows: Array.from({ length: 10_001 }, () => 0) })),
    'another type': head('Content-Type: text/html\r\nContent-Length: 2') + '{}',
    gzip: head('Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2') + '{}',
    'an error that is none':
      head('Content-Type: application/json\r\nContent-Length: 2', '409 Conflict') + '{}',
    'a 204': head('Content-Type: application/json', '204 No Content'),
  };
  for (const [name, answer] of Object.entries(answers)) {
    await assert.rejects((await says(answer)).copies({}), { code: 'bad-answer' }, name);
  }
});

test('bodies, headers, lines and frames without end are cut off, with little memory (faults 45)', async () => {
  const before = process.memoryUsage().arrayBuffers;
  const flood = (first: string, more: Buffer) => async (): Promise<CenterConnection> => {
    const { port } = await impostor((socket) => {
      socket.write(first);
      const pour = (): void => {
        while (!socket.destroyed && socket.write(more));
      };
      socket.on('drain', pour);
      pour();
    });
    return connectTo(port);
  };
  const filling = Buffer.alloc(64 * 1024, 'x');
  const body = await flood(head('Content-Type: application/json\r\nContent-Length: 5000000000'), filling)();
  await assert.rejects(body.copies({}), { code: 'bad-answer', message: /more than 1048576 bytes/ });
  const headers = await flood('HTTP/1.1 200 OK\r\nX-A: ', filling)();
  await assert.rejects(headers.copies({}), { code: 'center-unreachable' });
  const line = await flood(head(LINES), chunk(filling))();
  await assert.rejects(Array.fromAsync(line.orders(never)), { code: 'bad-answer' });
  const error = await flood(head('Content-Length: 5000000000', '503 Trouble'), filling)();
  await assert.rejects(error.copies({}), { code: 'bad-answer' });
  const frame = await says(Buffer.concat([Buffer.from(head(FRAMES)), chunk(Buffer.from('7fffffff', 'hex'))]));
  await assert.rejects(Array.fromAsync(frame.fetch(snapshot, [id], never)), { code: 'bad-answer' });
  assert.ok(process.memoryUsage().arrayBuffers - before < 32 << 20);
});

test('blocks that were not asked for, or come twice, are not taken', async () => {
  const block = { id, bytes: new Uint8Array([1, 2, 3]) };
  const stream = Buffer.concat([...blockFrame(block), ...blockFrame(block), END_FRAME]);
  const api = await says(Buffer.concat([Buffer.from(head(FRAMES)), chunk(stream)]));
  const taken: unknown[] = [];
  const fetching = (async () => {
    for await (const each of api.fetch(snapshot, [id], never)) taken.push(each.id);
  })();
  await assert.rejects(fetching, { code: 'bad-answer' });
  assert.deepEqual(taken, [id]);
  const ids = head('Content-Type: application/vnd.lowtide.ids\r\nContent-Length: 32') + 'x'.repeat(32);
  await assert.rejects((await says(ids)).missing(order, [id]), { code: 'bad-answer' });
});

test('a stream that is cut, a center that falls silent or talks nonsense: center-unreachable', async () => {
  const cut = await impostor((socket) =>
    socket.end(Buffer.concat([Buffer.from(head(FRAMES)), chunk(Buffer.alloc(2))])),
  );
  await assert.rejects(Array.fromAsync(connectTo(cut.port).fetch(snapshot, [id], never)), {
    code: 'center-unreachable',
  });
  const gone = await impostor((socket) => socket.end(head(LINES) + '0\r\n\r\n'));
  await assert.rejects(Array.fromAsync(connectTo(gone.port).orders(never)), { code: 'center-unreachable' });
  const silent = await impostor(() => {});
  const calls: ((api: CenterConnection) => Promise<unknown>)[] = [
    (api) => api.copies({}),
    (api) => api.commit(order),
    (api) => Array.fromAsync(api.orders(never)),
    (api) => Array.fromAsync(api.fetch(snapshot, [id], never)),
    (api) => Array.fromAsync(api.blocks(order, some())),
  ];
  await Promise.all(
    calls.map((call) =>
      assert.rejects(call(connectTo(silent.port)), { code: 'center-unreachable' }, String(call)),
    ),
  );
  const nonsense = await says('220 mail.example.org ESMTP\r\n');
  await assert.rejects(nonsense.copies({}), { code: 'center-unreachable' });
});

/** Takes connections and never says anything. */
async function muteServer(t: TestContext) {
  const mute = net
    .createServer((socket) => void socket.on('error', () => {}).resume())
    .listen(0, '127.0.0.1');
  t.after(() => mute.close());
  await once(mute, 'listening');
  const address = { host: '127.0.0.1', port: (mute.address() as net.AddressInfo).port };
  return { mute, addresses: [address, address] };
}

test('who is interrupted while joining waits for no address that is silent', async (t) => {
  const { mute, addresses } = await muteServer(t);
  const token = { ...(await house.token('kim')), addresses };
  const stop = new AbortController();
  const http = { connect_ms: 60_000 };
  const joining = joinCenter(house.world, `${house.world.directory}/kim`, token, {
    host: 'kim',
    stop: stop.signal,
    http,
  });
  const refused = assert.rejects(joining, { code: 'interrupted' });
  await once(mute, 'connection');
  stop.abort(new LowtideError('interrupted', 'interrupted'));
  await refused;
});

test('who closes waits for no address that is silent, and asks no further one', async (t) => {
  const { mute, addresses } = await muteServer(t);
  const center = { ...ann.center, addresses };
  const credentials = clientCredentials(ann.identity, center);
  const { limits } = house.world;
  const http = { connect_ms: 60_000, idle_ms: 60_000 };
  const api = connectCenter({ pin: pinOf(center), ca: center.ca, credentials, limits, http });
  let connections = 0;
  mute.on('connection', () => connections++);
  const asked = assert.rejects(api.copies({}), { code: 'center-unreachable' });
  const [socket] = (await once(mute, 'connection')) as [net.Socket];
  api.close();
  await Promise.all([once(socket, 'close'), asked]);
  assert.equal(connections, 1);
});

test('what a center says went wrong is told in one plain line, with a code that exists', async () => {
  const refuse = (body: string): Promise<CenterConnection> =>
    says(
      head(`Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}`, '409 Conflict') +
        body,
    );
  const known = await refuse('{"code":"order-ended","message":"a\\u001b[31m\\nb"}');
  await assert.rejects(known.copies({}), { code: 'order-ended', message: 'a?[31m?b' });
  const unknown = await refuse('{"code":"constructor","message":"x"}');
  await assert.rejects(unknown.copies({}), { code: 'bad-answer', message: 'x' });
});

test('a commit that misses blocks is 409 with a list, which is bounded; any other 409 is what it says (R22)', async () => {
  const refused = async (body: object): Promise<unknown> => {
    const text = JSON.stringify(body);
    const headers = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}`;
    return (await says(head(headers, '409 Conflict') + text)).commit(order);
  };
  const lacking = { code: 'blocks-missing', message: 'send them' };
  assert.deepEqual(await refused({ ...lacking, missing: [id] }), { kind: 'missing', missing: [id] });
  await assert.rejects(refused(lacking), { code: 'bad-answer' });
  await assert.rejects(refused({ ...lacking, missing: ['x'] }), { code: 'bad-answer' });
  const endless = Array.from({ length: house.world.limits.ids_per_message + 1 }, () => id);
  await assert.rejects(refused({ ...lacking, missing: endless }), { code: 'bad-answer' });
  await assert.rejects(refused({ code: 'order-ended', message: 'late', missing: [id] }), {
    code: 'order-ended',
  });
  const claimed = await says(json(JSON.stringify({ kind: 'missing', missing: [id] })));
  await assert.rejects(claimed.commit(order), { code: 'bad-answer' });
});

test('who does not prove to be the center hears nothing, not even that somebody joins', async () => {
  const other = await HttpCenter.start();
  const stranger = serverCredentials(other.world, other.authority, ['127.0.0.1']);
  const key = privateKeyPem(ann.identity.tls);
  const liars: Record<string, tls.TlsOptions> = {
    'another center': { key: stranger.key, cert: stranger.chain },
    'another center that shows our root too': { key: stranger.key, cert: stranger.chain + ann.center.ca },
    'a client of ours': { key, cert: ann.center.chain + ann.center.ca },
  };
  for (const [name, options] of Object.entries(liars)) {
    const seen = await impostor(() => {}, options);
    await assert.rejects(connectTo(seen.port).copies({}), { code: 'wrong-center' }, name);
    const token = { ...(await house.token('bob')), addresses: [{ host: '127.0.0.1', port: seen.port }] };
    const directory = `${house.world.directory}/${name}`;
    await assert.rejects(
      joinCenter(house.world, directory, token, { host: 'bob' }),
      { code: 'wrong-center' },
      name,
    );
    assert.equal(seen.heard, '', name);
    assert.ok(seen.connections >= 2, name);
  }
  await other.close();
});

test('a machine whose joining failed before anything was said has no identity yet', async () => {
  const directory = `${house.world.directory}/nobody`;
  const token = { ...(await house.token('bob')), addresses: [{ host: '127.0.0.1', port: 1 }] };
  await assert.rejects(joinCenter(house.world, directory, token, { host: 'bob' }), {
    code: 'center-unreachable',
  });
  await assert.rejects(readdir(directory));
});

test('a center whose certificate is not valid at our time: clock-off', async () => {
  house.world.advance(-30 * DAY_MS);
  const { key, chain } = serverCredentials(house.world, house.authority, ['127.0.0.1']);
  house.world.advance(30 * DAY_MS);
  house.world.advance(400 * DAY_MS);
  const late = serverCredentials(house.world, house.authority, ['127.0.0.1']);
  house.world.advance(-400 * DAY_MS);
  const early = await impostor(() => {}, { key: late.key, cert: late.chain });
  await assert.rejects(connectTo(early.port).copies({}), { code: 'clock-off' });
  const fine = await impostor((socket) => socket.write(json(JSON.stringify(page))), { key, cert: chain });
  assert.deepEqual(await connectTo(fine.port).copies({}), page);
});

test('no TLS there, or only an old one: center-unreachable, within the time for connecting', async () => {
  const plain = net.createServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n').on('error', () => {}));
  const mute = net.createServer(() => {});
  for (const server of [plain, mute]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => server.close());
    const { port } = server.address() as net.AddressInfo;
    await assert.rejects(connectTo(port).copies({}), { code: 'center-unreachable' });
  }
  const old = await impostor(() => {}, { maxVersion: 'TLSv1.2' });
  await assert.rejects(connectTo(old.port).copies({}), (error) => {
    assert.ok(isLowtideError(error, 'center-unreachable'));
    assert.match(error.message, /no TLS 1\.3 connection/);
    return true;
  });
  assert.equal(old.heard, '');
});

test('the next address is tried when one does not answer; the right one is found', async () => {
  const pin = pinOf(ann.center);
  const addresses = [
    { host: '127.0.0.1', port: 1 },
    { host: 'does-not-exist.invalid', port: 1 },
    ...pin.addresses,
  ];
  const credentials = clientCredentials(ann.identity, ann.center);
  const options = { ca: ann.center.ca, credentials, limits: house.world.limits };
  const api = connectCenter({ pin: { ...pin, addresses }, ...options });
  assert.deepEqual(await api.copies({}), page);
  api.close();
  assert.throws(() => connectCenter({ pin: { ...pin, caHash: '00'.repeat(32) }, ...options }), {
    code: 'wrong-center',
  });
});

async function* some(): AsyncGenerator<{ id: BlockId; bytes: Uint8Array }> {
  for (let at = 0; at < 5; at++) yield { id, bytes: new Uint8Array(100_000) };
}
