import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { ok, scratch, smallTree } from './kit.ts';

/** Writes what was loaded into the file that LOADED names, by the main thread only. */
const NOTING = `
import { writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { isMainThread } from 'node:worker_threads';
const urls = [];
const load = (url, context, next) => (urls.push(url), next(url, context));
if (isMainThread) registerHooks({ load });
if (isMainThread) process.on('exit', () => writeFileSync(process.env.LOADED, urls.join('\\n')));
`;

it('a backup into a depot loads no query builder, no schemas, no progress bar and nothing of networks', async (t) => {
  const folder = await scratch(t);
  const files = await smallTree(folder);
  const depot = ['--depot', join(folder, 'depot')];
  await ok(['init', join(folder, 'depot')]);
  const loaded = join(folder, 'loaded');
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(NOTING)}`;
  await ok(['backup', files, ...depot], { env: { NODE_OPTIONS, LOADED: loaded } });
  const urls = (await readFile(loaded, 'utf8')).split('\n');
  assert.ok(urls.some((url) => url.endsWith('/src/backup/take-backup.ts')));
  const heavy = /node_modules\/(kysely|zod|cli-progress|fastify|yaml)\/|node:(http|https|tls|readline)$/;
  assert.deepEqual(
    urls.filter((url) => heavy.test(url)),
    [],
  );
  // 208 when this was written: whoever makes it many more makes every backup begin later.
  assert.ok(urls.length < 215, `${urls.length} files`);
  // The derivation of the key begins with this one, and takes longer than loading all the rest.
  const first = urls.findIndex((url) => url.endsWith('/src/world/real-world.ts'));
  assert.ok(urls.findIndex((url) => url.endsWith('/src/format/passphrase-key.ts')) < first);
  assert.ok(first < 85, `${first} files before the key is derived`);
});
