import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SealedBlock } from '../format/block.ts';
import type { BlockId } from '../model/ids.ts';
import { Pace, type PaceClock, PacedBlocks } from './pace.ts';

/** Time passes while somebody sleeps, and only then. */
class TestClock implements PaceClock {
  now = 0;
  monotonic = (): number => this.now;
  sleep = async (ms: number, stop?: AbortSignal): Promise<void> => {
    if (stop?.aborted !== true) this.now += ms;
  };
}

const never = new AbortController().signal;

async function sendFor(pace: Pace, clock: TestClock, ms: number, piece: number): Promise<number> {
  const end = clock.now + ms;
  let bytes = 0;
  while (clock.now < end) {
    await pace.take(piece, never);
    if (clock.now < end) bytes += piece;
  }
  return bytes;
}

describe('S72: the rate that was granted', () => {
  it('is kept within 5 % over every ten seconds, whatever it is', async () => {
    for (const rate of [10_000, 200_000, 3_000_000, 500_000_000]) {
      const clock = new TestClock();
      const pace = new Pace(clock, rate);
      for (let window = 0; window < 5; window++) {
        const bytes = await sendFor(pace, clock, 10_000, pace.pieceBytes);
        assert.ok(Math.abs(bytes / (rate * 10) - 1) < 0.05, `${bytes} of ${rate * 10}`);
      }
    }
  });

  it('is exceeded in no ten seconds, after a pause neither', async () => {
    for (const rate of [200_000, 3_000_000, 500_000_000]) {
      const clock = new TestClock();
      const pace = new Pace(clock, rate);
      clock.now = 60_000;
      const bytes = await sendFor(pace, clock, 10_000, pace.pieceBytes);
      assert.ok(bytes <= rate * 10, `${bytes} of ${rate * 10}`);
    }
  });

  it('may change at any time, and counts within a fifth of a second', async () => {
    const clock = new TestClock();
    const pace = new Pace(clock, 1_000);
    await pace.take(10_000, never);
    pace.setRate(1_000_000);
    const before = clock.now;
    await pace.take(1000, never);
    assert.ok(clock.now - before <= 200);
    pace.setRate(0);
    const stop = new AbortController();
    const slept = clock.now;
    clock.sleep = async (ms) => {
      clock.now += ms;
      if (clock.now - slept > 60_000) stop.abort();
    };
    await pace.take(1, stop.signal);
    assert.ok(clock.now - slept > 60_000, 'nothing may go at a rate of 0');
  });

  it('null lets everything go at once', async () => {
    const clock = new TestClock();
    const pace = new Pace(clock, null);
    for (let count = 0; count < 1000; count++) await pace.take(1 << 20, never);
    assert.equal(clock.now, 0);
  });

  it('is not saved up while nothing is sent', async () => {
    const clock = new TestClock();
    const pace = new Pace(clock, 1000);
    clock.now = 3_600_000;
    const bytes = await sendFor(pace, clock, 10_000, 10);
    assert.ok(bytes < 10_500, `${bytes}`);
  });

  it('paces whole blocks by itself, and leaves it to a transport that asks for pieces', async () => {
    const blocks = async function* (): AsyncGenerator<SealedBlock> {
      for (let count = 0; count < 3; count++) yield { id: '00' as BlockId, bytes: new Uint8Array(10_000) };
    };
    const clock = new TestClock();
    const whole = new PacedBlocks(blocks(), new Pace(clock, 1000), never);
    for await (const block of whole) assert.equal(block.bytes.length, 10_000);
    assert.ok(clock.now >= 20_000);
    const byPieces = new PacedBlocks(blocks(), new Pace(clock, 1000), never);
    byPieces.pace.inPieces();
    const before = clock.now;
    for await (const block of byPieces) assert.equal(block.bytes.length, 10_000);
    assert.equal(clock.now, before);
  });
});
