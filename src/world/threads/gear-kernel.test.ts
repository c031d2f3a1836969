import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compiledGear, plainGear } from './gear-kernel.ts';
import { loadKernels } from './kernels.ts';

const kernels = new URL('../../../kernels/', import.meta.url).pathname;
const built = join(kernels, 'build');
const compiled = compiledGear(readFileSync(join(built, 'gear.wasm')));
const TILE_BYTES = 131_072;

function table(seed: number): Uint32Array {
  const words = Array.from({ length: 256 }, (_, at) =>
    createHash('sha256').update(`${seed} ${at}`).digest().readUInt32LE(),
  );
  return Uint32Array.from(words);
}

test('the compiled kernel finds what its twin finds, wherever a piece starts and ends', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 3000 }),
      fc.nat({ max: 3000 }),
      fc.integer({ min: 20, max: 31 }),
      fc.nat({ max: 4 }),
      (bytes, start, looseShift, more) => {
        const from = Math.min(start, bytes.length);
        const shifts = { looseShift, strictShift: looseShift - more };
        const gear = table(looseShift);
        assert.deepEqual(compiled.find(bytes, from, gear, shifts), plainGear.find(bytes, from, gear, shifts));
      },
    ),
  );
});

test('... and over the borders of its tiles, in shared memory', () => {
  const bytes = new Uint8Array(new SharedArrayBuffer(3 * TILE_BYTES + 77));
  for (let at = 0; at < bytes.length; at++) bytes[at] = (Math.imul(at, 2_654_435_761) ^ (at >> 7)) >>> 13;
  const shifts = { looseShift: 24, strictShift: 20 };
  for (const from of [0, 1, 31, TILE_BYTES - 1, TILE_BYTES, 2 * TILE_BYTES + 5, bytes.length]) {
    const found = compiled.find(bytes, from, table(1), shifts);
    assert.deepEqual(found, plainGear.find(bytes, from, table(1), shifts));
    assert.ok(found.length > 0 || from === bytes.length);
  }
});

test('a candidate at every byte has its place', () => {
  const bytes = new Uint8Array(TILE_BYTES + 9);
  const everywhere = new Uint32Array(256);
  const found = compiled.find(bytes, 0, everywhere, { looseShift: 16, strictShift: 12 });
  assert.equal(found.length, bytes.length);
  assert.equal(found.at(-1), 2 * bytes.length + 1);
});

test('what is committed was compiled from the source beside it, and is what threads load', () => {
  const record = JSON.parse(readFileSync(join(built, 'gear.json'), 'utf8')) as Record<string, string>;
  const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
  assert.equal(record['source'], sha256(join(kernels, 'gear.ts')), 'run `npm run build` in kernels/');
  assert.equal(record['wasm'], sha256(join(built, 'gear.wasm')));
  assert.equal(loadKernels().gear.name, 'compiled');
});

const compiler = join(kernels, 'node_modules', 'assemblyscript');
test(
  'where the compiler is installed, it gives the same bytes again',
  { skip: !existsSync(compiler) && 'npm ci in kernels/ installs it' },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'lowtide-kernels-'));
    try {
      execFileSync(process.execPath, [join(kernels, 'build.mjs'), folder]);
      for (const name of ['gear.wasm', 'gear.json']) {
        assert.deepEqual(readFileSync(join(folder, name)), readFileSync(join(built, name)), name);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
