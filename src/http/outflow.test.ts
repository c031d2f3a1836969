import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Outflow } from './outflow.ts';

const patience = {
  idle_ms: 5000,
  bytes_per_second_min: 0,
  late: () => new Error('late'),
  broken: () => new Error('broken'),
};

/** A peer that takes a piece when the test says so. */
class Peer {
  readonly stream: Writable;
  readonly #taking: (() => void)[] = [];

  constructor() {
    this.stream = new Writable({
      highWaterMark: 1,
      write: (_chunk, _encoding, taken) => void this.#taking.push(taken),
    });
    this.stream.on('error', () => {});
  }

  async take(): Promise<void> {
    this.#taking.shift()!();
    await setImmediate();
  }
}

async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await setImmediate();
  return settled;
}

test('so much may be ahead of the peer, and no more', async () => {
  const peer = new Peer();
  const outflow = new Outflow(peer.stream, patience);
  const piece = Buffer.alloc(1000);
  await outflow.send([piece], 2000);
  await outflow.send([piece], 2000);
  const third = outflow.send([piece], 2000);
  assert.equal(await isSettled(third), false);
  await peer.take();
  await third;
  const patient = outflow.send([piece], 0);
  for (let left = 3; left > 0; left--) {
    assert.equal(await isSettled(patient), false, `${left} pieces are not taken`);
    await peer.take();
  }
  await patient;
});

test('who sent is told when its pieces are not looked at any more, and never of a stream that broke', async () => {
  const peer = new Peer();
  const outflow = new Outflow(peer.stream, patience);
  const told: string[] = [];
  const send = (name: string): Promise<void> =>
    outflow.send([Buffer.alloc(10), Buffer.alloc(10)], 1000, () => void told.push(name));
  await send('one');
  await send('two');
  await peer.take();
  assert.deepEqual(told, []);
  await peer.take();
  assert.deepEqual(told, ['one']);
  peer.stream.destroy(new Error('cut'));
  await setImmediate();
  assert.deepEqual(told, ['one']);
  await assert.rejects(send('three'), /broken/);
});

test('a peer that goes away ends the waiting', async () => {
  const peer = new Peer();
  const sending = new Outflow(peer.stream, patience).send([Buffer.alloc(10)], 0);
  peer.stream.destroy();
  await assert.rejects(sending, /broken/);
});

test('a peer that takes nothing for too long is late', async () => {
  const peer = new Peer();
  const outflow = new Outflow(peer.stream, { ...patience, idle_ms: 20 });
  await assert.rejects(outflow.send([Buffer.alloc(10)], 0), /late/);
});
