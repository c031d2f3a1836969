import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { HashThread } from './hashing.ts';

const threads: HashThread[] = [];
after(() => Promise.all(threads.map((thread) => thread.close())));

function newThread(): HashThread {
  const thread = new HashThread();
  threads.push(thread);
  return thread;
}

/** One whose thread has come up: memory goes there. */
async function startedThread(): Promise<HashThread> {
  const thread = newThread();
  for (const end = performance.now() + 20_000; performance.now() < end; await setTimeout(5)) {
    const bytes = filled(16 * 2 ** 20, 1);
    await thread.hash([bytes]);
    if (bytes.length === 0) return thread;
  }
  throw new Error('the thread never came up');
}

/** Whether memory goes to a thread, asked with much less than what would begin one. */
async function hasThread(thread: HashThread, looks = 200): Promise<boolean> {
  for (let look = 0; look < looks; look++) {
    const bytes = filled(200_000, 1);
    await thread.hash([bytes]);
    if (bytes.length === 0) return true;
    await setTimeout(20);
  }
  return false;
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

test('every part has its digest, and its bytes come back, whether they went to the thread or not', async () => {
  const shared = filled(2 ** 20, 7);
  const parts = [filled(2 ** 20, 1), filled(10, 2), shared.subarray(32), filled(200_000, 3), filled(0, 0)];
  const digests = parts.map(digestOf);
  const copies = parts.map((part) => new Uint8Array(part));
  const hashed = await (await startedThread()).hash(parts);
  assert.deepEqual(
    hashed.map(({ digest }) => Buffer.from(digest).toString('hex')),
    digests,
  );
  assert.deepEqual(
    hashed.map(({ bytes }) => new Uint8Array(bytes)),
    copies,
  );
  assert.equal(shared.length, 0, 'memory went to the thread, not a copy of it');
});

test('nobody waits until the thread has come up', async () => {
  const bytes = filled(2 ** 20, 5);
  const digest = digestOf(bytes);
  const [hashed] = await newThread().hash([bytes]);
  assert.equal(Buffer.from(hashed!.digest).toString('hex'), digest);
  assert.equal(hashed!.bytes, bytes);
});

test('a thread that was prepared for much comes up without having been asked, and none for little', async () => {
  const [much, little] = [newThread(), newThread()];
  much.prepare(64 * 2 ** 20);
  little.prepare(2 ** 20);
  assert.equal(await hasThread(much), true);
  assert.equal(await hasThread(little, 1), false);
});

test('two parts of one buffer go there together', async () => {
  const both = filled(2 ** 20, 9);
  const halves = [both.subarray(0, 2 ** 19), both.subarray(2 ** 19)];
  const [one, other] = await (await startedThread()).hash(halves);
  assert.equal(one!.bytes.buffer, other!.bytes.buffer);
  assert.deepEqual(Buffer.from(one!.digest), Buffer.from(other!.digest));
});

test('many at once all answer, each its own', async () => {
  const thread = await startedThread();
  const all = Array.from({ length: 30 }, (_, at) => filled(150_000, at));
  const digests = all.map(digestOf);
  const answers = await Promise.all(all.map((bytes) => thread.hash([bytes])));
  assert.deepEqual(
    answers.map(([hashed]) => Buffer.from(hashed!.digest).toString('hex')),
    digests,
  );
});

test('what a stopped thread was asked is refused, and so is what it is asked later', async () => {
  const thread = await startedThread();
  const asked = thread.hash([filled(2 ** 20, 1)]);
  const refused = assert.rejects(asked, { code: 'interrupted' });
  await thread.close();
  await refused;
  await assert.rejects(thread.hash([filled(2 ** 20, 1)]), { code: 'interrupted' });
});

test('who imports it in a thread of its own gets no listener there: that thread ends by itself', async () => {
  const url = new URL('hashing.ts', import.meta.url).href;
  const worker = new Worker(`import(${JSON.stringify(url)})`, { eval: true });
  const [code] = (await once(worker, 'exit')) as [number];
  assert.equal(code, 0);
});
