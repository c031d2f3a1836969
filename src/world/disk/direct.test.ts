import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { alignedMemory, DirectWriting, Stages } from './direct.ts';
import { nativeLoader } from '../system/native.ts';

const PAGE = 4096;
const native = nativeLoader();

let directory = '';
before(async () => (directory = await mkdtemp(join(tmpdir(), 'lowtide-direct-'))));
after(() => rm(directory, { recursive: true }));

test('what is at the same place of a page in memory and in the file is not copied, but what shares a page with other bytes', async (context) => {
  const path = `${directory}/file`;
  await writeFile(path, '');
  const stages = new Stages();
  const stage = await stages.take(native());
  stage.fill(0);
  stages.giveBack(stage);
  const writing = await DirectWriting.open(path, stages, native);
  if (writing === null) return context.skip('no such writes here');
  const memory = alignedMemory(native(), 100 * PAGE).fill('lies');
  const head = Buffer.alloc(32, 'head');
  const pieces = [head, memory.subarray(32, 3 * PAGE + 5), memory.subarray(3 * PAGE + 5, 99 * PAGE + 7)];
  assert.equal(await writing.write(pieces, 0), 99 * PAGE);
  await writing.close();
  const written = await readFile(path);
  assert.ok(written.equals(Buffer.concat(pieces).subarray(0, 99 * PAGE)));
  assert.equal(Buffer.compare(stage.subarray(0, PAGE), written.subarray(0, PAGE)), 0);
  assert.ok(stage.subarray(PAGE).every((byte) => byte === 0));
});
