import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { silentMonitor } from '../../test/support/monitor.ts';
import { nativeLoader } from './system/native.ts';
import { realWorld } from './real-world.ts';

const residentPages = (): number => Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1]);

const { trimMemory } = nativeLoader()();
const skip = trimMemory === null && 'this C library has no malloc_trim';

test('memory that lies free between what is in use goes back to the system', { skip }, async () => {
  const PIECE = 64 * 1024;
  const pieces = Array.from({ length: 1024 }, () => Buffer.allocUnsafeSlow(PIECE).fill(1));
  // Every eighth stays: what is free between them is no end of anything.
  for (const [at, { buffer }] of pieces.entries()) if (at % 8 > 0) buffer.transfer(0);
  const before = residentPages();
  await trimMemory!();
  const given = before - residentPages();
  assert.ok(given > (pieces.length * PIECE) / 4096 / 2, `${given} pages`);
  assert.equal(
    pieces.filter(({ length }) => length > 0).every((piece) => piece[PIECE - 1] === 1),
    true,
  );
});

test('giving memory back ends when it is stopped', async () => {
  const world = realWorld({ monitor: silentMonitor, lanes: 1 });
  const stop = new AbortController();
  const giving = world.giveMemoryBack(stop.signal);
  stop.abort();
  await giving;
  await world.close();
});
