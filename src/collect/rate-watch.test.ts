import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RateWatch } from './rate-watch.ts';

const MB = 1_000_000;
const SLACK = 24 * MB;

/** What comes at `rate` in steps of 0.1 s under `grant`, from `from` on; when it is too much, null if it never is. */
function sendAt(
  watch: RateWatch,
  rate: number,
  grant: (ms: number) => number | null,
  ms: number,
  from = 5000,
): number | null {
  for (let at = 0; at < ms; at += 100) {
    if (watch.came(rate / 10, grant(at), SLACK, from + at)) return at;
  }
  return null;
}

describe('S73: what comes is watched', () => {
  it('and who sends a hundred times the grant is stopped before ten seconds have passed', () => {
    const at = sendAt(new RateWatch(), 100 * MB, () => MB, 60_000);
    assert.ok(at !== null && at <= 400, `after ${at} ms`);
  });

  it('and who sends twice the grant is stopped, also while the grant changes all the time', () => {
    assert.ok(sendAt(new RateWatch(), 20 * MB, () => 10 * MB, 60_000) !== null);
    const changing = (ms: number): number => 10 * MB + (ms % 700);
    assert.ok(sendAt(new RateWatch(), 20 * MB, changing, 60_000) !== null);
  });

  it('and who sends twice the grant is stopped where the grant is small, too', () => {
    const at = sendAt(new RateWatch(), 2 * MB, () => MB, 600_000);
    assert.ok(at !== null && at <= 60_000, `after ${at} ms`);
  });

  it('and who keeps to the grant is left alone, whatever becomes of it', () => {
    assert.equal(
      sendAt(new RateWatch(), 10 * MB, () => 10 * MB, 600_000),
      null,
    );
    assert.equal(
      sendAt(new RateWatch(), 10 * MB, () => null, 600_000),
      null,
    );
    const watch = new RateWatch();
    const falling = (ms: number): number => (ms < 30_000 ? 200 * MB : 2 * MB);
    assert.equal(sendAt(watch, 200 * MB, falling, 31_000), null, 'what was under way may still come');
    assert.equal(
      sendAt(watch, 2 * MB, () => 2 * MB, 60_000, 36_000),
      null,
    );
    const late = new RateWatch();
    assert.equal(
      sendAt(late, 50 * MB, (ms) => (ms < 20_000 ? null : 50 * MB), 60_000),
      null,
    );
  });

  it('and who has been told of is told of once for it', () => {
    const watch = new RateWatch();
    const told = Array.from({ length: 60 }, (_, at) => watch.came(MB, MB, SLACK, 5000 + at)).filter(Boolean);
    assert.equal(told.length, 1);
  });
});
