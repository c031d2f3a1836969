import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { addTask, dieTask, echoTask, holdTask } from '../../../test/conformance/tasks.ts';
import { isLowtideError } from '../../model/errors.ts';
import { newClaim } from './claims.ts';
import { realWork } from './work.ts';
import type { Answer, Question } from './work-thread.ts';

test('a thread that dies loses its tasks only, and another takes its place', async () => {
  const work = realWork(1);
  const dying = work.run(dieTask, null);
  const behind = work.run(addTask, { a: 1, b: 1 });
  const waiting = work.run(addTask, { a: 2, b: 2 });
  await assert.rejects(dying, (error) => isLowtideError(error, 'crashed'));
  await behind.catch((error: unknown) => assert.ok(isLowtideError(error, 'crashed')));
  assert.equal(await waiting, 4);
  assert.equal(await work.run(addTask, { a: 3, b: 3 }), 6);
  await work.close();
});

test('close rejects what is under way and what comes after', async () => {
  const work = realWork(1);
  const all = Array.from({ length: 5 }, () => work.run(echoTask, 1));
  const settled = Promise.allSettled(all);
  await work.close();
  for (const one of await settled) {
    if (one.status === 'rejected') assert.ok(isLowtideError(one.reason, 'interrupted'), String(one.reason));
  }
  await assert.rejects(work.run(echoTask, 1), (error) => isLowtideError(error, 'interrupted'));
});

test('a task that its module does not export is an error that names both', async () => {
  const work = realWork(1);
  await assert.rejects(work.run({ ...addTask, name: 'subtract' }, { a: 1, b: 1 }), /tasks\.ts.*subtract/);
  await assert.rejects(work.run({ ...addTask, module: 'file:///no/such.ts' }, { a: 1, b: 1 }), /such\.ts/);
  await work.close();
});

test('a thread that is of another version than the process, after an update, does nothing and says why', async () => {
  const worker = new Worker(new URL('work-thread.ts', import.meta.url), { workerData: '0.0.1' });
  const { module, name } = addTask;
  const answer = new Promise<Answer>((resolve) => worker.once('message', resolve));
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  worker.postMessage({ id: 1, module, name, input: { a: 1, b: 1 }, claim: newClaim() } satisfies Question);
  const found = await answer;
  await worker.terminate();
  assert.ok('error' in found && found.error.code === 'wrong-state');
  assert.match(String(found.error.error), /updated to .* while 0\.0\.1 was running: restart that/);
});

const newGate = (): Int32Array => new Int32Array(new SharedArrayBuffer(8));

function openGate(gate: Int32Array): void {
  Atomics.store(gate, 1, 1);
  Atomics.notify(gate, 1);
}

test('a task that is given up before its turn is never begun, and its thread works on', async () => {
  const work = realWork(1);
  const [first, second] = [newGate(), newGate()];
  const stop = new AbortController();
  const holding = work.run(holdTask, first);
  const givenUp = work.run(holdTask, second, [], stop.signal);
  const behind = work.run(addTask, { a: 1, b: 1 });
  stop.abort();
  await assert.rejects(givenUp, (error) => isLowtideError(error, 'interrupted'));
  openGate(first);
  await holding;
  assert.equal(await behind, 2);
  assert.equal(Atomics.load(second, 0), 0);
  await work.close();
});

test('a task that is given up while it hangs costs its thread, and what waited for that goes to another', async () => {
  const work = realWork(1);
  const gate = newGate();
  const stop = new AbortController();
  const hanging = work.run(holdTask, gate, [], stop.signal);
  const behind = work.run(addTask, { a: 1, b: 1 });
  while (Atomics.load(gate, 0) === 0) await new Promise(setImmediate);
  stop.abort();
  await assert.rejects(hanging, (error) => isLowtideError(error, 'interrupted'));
  assert.equal(await behind, 2);
  assert.equal(await work.run(addTask, { a: 2, b: 2 }), 4);
  openGate(gate);
  await work.close();
});

test('a thread with nothing to do takes what waits for one that is busy', async () => {
  const work = realWork(2);
  const [long, short] = [newGate(), newGate()];
  const holding = [work.run(holdTask, long), work.run(holdTask, short)];
  const behind = [work.run(addTask, { a: 1, b: 1 }), work.run(addTask, { a: 2, b: 2 })];
  openGate(short);
  assert.deepEqual(await Promise.all(behind), [2, 4], 'while one thread is still held');
  openGate(long);
  await Promise.all(holding);
  await work.close();
});

test('idle threads do not keep a process alive', async () => {
  const script = `
    const { realWork } = await import(process.argv[1]);
    const { addTask } = await import(process.argv[2]);
    console.log(await realWork(2).run(addTask, { a: 2, b: 3 }));
  `;
  const modules = ['./work.ts', '../../../test/conformance/tasks.ts'].map(
    (path) => new URL(path, import.meta.url).href,
  );
  const options = ['--input-type=module', '-e', script, ...modules];
  const { stdout } = await promisify(execFile)(process.execPath, options, { timeout: 20_000 });
  assert.equal(stdout.trim(), '5');
});
