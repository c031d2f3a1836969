import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { it } from 'node:test';
import { fails, lowtide, scratch, smallTree } from './kit.ts';

it('the demo shows the whole way of a backup, ends with 0 and leaves nothing behind', async (t) => {
  const folder = await scratch(t);
  const files = await smallTree(folder);
  const temporary = await scratch(t);
  const ran = await lowtide(['demo', files, '--once'], { env: { TMPDIR: temporary } });
  assert.equal(ran.exit, 0, ran.stdout + ran.stderr);
  assert.match(ran.stdout, /the job is NOT PROTECTED: only the spool has it/);
  assert.equal(ran.stdout.match(/: 0 differences$/gm)?.length, 2);
  assert.match(ran.stdout, /signed receipt of \d+ blocks/);
  assert.match(ran.stdout, /taken .*, arrived .* from 127\.0\.0\.1/);
  assert.match(
    ran.stdout,
    /^restored from the center +9 entries equal; .* from spool, .* from center haven +\d/m,
  );
  assert.deepEqual(await readdir(temporary), []);
  const processes = await Promise.all((await readdir('/proc')).map(commandLine));
  assert.deepEqual(
    processes.filter((line) => line.includes(temporary)),
    [],
  );
});

it('a demo of what is no folder fails before it starts anything', async (t) => {
  const temporary = await scratch(t);
  await fails('source-missing', /is not a folder/, ['demo', '/nonexistent', '--once'], {
    env: { TMPDIR: temporary },
  });
  assert.deepEqual(await readdir(temporary), []);
});

async function commandLine(pid: string): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}
