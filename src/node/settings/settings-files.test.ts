import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, beforeEach, describe, it } from 'node:test';
import { isLowtideError, type LowtideError } from '../../model/errors.ts';
import type { ClientId } from '../../model/ids.ts';
import type { Job } from '../../model/jobs.ts';
import { realWorld, type TestWorld } from '../../../test/support/real-world.ts';
import { createAgentConfig, parseSize, readAgentConfig } from './agent-settings.ts';
import { createCenterSettings, readCenterSettings } from './center-settings.ts';
import { JobsFile } from './jobs-file.ts';

let world: TestWorld;
let path: string;
let count = 0;
before(async () => {
  world = await realWorld();
});
after(() => world.dispose());
beforeEach(() => {
  path = `${world.directory}/${++count}.yaml`;
});

const job: Job = {
  name: 'docs',
  paths: ['/home/ann'],
  excludes: [],
  excludeCaches: true,
  oneFileSystem: false,
  backup: 'daily 22:00',
  transfer: '00:00-03:00',
  zone: 'Asia/Tokyo',
  centers: [],
  spool: 'files',
  freeAfter: 'centers',
  private: false,
};

/** What is wrong, where: `line:column` and the message. */
async function mistake(reading: Promise<unknown>): Promise<string> {
  const error = await reading.then(
    () => assert.fail('it was read'),
    (error: unknown) => error as LowtideError,
  );
  assert.ok(isLowtideError(error, 'bad-config'), String(error));
  assert.ok(error.message.startsWith(`${path}:`), error.message);
  return error.message.slice(path.length + 1);
}

describe('what keeps a file from being in force', () => {
  it('is known as long as it is so, and what was there before stays', async () => {
    const file = new JobsFile(world, path);
    await file.create();
    await file.add(job);
    assert.deepEqual([(await file.current()).length, file.mistake], [1, null]);
    const good = await readFile(path, 'utf8');
    await writeFile(path, good.replaceAll('00:00-03:00', '00:00-30:00'));
    assert.equal((await file.current())[0]?.transfer, '00:00-03:00');
    assert.match(file.mistake ?? '', /yaml:\d+:\d+: .*"30:00"/);
    await writeFile(path, good);
    await file.current();
    assert.equal(file.mistake, null);
  });

  it('is told without the words of programs', async () => {
    const wrong = {
      'streams: many': /streams: expected a number$/,
      'streams: 5000': /streams: expected at most 1000$/,
      'rate: 5': /rate: expected text$/,
      'allow: /usr/bin/': /allow: expected a list$/,
      'zone: [UTC]': /zone: expected text$/,
    };
    for (const [line, message] of Object.entries(wrong)) {
      const zone = line.startsWith('zone') ? '' : 'zone: UTC\n';
      await writeFile(path, `${zone}addresses: [a:1]\n${line}\n`);
      assert.match(await mistake(readCenterSettings(world, path)), message);
    }
    const line = '  - {name: kyoto, rate: 1 MB/s, clients: [a]}\n';
    await writeFile(path, `zone: UTC\naddresses: [a:1]\nlines:\n${line}${line}`);
    assert.equal(await mistake(readCenterSettings(world, path)), '5:12: there are two lines named kyoto');
    await writeFile(path, 'addresses: [a:1]\n');
    assert.match(await mistake(readCenterSettings(world, path)), /zone: expected text, found nothing$/);
  });
});

describe('the jobs file', () => {
  it('keeps comments and order when commands change it', async () => {
    const file = new JobsFile(world, path);
    await file.create();
    await file.add(job);
    await file.add({ ...job, name: 'photos', excludes: ['*.tmp'], private: true });
    assert.deepEqual(
      (await file.read()).map(({ name }) => name),
      ['docs', 'photos'],
    );
    assert.deepEqual((await file.read())[0], job);
    await file.remove('docs');
    const text = await readFile(path, 'utf8');
    assert.match(text, /^# The backup control table/);
    assert.deepEqual(
      (await file.read()).map(({ name }) => name),
      ['photos'],
    );
    await file.remove('photos');
    assert.deepEqual(await file.read(), []);
  });

  it('refuses a second job of a name, and to remove one that is not there', async () => {
    const file = new JobsFile(world, path);
    await file.create();
    await file.add(job);
    await assert.rejects(file.add(job), (error) => isLowtideError(error, 'job-exists'));
    await assert.rejects(file.remove('nope'), (error) => isLowtideError(error, 'no-such-job'));
  });

  it('writes nothing when the new job is wrong', async () => {
    const file = new JobsFile(world, path);
    await file.create();
    const before = await readFile(path, 'utf8');
    await assert.rejects(file.add({ ...job, backup: 'sometimes' }), (error) =>
      isLowtideError(error, 'bad-schedule'),
    );
    await assert.rejects(file.add({ ...job, name: 'No Such Name' }), (error) =>
      isLowtideError(error, 'bad-config'),
    );
    assert.equal(await readFile(path, 'utf8'), before);
  });

  it('says where a mistake is: line, column and what was expected', async () => {
    const cases: [text: string, place: RegExp][] = [
      ['jobs:\n  - name: docs\n    paths: [/a\n', /^\d+:\d+: /],
      ['jobs:\n  - name: docs\n    path: [/a]\n', /^3:5: unknown key path: .*did you mean paths\?/],
      [
        'jobs:\n  - name: docs\n    paths: [/a]\n    when: x\n',
        /^4:5: unknown key when: expected one of name, paths/,
      ],
      ['jobs:\n  - name: docs\n    paths: [a]\n', /^3:13: jobs\.0\.paths\.0: expected an absolute path/],
      [
        'jobs:\n  - name: docs\n    paths: [/a]\n    backup: daily 25:00\n',
        /^4:13: the schedule "daily 25:00"/,
      ],
      [
        'jobs:\n  - name: docs\n    paths: [/a]\n    zone: Asia/Tokio\n',
        /^4:11: .*the nearest name is Asia\/Tokyo/,
      ],
      [
        'jobs:\n  - name: docs\n    paths: [/a]\n  - name: docs\n    paths: [/b]\n',
        /^4:11: there is another job named docs/,
      ],
      ['job: []\n', /^1:1: unknown key job: expected one of jobs/],
    ];
    for (const [text, place] of cases) {
      await writeFile(path, text);
      assert.match(await mistake(new JobsFile(world, path).read()), place);
    }
  });

  it('that somebody is just editing does not stop an agent: the last good list stays, one alarm says why', async () => {
    const file = new JobsFile(world, path);
    await file.create();
    await file.add(job);
    await file.current();
    await writeFile(path, 'jobs: [');
    const alarms = world.monitor.events.length;
    assert.deepEqual(
      (await file.current()).map(({ name }) => name),
      ['docs'],
    );
    assert.deepEqual(
      (await file.current()).map(({ name }) => name),
      ['docs'],
    );
    const [alarm, ...more] = world.monitor.events.slice(alarms);
    assert.equal(alarm?.kind, 'alarm');
    assert.deepEqual(more, []);
  });
});

describe('center.yaml', () => {
  const settings = {
    conditions: { windows: '22:00-08:00', zone: 'Asia/Tokyo', streams: 3 },
    listen: { host: '0.0.0.0', port: 7700 },
    addresses: [{ host: 'center.example', port: 7700 }],
  };

  it('gives back what it was made of', async () => {
    await createCenterSettings(world, path, settings);
    const read = await readCenterSettings(world, path);
    const { rates, freeSpace, targets, written, ceilings, notWhile, ...conditions } = read.conditions;
    assert.deepEqual({ ...read, conditions }, settings);
    assert.deepEqual([targets?.usual, ceilings, notWhile], [null, { load: null, disk: null }, []]);
    assert.equal(written?.['windows'], '22:00-08:00');
    assert.equal(freeSpace, 0.05);
    assert.deepEqual([rates?.total, rates?.perClient, rates?.lines], ['unlimited', 'unlimited', []]);
  });

  it('knows the line of a computer by its name or its address', async () => {
    const lines = [
      '  - {name: kyoto, rate: 2 MB/s, clients: [10.7.0.0/16, "2001:db8::/33"]}',
      '  - {name: till, rate: 1 MB/s 08:00-20:00, clients: [till-1]}',
    ];
    await writeFile(path, `zone: UTC\naddresses: [a.example]\nlines:\n${lines.join('\n')}\n`);
    const { rates } = (await readCenterSettings(world, path)).conditions;
    const lineOf = (name: string, address: string | null): string | null =>
      rates!.lineOf({ client: 'aa' as ClientId, name, address });
    assert.equal(lineOf('ann', '10.7.255.1'), 'kyoto');
    assert.equal(lineOf('ann', '::ffff:10.7.0.1'), 'kyoto');
    assert.equal(lineOf('ann', '2001:db8:7fff::1'), 'kyoto');
    assert.equal(lineOf('ann', '2001:db8:8000::1'), null);
    assert.equal(lineOf('ann', '10.8.0.1'), null);
    assert.equal(lineOf('till-1', null), 'till');
  });

  it('knows what an operator says of one computer: its rate, and how old its copies may get', async () => {
    const computers = [
      '  - {clients: [ann], rate: 1 MB/s 08:00-20:00, target: 12 h}',
      '  - {clients: [10.7.0.0/16], target: 7 d}',
      '  - {clients: [10.7.1.0/24], rate: 2 MB/s}',
    ];
    await writeFile(
      path,
      `zone: UTC\naddresses: [a.example]\ntarget: 36 h\ncomputers:\n${computers.join('\n')}\n`,
    );
    const { rates, targets } = (await readCenterSettings(world, path)).conditions;
    const said = (name: string, address: string | null): [string | null, number | null] => {
      const place = { client: 'aa' as ClientId, name, address };
      return [rates!.rateOf(place), targets!.of(place)];
    };
    assert.equal(targets?.usual, 36 * 3_600_000);
    assert.deepEqual(said('ann', '10.7.1.1'), ['1 MB/s 08:00-20:00', 12 * 3_600_000]);
    assert.deepEqual(said('bob', '10.7.1.1'), ['2 MB/s', 7 * 86_400_000], 'each word from who says it first');
    assert.deepEqual(said('bob', null), [null, null]);
  });

  it('says where a mistake is', async () => {
    const good = 'zone: UTC\naddresses: [a.example]\n';
    const cases: [text: string, place: RegExp][] = [
      [`${good}windows: 22-8\n`, /^3:10: the schedule/],
      [`${good}streams: many\n`, /^3:10: streams: /],
      [`${good}streams: -1\n`, /^3:10: streams: expected 0/],
      [`${good}listen: nowhere:99999\n`, /^3:9: .*is not an address/],
      ['zone: UTC\naddresses: []\n', /^2:12: addresses: expected at least one address/],
      ['zone: Mars\naddresses: [a]\n', /^1:7: .*is not a time zone/],
      [`${good}colour: red\n`, /^3:1: unknown key colour: expected one of windows, zone/],
      [`${good}rate: 20 Mb/s\n`, /^3:7: the schedule .* expected a unit/],
      [`${good}target: soon\n`, /^3:9: .*a span of time/],
      [`${good}computers: [{clients: [ann]}]\n`, /^3:13: expected a rate, a target or both/],
      [`${good}computers: [{clients: [ann], rate: 0 MB/s}]\n`, /^3:36: .*a rate above 0/],
      [`${good}load: 0\n`, /^3:7: load: expected a load above 0/],
      [
        `${good}notWhile: [pgrep]\nallow: [/usr/bin/pgrep]\n`,
        /^3:12: "pgrep" is not allowed: give the whole path/,
      ],
      [`${good}notWhile:\n  - [/bin/../bin/sh, -c, x]\nallow: [/bin/]\n`, /^4:5: .* is not allowed/],
      [`${good}freeSpace: 7\n`, /^3:12: freeSpace: expected a part/],
      [`${good}lines: [{name: a, rate: 1 MB/s, clients: [10.0.0.0/99]}]\n`, /is not a range/],
    ];
    for (const [text, place] of cases) {
      await writeFile(path, text);
      assert.match(await mistake(readCenterSettings(world, path)), place);
    }
  });
});

describe('agent.yaml', () => {
  it('has defaults and reads sizes as people write them', async () => {
    await createAgentConfig(world, path);
    assert.deepEqual(await readAgentConfig(world, path), {
      allow: [],
      notWhile: [],
      spoolBytes: 20 * 2 ** 30,
      compression: 'default',
      yield: false,
    });
    await writeFile(path, 'spool: 1.5T\ncompression: max\n');
    assert.deepEqual(await readAgentConfig(world, path), {
      spoolBytes: 1.5 * 2 ** 40,
      compression: 'max',
      yield: false,
      allow: [],
      notWhile: [],
    });
  });

  it('says where a mistake is', async () => {
    await writeFile(path, 'spool: much\n');
    assert.match(await mistake(readAgentConfig(world, path)), /^1:8: "much" is not a size/);
    await writeFile(path, 'compression: hard\n');
    assert.match(
      await mistake(readAgentConfig(world, path)),
      /^1:14: compression: expected one of off, fast/,
    );
  });

  it('tells GB from GiB', () => {
    const sizes = ['0', '512', '1 KB', '1 KiB', '1k', '2 GB', '2 GiB', '0.5 MiB'];
    assert.deepEqual(sizes.map(parseSize), [0, 512, 1000, 1024, 1024, 2e9, 2 ** 31, 2 ** 19]);
    for (const text of ['', 'x', '-1', '1 EB', '99999999 P']) assert.throws(() => parseSize(text), text);
  });
});
