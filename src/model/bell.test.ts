import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Bell } from './bell.ts';
import { aborted } from './stopping.ts';

const NEVER = new AbortController().signal;

/** Everything that is ready to happen has happened. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a bell', () => {
  it('wakes who waits', async () => {
    const bell = new Bell();
    const waiting = bell.wait(NEVER);
    await settled();
    bell.ring();
    assert.equal(await waiting, true);
  });

  it('keeps a ring for who comes later, and only one', async () => {
    const bell = new Bell();
    bell.ring();
    bell.ring();
    assert.equal(await bell.wait(NEVER), true);
    const stop = new AbortController();
    const waiting = bell.wait(stop.signal);
    stop.abort();
    assert.equal(await waiting, false);
  });

  it('keeps a ring that came for somebody who had given up', async () => {
    const bell = new Bell();
    const stop = new AbortController();
    stop.abort();
    assert.equal(await bell.wait(stop.signal), false);
    bell.ring();
    assert.equal(await bell.wait(NEVER), true);
  });

  it('is heard by who waits at once after the one before has given up', async () => {
    const bell = new Bell();
    const stop = new AbortController();
    const before = bell.wait(stop.signal);
    stop.abort();
    const after = bell.wait(NEVER);
    await settled();
    bell.ring();
    assert.equal(await Promise.race([after, settled().then(() => 'deaf')]), true);
    await before;
  });

  it('keeps a ring that comes between giving up and the end of the wait', async () => {
    const bell = new Bell();
    const stop = new AbortController();
    const before = bell.wait(stop.signal);
    stop.abort();
    bell.ring();
    assert.equal(await before, false);
    assert.equal(await bell.wait(NEVER), true);
  });

  it('leaves nothing behind on a signal that outlives many waits', async () => {
    const bell = new Bell();
    const stop = new AbortController();
    let listeners = 0;
    const add = stop.signal.addEventListener.bind(stop.signal);
    const remove = stop.signal.removeEventListener.bind(stop.signal);
    stop.signal.addEventListener = (...values: Parameters<typeof add>) => {
      listeners++;
      add(...values);
    };
    stop.signal.removeEventListener = (...values: Parameters<typeof remove>) => {
      listeners--;
      remove(...values);
    };
    for (let count = 0; count < 50; count++) {
      const waiting = bell.wait(stop.signal);
      bell.ring();
      await waiting;
    }
    assert.equal(listeners, 0);
  });

  it('is waited for no longer than a sleep takes, and a ring that comes later is kept', async () => {
    const bell = new Bell();
    const time = Promise.withResolvers<void>();
    let ended = false;
    const waiting = bell.waitWithin(async (until) => {
      until.addEventListener('abort', () => void (ended = true));
      await time.promise;
    }, NEVER);
    time.resolve();
    assert.equal(await waiting, false);
    assert.ok(ended, 'nothing is left waiting');
    bell.ring();
    assert.equal(await bell.waitWithin(() => new Promise(() => {}), NEVER), true);
  });

  it('is waited for no longer than until it is to stop', async () => {
    const stop = new AbortController();
    const asleep = (until: AbortSignal): Promise<void> => aborted(until);
    const waiting = new Bell().waitWithin(asleep, stop.signal);
    stop.abort();
    assert.equal(await waiting, false);
    assert.equal(await new Bell().waitWithin(asleep, stop.signal), false);
  });
});
