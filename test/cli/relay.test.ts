import assert from 'node:assert/strict';
import { writeFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { compareFolders } from '../../src/cli/demo/compare-folders.ts';
import {
  type CenterFolder,
  type Daemon,
  endsOfSuite,
  fails,
  lowtide,
  makeCenter,
  ok,
  relayInit,
  running,
  scratch,
  smallTree,
} from './kit.ts';

/** A center, a branch below it and below another, and an agent below that; the steps stand on each other. */
describe('a relay', () => {
  const ends = endsOfSuite();
  let folder: string;
  let files: string;
  let since: number;
  let tokyo: CenterFolder;
  let osaka: CenterFolder;
  let osakaDaemon: Daemon;
  let shop: string[];
  let agent: string[];
  const tokenOf = async (...args: readonly string[]): Promise<string> =>
    (await ok([...args])).message('token').token;
  before(async () => {
    folder = await scratch(ends);
    files = await smallTree(folder);
    tokyo = await makeCenter(join(folder, 't'));
    osaka = await makeCenter(join(folder, 'o'));
    await running(ends, ['center', 'run', '--data', tokyo.data]);
    osakaDaemon = await running(ends, ['center', 'run', '--data', osaka.data]);
    shop = ['--data', join(folder, 'shop')];
    agent = ['--data', join(folder, 'agent')];
  });

  it('is made once, and gives no tokens before it leads anywhere', async () => {
    const init = await relayInit('shop', '--transfer', 'any', '--store', '1 GiB', ...shop);
    await fails('bad-request', /a part of --store 1 GiB/, [...init, '--cache', '2 GiB']);
    assert.equal((await ok(init)).message('initialized').name, 'shop');
    const settings = await readFile(join(folder, 'shop', 'relay.yaml'), 'utf8');
    assert.match(settings, /^cache: 102 MiB$/m, 'a small store has a small cache');
    await fails('node-exists', /already holds the keys/, init);
    await fails('no-route', /leads to no center yet/, ['relay', 'token', ...shop]);
    assert.match(
      (await lowtide(['relay', 'status', ...shop])).stdout,
      /NOT RUNNING[^]*owed to NO CENTER[^]*nothing yet/,
    );
  });

  it('joins with a token for relays only, and an agent with one for agents only', async () => {
    const forAgent = await tokyo.token();
    const forRelay = await tokyo.token('--relay', '--name', 'shop');
    await fails('token-other-role', /is for an agent/, ['relay', 'join', forAgent, ...shop]);
    await fails('token-other-role', /is for a relay/, ['agent', 'join', forRelay, ...agent]);
    const joined = await ok(['relay', 'join', '-', ...shop], { input: forRelay });
    assert.equal(joined.message('joined').kind, 'center');
  });

  it('while it runs it is joined to a second center, and becomes a branch; an agent hears where it leads', async () => {
    await running(ends, ['relay', 'run', ...shop]);
    await ok(['relay', 'join', await osaka.token('--relay', '--name', 'shop'), ...shop]);
    const token = await tokenOf('relay', 'token', '--name', 'ann', ...shop);
    const joined = (await ok(['agent', 'join', token, ...agent])).message('joined');
    assert.equal(joined.kind, 'relay');
    assert.deepEqual(
      (joined['centers'] as { name: string }[]).map(({ name }) => name),
      ['tokyo', 'tokyo'],
    );
  });

  it('answers a verb that comes while it starts, and one that comes beside another', async () => {
    const desk = ['--data', join(folder, 'early')];
    await ok(await relayInit('early', ...desk));
    const starting = running(ends, ['relay', 'run', ...desk]);
    for (let at = 0; at < 3; at++) {
      const both = [lowtide(['relay', 'status', ...desk]), lowtide(['relay', 'client', 'list', ...desk])];
      for (const { exit, stderr } of await Promise.all(both)) assert.equal(exit, 0, stderr);
    }
    await (await starting).stop();
  });

  it('does not join below itself', async () => {
    const own = await tokenOf('relay', 'token', '--relay', ...shop);
    await fails('joined-in-circle', /cannot join itself/, ['relay', 'join', own, ...shop]);
    const desk = ['--data', join(folder, 'desk')];
    await ok(await relayInit('desk', ...desk));
    await ok(['relay', 'join', own, ...desk]);
    const below = await tokenOf('relay', 'token', '--relay', ...desk);
    await fails('joined-in-circle', /is below this relay/, ['relay', 'join', below, ...shop]);
  });

  it('keeps a backup until the center that is away has it, frees the agent, and says for whom it keeps it', async () => {
    await osakaDaemon.stop();
    since = Date.now();
    await ok(['job', 'add', 'docs', files, '--free-after', 'custody', ...agent]);
    await running(ends, ['agent', 'run', ...agent]);
    const late = await lowtide(['job', 'run', 'docs', '--wait', '2s', ...agent]);
    assert.equal(late.exit, 4, late.stderr);
    assert.doesNotMatch(late.stderr, /owed to no center/);
    const spool = await ok(['status', ...agent]);
    assert.equal(spool.message('agent').spool.bytes, 0);
    const { message, messages } = await ok(['relay', 'status', ...shop]);
    assert.deepEqual(
      message('held')
        .copies.map(({ phase }) => phase)
        .sort(),
      ['safe', 'waiting'],
    );
    assert.equal(messages.filter(({ message_type }) => message_type === 'upstream').length, 2);
    const shown = (await lowtide(['relay', 'status', ...shop])).stdout;
    assert.match(
      shown,
      /ann +docs .*\n.*waiting for the connection to tokyo|waiting for the connection to tokyo/,
    );
    const listed = (await lowtide(['relay', 'snapshots', ...shop])).stdout;
    assert.match(listed, /in custody here; 5 files; [^\n]* travelled from 127\.0\.0\.1/);
    for (const line of listed.split('\n')) assert.ok(line.length <= 100, line);
  });

  it('lets go when every center has it, and each center lists its subtree and restores', async () => {
    await running(ends, ['center', 'run', '--data', osaka.data]);
    for (let tries = 0; ; tries++) {
      const { messages } = await ok(['relay', 'status', ...shop]);
      if (messages.every(({ message_type }) => message_type !== 'held')) break;
      assert.ok(tries < 60, 'it was never passed on');
    }
    assert.match((await lowtide(['relay', 'snapshots', ...shop])).stdout, /passed on/);
    assert.match((await lowtide(['relay', 'ledger', ...shop])).stdout, /receipted +tokyo/);
    for (const { data } of [tokyo, osaka]) {
      const brought = await ok(['center', 'ledger', '--data', data]);
      assert.deepEqual(brought.message('snapshot')['via'], ['shop']);
      const { stdout: told } = await lowtide(['center', 'ledger', '--data', data]);
      assert.match(told, /brought by +relay shop[^]*arrived +.*from shop at 127\.0\.0\.1/);
      const { stdout } = await lowtide(['center', 'client', 'list', '--data', data]);
      assert.match(stdout, /^ann +shop /m);
      assert.match(stdout, /^shop \(relay\) +- /m);
    }
    assert.equal((await ok(['snapshots', '--lost', ...agent])).message('summary')['files'], 0);
    assert.match((await lowtide(['snapshots', '--lost', ...agent])).stdout, /No file is lost/);
    await ok(['restore', 'latest', '--to', join(folder, 'back'), ...agent]);
    const options = { since, skip: new Set<string>(), owners: false, stop: new AbortController().signal };
    const compared = await compareFolders(files, join(folder, 'back', files), options);
    assert.deepEqual([compared.files, compared.differences], [5, []]);
  });

  it('a center that settings name can be neither left nor released; else both work, and say what is stranded', async () => {
    const config = join(folder, 'shop', 'relay.yaml');
    const text = await readFile(config, 'utf8');
    const { messages } = await ok(['relay', 'status', ...shop]);
    const ids = messages.filter(({ message_type }) => message_type === 'center').map(({ id }) => id);
    const [first = '', second = ''] = ids;
    await writeFile(config, text.replace('centers: []', `centers: ["${second}"]`));
    await fails('wrong-state', /relay\.yaml names tokyo/, ['relay', 'leave', second, ...shop]);
    await fails('wrong-state', /relay\.yaml names tokyo/, ['relay', 'release', second, '--yes', ...shop]);
    await writeFile(config, text);
    await fails('bad-request', /say --yes/, ['relay', 'release', second, ...shop]);
    await fails('not-enrolled', /no center or relay kyoto/, ['relay', 'leave', 'kyoto', ...shop]);
    await ok(['relay', 'leave', second, ...shop]);
    const done = (await ok(['relay', 'release', second, '--yes', ...shop])).message('released');
    assert.deepEqual([done['released'], done['kept']], [0, 0]);
    assert.deepEqual(
      (await ok(['agent', 'release', first, '--yes', ...agent])).message('released')['left'],
      [],
    );
    assert.equal((await ok(['agent', 'leave', 'shop', ...agent])).message('left')['untold'], '');
    assert.match((await lowtide(['relay', 'client', 'list', ...shop])).stdout, /^ann .* left \d{4}-/m);
    assert.match((await lowtide(['status', ...agent])).stdout, /nothing yet: 'lowtide agent join'/);
  });

  it('has a quota for itself and all below it, which those below it have not', async () => {
    const quota = (name: string, size: string): string[] => [
      'center',
      'client',
      'quota',
      name,
      size,
      '--data',
      tokyo.data,
    ];
    const set = (await ok(quota('shop', '2 GiB'))).message('quota');
    assert.deepEqual([set['name'], set['quota_bytes']], ['shop', 2 * 1024 ** 3]);
    assert.ok(Number(set['brought_bytes']) > 0);
    assert.match((await lowtide(quota('shop', 'none'))).stdout, /may bring as much as it likes/);
    const bounded = ['center', 'client', 'quota', 'shop', '--machines', '2', '--data', tokyo.data];
    assert.deepEqual((await ok(bounded)).message('quota')['machines'], { most: 2, told: 1 });
    assert.match((await lowtide(bounded.with(5, 'default'))).stdout, /10,000 machines may come through it/);
    await fails('bad-request', /not a number of machines/, bounded.with(5, 'few'));
    await fails('wrong-state', /comes through a relay only/, quota('ann', '1 GiB'));
    await fails('bad-request', /not a size/, quota('shop', 'much'));
    await fails('not-found', /client list/, quota('nobody', 'none'));
  });

  it('is held back with all below it for as long as its operator says, which is shown and kept', async () => {
    const at = (...words: string[]): string[] => ['center', ...words, '--data', tokyo.data];
    const held = await ok(
      at('client', 'hold', 'shop', '--for', '3 d', '--why', 'the line is being repaired'),
    );
    const { name, until, since, why } = held.message('held');
    assert.deepEqual(
      [name, Number(until) - Number(since), why],
      ['shop', 3 * 86_400_000, 'the line is being repaired'],
    );
    const list = await lowtide(at('client', 'list'));
    assert.match(list.stdout, /^shop .*held back until .* \(the line is being repaired\)/m);
    assert.match(
      (await lowtide(at('conditions'))).stdout.replaceAll(/\s+/g, ' '),
      /hold shop: nothing -> until .*: the line is being repaired/,
    );
    const again = await lowtide(at('client', 'release', 'shop'));
    assert.match(again.stdout, /shop is collected again/);
    assert.match((await lowtide(at('client', 'release', 'shop'))).stdout, /shop was not held back/);
    await fails('wrong-state', /comes through a relay only/, at('client', 'hold', 'ann'));
    await fails('bad-schedule', /expected/, at('client', 'hold', 'shop', '--for', 'long'));
    await fails('bad-request', /one line/, at('client', 'hold', 'shop', '--why', 'a\nb'));
  });

  it('is shut out with what comes only through it', async () => {
    const revoked = await ok(['center', 'client', 'revoke', 'shop', '--data', tokyo.data]);
    assert.deepEqual(revoked.message('revoked')['below'], ['desk']);
    const { stdout } = await lowtide(['center', 'client', 'list', '--data', tokyo.data]);
    assert.match(stdout, /^desk .*shut out with shop/m);
    assert.match(stdout, /^ann +- .* left \d{4}-/m);
  });
});
