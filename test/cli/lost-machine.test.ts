import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import {
  type CenterFolder,
  endsOfSuite,
  fails,
  makeCenter,
  ok,
  running,
  scratch,
  smallTree,
  storedBytes,
} from './kit.ts';

const THESIS = randomBytes(900_000);

/** Ann's laptop, with its data folder, is gone; her paper and the center are left. The steps stand on each other. */
describe('P2: a machine that was lost', () => {
  const ends = endsOfSuite();
  let folder: string;
  let files: string;
  let oslo: CenterFolder;
  let paper: string;
  let restored: string;
  const data = (name: string): string[] => ['--data', join(folder, name)];
  const backUp = async (name: string, path: string): Promise<void> => {
    await ok(['job', 'add', 'home', path, '--backup', 'manual', ...data(name)]);
    await ok(['job', 'run', 'home', '--wait', ...data(name)]);
  };
  before(async () => {
    folder = await scratch(ends);
    files = await smallTree(folder);
    paper = join(folder, 'paper.txt');
    restored = join(folder, 'restored');
    oslo = await makeCenter(join(folder, 'o'), '--name', 'oslo');
    await writeFile(join(files, 'thesis'), THESIS);
    await running(ends, ['center', 'run', '--data', oslo.data]);
    await ok(['agent', 'join', await oslo.token('--name', 'ann'), '--sheet-file', paper, ...data('ann')]);
    await backUp('ann', files);
    await rm(join(folder, 'ann'), { recursive: true });
    await ok(['center', 'client', 'revoke', 'ann', '--data', oslo.data]);
  });

  it('is read by nobody whom the operator did not let, sheet or no sheet', async () => {
    await ok(['agent', 'join', await oslo.token('--name', 'eve'), ...data('eve')]);
    const reading = ['snapshots', '--of', 'ann', '--recovery-sheet', paper, ...data('eve')];
    await fails('not-found', /oslo lets this computer read.*--reads ann/, reading);
    const joining = ['agent', 'join', await oslo.token('--name', 'mallory'), '--recovery-sheet', paper];
    await fails('not-found', /lets this computer read/, [...joining, ...data('mallory')]);
    await fails('not-found', /no client nobody/, [
      'center',
      'token',
      '--reads',
      'nobody',
      '--data',
      oslo.data,
    ]);
    const relay = ['center', 'token', '--reads', 'ann', '--relay', '--data', oslo.data];
    await fails('bad-request', /only a computer's token/, relay);
  });

  it('comes back on another, which joins with a token to read and the paper', async () => {
    const token = await oslo.token('--name', 'ann-new', '--reads', 'ann');
    const joined = await ok(['agent', 'join', token, '--recovery-sheet', paper, ...data('new')]);
    assert.equal(joined.message('reads').name, 'ann');
    const of = ['--of', 'ann', '--recovery-sheet', paper, ...data('new')];
    const [line] = (await ok(['snapshots', ...of])).messages;
    assert.deepEqual([line!.job, line!['where']], ['home', ['oslo']]);
    await ok(['restore', 'latest', '--to', restored, ...of]);
    assert.deepEqual(await readFile(join(restored, files, 'thesis')), THESIS);
    assert.equal((await ok(['ls', 'latest', join(files, 'thesis'), ...of])).messages.length, 1);
    assert.equal((await ok(['snapshots', ...data('new')])).messages.length, 0, 'they are not its own');
    const client = (await ok(['center', 'client', 'list', '--data', oslo.data])).messages;
    assert.deepEqual(client.find(({ name }) => name === 'ann-new')!['reads'], ['ann']);
  });

  it('need not be sent again by its successor', async () => {
    const before = await storedBytes(oslo);
    await backUp('new', join(restored, files));
    const more = (await storedBytes(oslo)) - before;
    assert.ok(before > THESIS.length && more < 20_000, `${before} bytes, then ${more} more`);
  });

  it('opens with nothing but its own sheet', async () => {
    const other = join(folder, 'other.txt');
    const added = await ok(['key', 'add', 'recovery', ...data('new')]);
    await writeFile(other, added.message('recovery_sheet').text);
    const of = ['snapshots', '--of', 'ann', ...data('new')];
    await fails('wrong-key', /does not open the keyring/, [...of, '--recovery-sheet', other]);
    await fails('wrong-password', /./, of);
    await fails('bad-request', /leave --depot away/, [...of, '--depot', join(folder, 'nowhere')]);
    const again = ['agent', 'join', await oslo.token('--reads', 'ann'), '--recovery-sheet', paper];
    await fails('wrong-state', /keys of its own already.*restore --of/, [...again, ...data('new')]);
  });
});
