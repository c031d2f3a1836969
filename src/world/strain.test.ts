import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { realStrain } from './strain.ts';

it('load is told for each processor, disk pressure as a part of the last ten seconds', async () => {
  const proc = await mkdtemp(join(tmpdir(), 'lowtide-proc-'));
  try {
    await mkdir(join(proc, 'pressure'));
    await writeFile(join(proc, 'loadavg'), '3.50 1.20 0.80 2/345 6789\n');
    const full = 'full avg10=9.00 avg60=0.00 avg300=0.00 total=1';
    await writeFile(join(proc, 'pressure/io'), `some avg10=42.50 avg60=1.00 avg300=0.00 total=12\n${full}\n`);
    const strain = realStrain(proc);
    assert.equal(await strain.load(), 3.5 / availableParallelism());
    assert.equal(await strain.disk(), 0.425);
  } finally {
    await rm(proc, { recursive: true });
  }
});

it('a system that tells nothing is no error', async () => {
  const strain = realStrain('/nowhere');
  assert.deepEqual([await strain.load(), await strain.disk()], [null, null]);
});
