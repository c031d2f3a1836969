import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { appendHistory } from '../../src/ledger/history.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { HOUR_MS } from '../../src/model/time.ts';
import { addRow } from '../support/ledger-kit.ts';
import { realWorld } from '../support/real-world.ts';
import { lowtide, makeCenter } from './kit.ts';

const folder = mkdtempSync(join(tmpdir(), 'lowtide-simulate-'));
const example = join(import.meta.dirname, '../../examples/scenarios/branches.yaml');
after(() => rmSync(folder, { recursive: true }));

/** A center that three backups were offered to an hour ago and that had them a minute later. */
async function centerWithPast(): Promise<string> {
  const { data } = await makeCenter(folder);
  const world = await realWorld();
  const ledger = await Ledger.open(world, join(data, 'ledger.db'));
  const hourAgo = Date.now() - HOUR_MS;
  for (const sequence of [1, 2, 3]) {
    const facts = { newBytes: 600_000_000, newBlocks: 600, packGroup: null, knownAt: hourAgo };
    const id = await addRow(ledger, { sequence, takenAt: hourAgo, facts });
    await appendHistory(ledger.db, id, 'offered', hourAgo);
    await appendHistory(ledger.db, id, 'ordered', hourAgo + 1000);
    await appendHistory(ledger.db, id, 'arrived', hourAgo + 61_000, { bytes: 600_000_000 });
  }
  await ledger.close();
  await world.dispose();
  return data;
}

const good = `zone: UTC
from: 2026-03-02 18:00
until: 2026-03-03 08:00
center: { windows: 20:00-06:00, capacity: 100 Mbit/s }
lines:
  north: { capacity: 10 Mbit/s }
clients:
  - { name: pc, count: 3, lines: [north], sizes: 100 MB, backup: 19:00 }
`;

/** What the verb says about a scenario file with something wrong in it. */
async function complaint(text: string): Promise<string> {
  const file = join(folder, 'scenario.yaml');
  writeFileSync(file, text);
  const { exit, stderr } = await lowtide(['simulate', file]);
  assert.equal(exit, 1);
  return stderr.slice(stderr.indexOf('scenario.yaml'));
}

describe('lowtide simulate', () => {
  it('prints figures and lines, and draws a picture', async () => {
    const svg = join(folder, 'night.svg');
    const { exit, stdout } = await lowtide(['simulate', example, '--svg', svg]);
    assert.equal(exit, 0);
    assert.match(stdout, /^110 computers, 110 snapshots of /);
    assert.match(stdout, /\nall collected after +/);
    assert.match(stdout, /\nline +collected +mean +peak/);
    const picture = readFileSync(svg, 'utf8');
    assert.match(picture, /^<svg xmlns=/);
    assert.match(picture, /Three branches, one night/);
    assert.ok(!picture.includes('NaN') && !picture.includes('undefined'));
  });

  it('gives the same to scripts, and the same again from the same seed', async () => {
    const run = async (seed: string): Promise<string> =>
      (await lowtide(['simulate', example, '--json', '--seed', seed])).stdout;
    const first = await run('5');
    assert.equal(await run('5'), first);
    assert.notEqual(await run('6'), first);
    const lines = first
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(new Set(lines.map((line) => line['message_type'])), new Set(['line', 'summary']));
    const summary = lines.at(-1)!;
    assert.equal(summary['ready'], 110);
    assert.equal(summary['seed'], '5');
  });

  it('names line, column and the nearest key when something in the file is wrong', async () => {
    assert.match(
      await complaint(good.replace('{ capacity: 10 M', '{ capacty: 10 M')),
      /^scenario.yaml:6:12: unknown key capacty: .*did you mean capacity\?/,
    );
    assert.match(
      await complaint(good.replace('sizes: 100 MB', 'sizes: { medain: 1 GB }')),
      /^scenario.yaml:8:\d+: unknown key medain: .*did you mean median\?/,
    );
    assert.match(
      await complaint(good.replace('10 Mbit/s', '0 Mbit/s')),
      /^scenario.yaml:6:22: .*a rate above 0/,
    );
    assert.match(
      await complaint(good.replace('[north]', '[norht]')),
      /^scenario.yaml:8:\d+: there is no line norht; did you mean north\?/,
    );
    assert.match(
      await complaint(good.replace('backup: 19:00', 'backup: "19"')),
      /^scenario.yaml:8:\d+: "19" is not a time of day/,
    );
    assert.match(
      await complaint(good.replace('UTC', 'Europa/Berlin')),
      /^scenario.yaml:1:7: .*Europe\/Berlin/,
    );
    assert.match(
      await complaint(good.replace('backup:', 'windows: 10:00-12:00, backup:')),
      /^scenario.yaml:8:\d+: .*never open at the same time/,
    );
    assert.match(
      await complaint(good.replace('count: 3', 'count: 0')),
      /^scenario.yaml:8:\d+: .*expected 1 or more/,
    );
    assert.match(await complaint('- 1\n'), /^scenario.yaml:1:1: /);
    const second = '  - { name: pc, count: 2, sizes: 1 GB }\n';
    assert.match(await complaint(good + second), /^scenario.yaml:9:\d+: there are two groups named pc/);
    const narrow = good.replace('sizes: 100 MB', 'sizes: { median: 1 GB, p95: 2 GB, most: 1 MB }');
    assert.match(await complaint(narrow), /^scenario.yaml:8:\d+: expected at least p95/);
    const backwards = good.replace('sizes: 100 MB', 'sizes: { least: 1 GB, most: 1 MB }');
    assert.match(await complaint(backwards), /^scenario.yaml:8:\d+: expected no less than least/);
  });

  it("plays a center's own past again, with other hours", async () => {
    const data = await centerWithPast();
    const { exit, stdout } = await lowtide(['simulate', '--history', data, '--days', '7', '--streams', '1']);
    assert.equal(exit, 0);
    assert.match(stdout, /^1 computer, 3 snapshots of 1.7 GiB: all collected /);
    // 10 MB/s, as it was seen to send: one minute each, one after another.
    assert.match(stdout, /as it was +3 +1 min 01 s +1 min 01 s +1 min 01 s\n/);
    assert.match(stdout, /as it would be +3 +2 min 0\d s +3 min 0\d s +3 min 0\d s\n/);
    const closed = await lowtide(['simulate', '--history', data, '--windows', 'never']);
    assert.match(closed.stdout, /nothing can travel in this time/);
    // What center.yaml allows counts, and what is given instead of it.
    const slow = join(data, 'center.yaml');
    writeFileSync(slow, readFileSync(slow, 'utf8').replace('\nrate: unlimited', '\nrate: 5 MB/s'));
    const again = await lowtide(['simulate', '--history', data, '--streams', '1']);
    assert.match(again.stdout, /as it would be +3 +4 min 0\d s +6 min 0\d s +6 min 0\d s\n/);
    const faster = await lowtide(['simulate', '--history', data, '--streams', '1', '--rate', 'unlimited']);
    assert.match(faster.stdout, /as it would be +3 +2 min 0\d s +3 min 0\d s +3 min 0\d s\n/);
  });

  it('refuses options that would count for nothing', async () => {
    const said = async (...args: readonly string[]): Promise<string> => {
      const { exit, stderr } = await lowtide(['simulate', ...args]);
      assert.equal(exit, 1);
      return stderr;
    };
    assert.match(await said(example, '--history', folder), /one of them/);
    assert.match(await said(example, '--windows', 'never'), /--windows goes with --history only/);
    assert.match(await said(example, '--days', '3'), /--days goes with --history only/);
    assert.match(await said('--history', folder, '--seed', '3'), /--seed goes with a scenario file only/);
  });
});
