/**
 * Compiles gear.ts to build/gear.wasm and notes from which source: `npm ci && npm run build` in this folder. The answer
 * is committed, so that nobody needs the compiler to run Lowtide.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, 'build');
const OPTIONS = ['--runtime', 'stub', '-O3', '--noAssert', '--initialMemory', '11', '--maximumMemory', '11'];

mkdirSync(out, { recursive: true });
const wasm = join(out, 'gear.wasm');
const asc = join(here, 'node_modules', 'assemblyscript', 'bin', 'asc.js');
execFileSync(process.execPath, [asc, 'gear.ts', '-o', wasm, ...OPTIONS], { cwd: here, stdio: 'inherit' });

const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
const { packages } = JSON.parse(readFileSync(join(here, 'package-lock.json'), 'utf8'));
const record = {
  source: sha256(join(here, 'gear.ts')),
  wasm: sha256(wasm),
  compiler: `assemblyscript ${packages['node_modules/assemblyscript'].version}`,
  options: OPTIONS.join(' '),
};
writeFileSync(join(out, 'gear.json'), `${JSON.stringify(record, null, 2)}\n`);
