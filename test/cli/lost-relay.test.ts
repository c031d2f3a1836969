import assert from 'node:assert/strict';
import { appendFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { endsOfSuite, lowtide, makeCenter, ok, relayInit, running, scratch, smallTree } from './kit.ts';

describe('a relay that is lost with what it had in custody', () => {
  const ends = endsOfSuite();

  it('leaves a list of the files that went with it', async () => {
    const folder = await scratch(ends);
    const files = await smallTree(folder);
    const center = await makeCenter(join(folder, 'center'));
    const centerDaemon = await running(ends, ['center', 'run', '--data', center.data]);
    const [shop, agent] = [
      ['--data', join(folder, 'shop')],
      ['--data', join(folder, 'agent')],
    ];
    await ok(await relayInit('shop', '--transfer', 'any', ...shop));
    await ok(['relay', 'join', await center.token('--relay', '--name', 'shop'), ...shop]);
    const shopDaemon = await running(ends, ['relay', 'run', ...shop]);
    const token = (await ok(['relay', 'token', '--name', 'ann', ...shop])).message('token').token;
    await ok(['agent', 'join', token, ...agent]);
    await ok(['job', 'add', 'docs', files, '--free-after', 'custody', ...agent]);
    const agentDaemon = await running(ends, ['agent', 'run', ...agent]);
    await ok(['job', 'run', 'docs', '--wait', '30s', ...agent]);
    await centerDaemon.stop();
    await writeFile(join(files, 'new.bin'), Buffer.alloc(20_000, 'new'));
    await writeFile(join(files, 'gone.bin'), Buffer.alloc(20_000, 'gone'));
    await lowtide(['job', 'run', 'docs', '--wait', '3s', ...agent]);
    assert.equal((await ok(['status', ...agent])).message('agent').spool.bytes, 0, 'freed on its word');
    await shopDaemon.stop();
    await rename(join(folder, 'shop'), join(folder, 'burnt'));
    await running(ends, ['center', 'run', '--data', center.data]);
    await agentDaemon.stop();
    await ok(['agent', 'join', await center.token('--name', 'ann-again'), ...agent]);
    await ok(['agent', 'leave', 'shop', ...agent]);
    await running(ends, ['agent', 'run', ...agent]);
    const { message, messages } = await ok(['snapshots', '--lost', ...agent]);
    const paths = messages
      .filter(({ message_type }) => message_type === 'lost_file')
      .map((line) => line['path']);
    assert.deepEqual(paths, [join(files, 'gone.bin'), join(files, 'new.bin')]);
    assert.equal(message('lost_snapshot')['holder'], 'shop');
    assert.match((await lowtide(['snapshots', ...agent])).stdout, /lost with shop/);
    const status = await ok(['status', ...agent]);
    assert.deepEqual([status.message('lost').files, status.message('lost')['holder']], [2, 'shop']);
    assert.match((await lowtide(['status', ...agent])).stdout, /LOST, as[^]*2 files of docs .* with shop/);
    await appendFile(join(files, 'gone.bin'), 'and changed');
    await ok(['job', 'run', 'docs', '--wait', '30s', ...agent]);
    const { stdout } = await lowtide(['snapshots', '--lost', ...agent]);
    assert.match(stdout, /lost with shop, heard of[^]*gone\.bin\n1 file lost as they were then/);
    assert.doesNotMatch(stdout, /new\.bin/, 'the next backup has it as it was');
  });
});
