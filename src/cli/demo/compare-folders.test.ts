import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { compareFolders } from './compare-folders.ts';

const OLD = new Date('2020-01-01T00:00:00Z');
let root: string;
before(async () => {
  root = await fs.mkdtemp(join(tmpdir(), 'lowtide-compare-'));
});
after(() => fs.rm(root, { recursive: true }));

async function tree(name: string): Promise<string> {
  const folder = join(root, name);
  await fs.mkdir(join(folder, 'sub'), { recursive: true });
  await fs.writeFile(join(folder, 'a'), 'same');
  await fs.writeFile(join(folder, 'sub', 'b'), 'b'.repeat(3_000_000));
  await fs.link(join(folder, 'a'), join(folder, 'linked'));
  await fs.symlink('a', join(folder, 'link'));
  for (const path of ['a', 'sub/b', 'sub', '.']) await fs.utimes(join(folder, path), OLD, OLD);
  await fs.lutimes(join(folder, 'link'), OLD, OLD);
  return folder;
}

const compare = (a: string, b: string, since = Date.now() + 60_000) =>
  compareFolders(a, b, { since, skip: new Set(), owners: true, stop: new AbortController().signal });

it('finds nothing where nothing differs', async () => {
  const compared = await compare(await tree('one'), await tree('two'));
  assert.deepEqual(compared.differences, []);
  assert.equal(compared.entries, 6);
  assert.equal(compared.files, 3);
});

it('finds every kind of difference', async () => {
  const original = await tree('original');
  const changes: [change: (copy: string) => Promise<unknown>, found: RegExp][] = [
    [(copy) => fs.rm(join(copy, 'a')), /a is missing/],
    [(copy) => fs.writeFile(join(copy, 'more'), ''), /more is in the copy only/],
    [(copy) => fs.chmod(join(copy, 'a'), 0o600), /a has another mode/],
    [(copy) => fs.utimes(join(copy, 'sub'), OLD, 1), /sub has another time/],
    [
      (copy) => replace(join(copy, 'link'), () => fs.symlink('b', join(copy, 'link'))),
      /link points elsewhere/,
    ],
    [
      (copy) => replace(join(copy, 'linked'), () => fs.writeFile(join(copy, 'linked'), 'same')),
      /linked in the original only/,
    ],
    [(copy) => replace(join(copy, 'a'), () => fs.mkdir(join(copy, 'a'))), /a has another type/],
    [(copy) => fs.appendFile(join(copy, 'sub', 'b'), 'x'), /b has another size/],
    [(copy) => change(join(copy, 'sub', 'b')), /b has other content/],
  ];
  for (const [at, [change, found]] of changes.entries()) {
    const copy = await tree(`copy${at}`);
    await change(copy);
    const { differences } = await compare(original, copy);
    assert.ok(
      differences.some((difference) => found.test(difference)),
      `${found}: ${differences.join('; ')}`,
    );
  }
});

it('does not hold against a copy what changed in the original since', async () => {
  const original = await tree('living');
  const copy = await tree('snapshot');
  const since = Date.now() + 20;
  await new Promise((resolve) => setTimeout(resolve, 40));
  await fs.writeFile(join(original, 'a'), 'changed');
  await fs.rm(join(original, 'link'));
  const { differenceCount, changed } = await compare(original, copy, since);
  assert.equal(differenceCount, 0);
  assert.ok(changed >= 2, String(changed));
});

async function replace(path: string, make: () => Promise<unknown>): Promise<void> {
  await fs.rm(path, { recursive: true });
  await make();
}

async function change(path: string): Promise<void> {
  await using file = await fs.open(path, 'r+');
  await file.write('!', 2_999_999);
}
