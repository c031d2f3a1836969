import assert from 'node:assert/strict';
import { chmod, stat, writeFile } from 'node:fs/promises';
import * as net from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { z } from 'zod';
import { realWorld, type TestWorld } from '../../test/support/real-world.ts';
import { LowtideError } from '../model/errors.ts';
import { connectLocal, type LocalClient } from './local-client.ts';
import { type LocalServer, serveLocal } from './local-server.ts';
import { many, one } from './local-verbs.ts';

let world: TestWorld;
let server: LocalServer;
let path: string;
let client: LocalClient<typeof verbs>;
let stopped = 0;

const untilAborted = (stop: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (stop.aborted) resolve();
    stop.addEventListener('abort', () => resolve(), { once: true });
  });

const verbs = {
  add: one(z.strictObject({ a: z.number(), b: z.number() }), async ({ a, b }) => a + b),
  nothing: one(z.strictObject({}), async () => undefined),
  refuse: one(z.strictObject({}), async () => {
    throw new LowtideError('no-such-job', 'there is no job x');
  }),
  break: one(z.strictObject({}), async () => {
    throw new RangeError('out of range');
  }),
  wait: one(z.strictObject({}), async (_args, stop) => {
    await untilAborted(stop);
    stopped++;
    return 'stopped';
  }),
  count: many(z.strictObject({ to: z.number().int() }), async function* ({ to }, stop) {
    try {
      for (let at = 1; at <= to && !stop.aborted; at++) {
        yield { at, padding: 'x'.repeat(1000) };
        if (at % 100 === 0) await sleep(1);
      }
      return { counted: to };
    } finally {
      stopped++;
    }
  }),
};

before(async () => {
  world = await realWorld();
  path = `${world.directory}/agent.sock`;
  server = await serveLocal(world, path, verbs);
  client = (await connectLocal<typeof verbs>(path))!;
});
after(async () => {
  await server.close();
  await world.dispose();
});

test('questions get answers, errors keep their codes, and what crashes is told to the monitor', async () => {
  assert.equal(await client.ask('add', { a: 1, b: 2 }), 3);
  assert.equal(await client.ask('nothing', {}), null);
  await assert.rejects(client.ask('refuse', {}), { code: 'no-such-job', message: 'there is no job x' });
  await assert.rejects(client.ask('break', {}), { code: 'crashed', message: 'out of range' });
  assert.match(JSON.stringify(world.monitor.events), /a local request failed: out of range/);
});

test('arguments that do not fit, and verbs that do not exist, are refused', async () => {
  await assert.rejects(client.ask('add', { a: 1 } as never), { code: 'bad-request', message: /field b/ });
  await assert.rejects(client.ask('add', { a: 1, b: 2, c: 3 } as never), { code: 'bad-request' });
  await assert.rejects(client.ask('toString' as never, {} as never), { code: 'bad-request' });
});

test('items come as they are made, then the result', async () => {
  const seen: number[] = [];
  const items = client.watch('count', { to: 300 });
  for (;;) {
    const next = await items.next();
    if (next.done === true) {
      assert.deepEqual(next.value, { counted: 300 });
      break;
    }
    seen.push(next.value.at);
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 300 }, (_, at) => at + 1),
  );
});

test('who asks and goes away stops the work', async () => {
  stopped = 0;
  for await (const { at } of client.watch('count', { to: 1e9 })) if (at === 5) break;
  await until(() => stopped === 1);
  const stop = new AbortController();
  const asking = client.ask('wait', {}, stop.signal);
  setTimeout(() => stop.abort(), 20);
  await assert.rejects(asking, { code: 'interrupted' });
  await until(() => stopped === 2);
});

test('the socket is for its owner only', async () => {
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test('a second server is refused while the first answers; a stale socket is replaced; a file is left alone', async () => {
  await assert.rejects(serveLocal(world, path, verbs), { code: 'locked' });
  const stale = `${world.directory}/stale.sock`;
  await leaveStaleSocket(stale);
  assert.equal(await connectLocal(stale), null);
  const second = await serveLocal(world, stale, verbs);
  assert.equal(await (await connectLocal<typeof verbs>(stale))!.ask('add', { a: 2, b: 2 }), 4);
  await second.close();
  assert.equal(await connectLocal(stale), null);
  const file = `${world.directory}/file`;
  await writeFile(file, 'precious');
  await assert.rejects(serveLocal(world, file, verbs), { code: 'forbidden' });
  await assert.rejects(serveLocal(world, `${world.directory}/${'x'.repeat(120)}`, verbs), {
    code: 'bad-path',
  });
  assert.equal(await connectLocal(`${world.directory}/none`), null);
});

test('closing tells what is under way to stop, and lets it answer', async () => {
  const place = `${world.directory}/closing.sock`;
  const closing = await serveLocal(world, place, verbs);
  const other = (await connectLocal<typeof verbs>(place))!;
  const waiting = other.ask('wait', {});
  await sleep(30);
  await closing.close();
  assert.equal(await waiting, 'stopped');
  await assert.rejects(other.ask('add', { a: 1, b: 1 }), { code: 'crashed' });
});

test('any bytes on the socket: one error line or nothing, and the node serves on', async () => {
  const line = fc.oneof(
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    fc.json({ maxDepth: 3 }).map((text) => Buffer.from(text)),
    fc.json({ maxDepth: 1 }).map((text) => Buffer.from(`{"verb":"add","args":${text}}`)),
  );
  await fc.assert(
    fc.asyncProperty(line, async (bytes) => {
      const answer = await raw(Buffer.concat([bytes, Buffer.from('\n')]));
      if (answer !== '') assert.match(answer, /^\{"error":\{"code":"bad-request","message":"[^\n]*"\}\}\n$/);
    }),
    { numRuns: 100 },
  );
  assert.match(await raw(Buffer.alloc(3 << 20, 'x')), /"too-large"/);
  assert.equal(await client.ask('add', { a: 1, b: 2 }), 3);
});

async function raw(bytes: Buffer): Promise<string> {
  const socket = net.connect(path);
  socket.on('error', () => {});
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => void (text += chunk));
  socket.write(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

/** What a process leaves that is killed: a name without anybody behind it. */
async function leaveStaleSocket(place: string): Promise<void> {
  const { spawnSync } = await import('node:child_process');
  const code = `require('node:net').createServer().listen(${JSON.stringify(place)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', code]);
  await chmod(place, 0o600);
}

async function until(happens: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400 && !happens(); tries++) await sleep(5);
  assert.ok(happens(), 'it never happened');
}

test('a node that says nothing is looked for: one that works is waited for, one that was stopped is not-answering', async () => {
  const times = { silent_ms: 100, answer_ms: 900 };
  let silent = 0;
  const patient = (await connectLocal<typeof verbs>(path, () => silent++, times))!;
  const stop = new AbortController();
  const working = patient.ask('wait', {}, stop.signal);
  const place = `${world.directory}/stopped.sock`;
  const takesAndSaysNothing = net.createServer(() => {}).listen(place);
  const hanging = (await connectLocal<typeof verbs>(place, () => silent++, times))!;
  await assert.rejects(hanging.ask('add', { a: 1, b: 2 }), {
    code: 'not-answering',
    message: /stopped\.sock for 1 s: it was stopped, or hangs/,
  });
  assert.equal(silent, 2, 'both are told of once');
  stop.abort();
  await assert.rejects(working, { code: 'interrupted' });
  takesAndSaysNothing.close();
});

test('one that has no more files for a connection is not taken for one that ended', async () => {
  const place = `${world.directory}/full.sock`;
  const full = net.createServer((socket) => socket.destroy()).listen(place);
  const asker = (await connectLocal<typeof verbs>(place))!;
  await assert.rejects(asker.ask('add', { a: 1, b: 2 }), { code: 'too-many', message: /as many open files/ });
  full.close();
});
