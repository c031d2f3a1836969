import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, it } from 'node:test';
import { newProgram } from '../../src/cli/program.ts';
import { checkNames } from '../support/json-names.ts';
import { leavesOf, pathOf } from '../support/verbs.ts';
import { type Daemon, endsOfSuite, freeAddress, ok, relayInit, running, scratch, smallTree } from './kit.ts';

/** Every verb, with what it prints held against docs/json.md by the kit; most stand on those before them. */
const ends = endsOfSuite();
const walked = new Set<string>();
let folder: string;

/** One computer, one night. */
const SCENARIO =
  '{from: 2026-03-02 18:00, until: 2026-03-03 08:00, zone: UTC, center: {windows: any, capacity: 1 Gbit/s}, ' +
  'lines: {dsl: {capacity: 9 Mbit/s}}, clients: [{name: pc, count: 1, lines: [dsl], sizes: 1 MB, backup: 19:00}]}';

before(async () => {
  folder = await scratch(ends);
});

/** @param words of the verb; then its arguments */
async function walk(words: string, ...args: readonly string[]): Promise<Awaited<ReturnType<typeof ok>>> {
  walked.add(words);
  const ran = await ok([...words.split(' '), ...args]);
  for (const message of ran.messages) checkNames(message);
  return ran;
}

async function daemon(role: string, data: string): Promise<Daemon> {
  walked.add(`${role} run`);
  const started = await running(ends, [role, 'run', '--data', data]);
  ends.after(() => Promise.resolve(started.messages.forEach((message) => checkNames(message))));
  return started;
}

it('what every verb prints with --json has names in snake_case, and units that are told', async () => {
  const files = await smallTree(folder);
  await Promise.all([alone(files), fleet(files)]);
  const leaves = leavesOf(await newProgram()).map(pathOf);
  // The demo prints what these print; test/cli/demo.test.ts runs it. The others change how this machine starts.
  assert.deepEqual(
    leaves.filter((path) => !walked.has(path)),
    ['demo', 'service install', 'service remove'],
  );
});

async function alone(files: string): Promise<void> {
  const depot = ['--depot', join(folder, 'depot')];
  await walk('init', join(folder, 'depot'));
  const first = (await walk('backup', files, ...depot)).message('summary').snapshot;
  await writeFile(join(files, 'a.txt'), 'changed\n');
  const { snapshot } = (await walk('backup', files, ...depot)).message('summary');
  await walk('snapshots', ...depot);
  await walk('ls', 'latest', ...depot);
  await walk('find', 'a.txt', ...depot);
  await walk('diff', first, 'latest', ...depot);
  await walk('restore', 'latest', '--to', join(folder, 'out'), ...depot);
  await walk('verify', ...depot);
  await walk('key list', ...depot);
  const { id } = (await walk('key add', 'recovery', ...depot)).message('key_added');
  await walk('key share', join(folder, 'domain.key'), ...depot);
  await walk('key remove', id, ...depot);
  await walk('debug dump', snapshot, ...depot);
  await walk('doctor', files);
  const scenario = join(folder, 'one.yaml');
  await writeFile(scenario, SCENARIO);
  await walk('simulate', scenario);
}

async function fleet(files: string): Promise<void> {
  const [center, relay, agent, other] = ['c', 'r', 'a', 'o'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  const founded = async (name: string, data: string): Promise<void> => {
    const address = await freeAddress();
    const where = ['--name', name, '--data', data, '--listen', address, '--address', address];
    await walk('center init', ...where);
  };
  await founded('tokyo', center);
  await founded('oslo', other);
  await daemon('center', center);
  await walk('service print', 'center', '--data', center);
  const tokenOf = async (role: string, data: string, ...more: readonly string[]): Promise<string> =>
    (await walk(`${role} token`, '--data', data, ...more)).message('token').token;
  const [, ...init] = await relayInit('shop', '--data', relay);
  await walk('relay init', ...init.slice(1));
  await walk('relay join', await tokenOf('center', center, '--relay'), '--data', relay);
  const shop = await daemon('relay', relay);
  await walk('agent join', await tokenOf('relay', relay, '--name', 'ann'), '--data', agent);
  await walk('job add', 'docs', files, '--backup', 'manual', '--data', agent);
  await walk('job list', '--data', agent);
  await daemon('agent', agent);
  await walk('job run', 'docs', '--wait', '--data', agent);
  await writeFile(join(files, 'late.txt'), 'late\n');
  await walk('relay client hold', 'ann', '--for', '2 h', '--why', 'test', '--data', relay);
  await walk('job run', 'docs', '--data', agent);
  await shop.event('reception', ({ at }) => at !== 0);
  for (const [role, data] of [
    ['center', center],
    ['relay', relay],
  ] as const) {
    for (const verb of ['client list', 'status', 'plan', 'conditions', 'snapshots', 'ledger'])
      await walk(`${role} ${verb}`, '--data', data);
  }
  await walk('status', '--data', agent);
  const spooled = (await walk('spool list', '--data', agent)).message('spooled');
  await walk('spool discard', spooled.id, '--yes', '--data', agent);
  await walk('center client hold', 'shop', '--data', center);
  await walk('center client release', 'shop', '--data', center);
  await walk('relay client release', 'ann', '--data', relay);
  await walk('center client quota', 'shop', '1 GiB', '--data', center);
  await walk('relay client quota', 'ann', '1 GiB', '--data', relay);
  await walk('center pull', '--from', await tokenOf('center', center, '--peer'), '--data', other);
  await walk('job remove', 'docs', '--data', agent);
  await walk('agent release', 'tokyo', '--yes', '--data', agent);
  await walk('agent join', await tokenOf('center', center, '--name', 'ann'), '--data', agent);
  await walk('agent leave', 'tokyo', '--data', agent);
  await walk('relay release', 'tokyo', '--yes', '--data', relay);
  await walk('relay join', await tokenOf('center', center, '--relay'), '--data', relay);
  await walk('relay leave', 'tokyo', '--data', relay);
  await walk('relay client revoke', 'ann', '--data', relay);
  await walk('relay client let-in', 'ann', '--data', relay);
  await walk('center client revoke', 'shop', '--data', center);
  await walk('center client let-in', 'shop', '--data', center);
}
