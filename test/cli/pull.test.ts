import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import {
  type CenterFolder,
  type Daemon,
  endsOfSuite,
  fails,
  makeCenter,
  ok,
  running,
  scratch,
  smallTree,
  storedBytes,
} from './kit.ts';

const CATALOGUE = randomBytes(400_000);

/** Two machines of one owner and a center; then another center that pulls. The steps stand on each other. */
describe('a center that is added later', () => {
  const ends = endsOfSuite();
  let folder: string;
  let files: string;
  let tokyo: CenterFolder;
  let osaka: CenterFolder;
  let tokyoDaemon: Daemon;
  const data = (name: string): string[] => ['--data', join(folder, name)];
  const tokenOf = async (center: CenterFolder, ...args: readonly string[]): Promise<string> =>
    (await ok(['center', 'token', '--data', center.data, ...args])).message('token').token;
  before(async () => {
    folder = await scratch(ends);
    files = await smallTree(folder);
    tokyo = await makeCenter(join(folder, 't'));
    await writeFile(join(files, 'catalogue'), CATALOGUE);
    osaka = await makeCenter(join(folder, 'o'), '--name', 'osaka');
    tokyoDaemon = await running(ends, ['center', 'run', '--data', tokyo.data]);
  });

  it('of two machines that share a key domain, one center stores once what they have in common', async () => {
    const sheet = join(folder, 'shop.key');
    const sizes: number[] = [];
    for (const [name, extra] of [
      ['till', []],
      ['office', ['--keys-of', sheet]],
    ] as const) {
      const token = await tokenOf(tokyo, '--name', name);
      await ok(['agent', 'join', token, ...extra, ...data(name)]);
      await ok(['job', 'add', 'home', files, '--backup', 'manual', ...data(name)]);
      await ok(['job', 'run', 'home', '--wait', ...data(name)]);
      if (name === 'till') await ok(['key', 'share', sheet, ...data(name)]);
      sizes.push(await storedBytes(tokyo));
    }
    const [one = 0, both = 0] = sizes;
    assert.ok(one > CATALOGUE.length && both - one < CATALOGUE.length / 4, `${one} bytes, then ${both}`);
    assert.match(await readFile(sheet, 'utf8'), /^LOWTIDE DOMAIN KEY/);
    await fails('disk-failed', /cannot be written/, ['key', 'share', sheet, ...data('till')]);
    const again = ['agent', 'join', await tokenOf(tokyo), '--keys-of', sheet, ...data('till')];
    await fails('wrong-state', /keys of its own already/, again);
  });

  it('pulls with a token that lets it read, and then by name; what is there already is not fetched again', async () => {
    const token = await tokenOf(tokyo, '--name', 'osaka', '--peer');
    await fails('token-other-role', /for another center/, ['agent', 'join', token, ...data('eve')]);
    const pull = ['center', 'pull', '--data', osaka.data, '--from'];
    const first = await ok([...pull, '-', '--rate', '50 MB/s', '--windows', 'any'], { input: token });
    const summary = first.message('summary') as unknown as Record<string, number>;
    assert.deepEqual([summary['clients'], summary['pulled'], summary['failed']], [2, 2, 0]);
    assert.ok(summary['bytes']! > 0);
    const second = (await ok([...pull, 'nowhere'], { exit: 1 })).message('exit_error');
    assert.equal(second.code, 'not-enrolled');
    const name = first.message('joined') as unknown as Record<string, string>;
    const again = (await ok([...pull, name['center_name']!])).message('summary');
    assert.equal(again.bytes, 0);
    const both = ['center', 'token', '--data', tokyo.data, '--peer', '--relay'];
    await fails('bad-request', /relay or for another center/, both);
  });

  it('is shut out like any computer', async () => {
    await ok(['center', 'client', 'revoke', 'osaka', '--data', tokyo.data]);
    const { name } = (await ok(['center', 'plan', '--data', tokyo.data])).message('conditions');
    await fails('revoked', /shut this client out/, ['center', 'pull', '--data', osaka.data, '--from', name]);
  });

  it('gives everything back, with the one that it pulled from gone', async () => {
    await tokyoDaemon.stop();
    await running(ends, ['center', 'run', '--data', osaka.data]);
    await ok(['agent', 'join', await tokenOf(osaka, '--name', 'till'), ...data('till')]);
    const into = join(folder, 'restored');
    await ok(['restore', 'latest', '--to', into, ...data('till')]);
    assert.deepEqual(await readFile(join(into, files, 'catalogue')), CATALOGUE);
  });
});
