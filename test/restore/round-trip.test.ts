/** Backup, depot and restore together, compared by something that is none of them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { depotSource } from '../../src/depot/depot.ts';
import { type Limits, tinyLimits } from '../../src/model/limits.ts';
import { pathKeyOf } from '../../src/model/paths.ts';
import { restoreSnapshot } from '../../src/restore/restore.ts';
import type { RestoreReport } from '../../src/restore/restore-plan.ts';
import { listTree } from '../../src/sim/file-listing.ts';
import { BackupRig, noise, simulatedRig } from '../backup/rig.ts';
import { realWorld } from '../support/real-world.ts';

const root = process.getuid?.() === 0;
const never = new AbortController().signal;

function restoreAll(rig: BackupRig, target: string): Promise<RestoreReport> {
  const plan = {
    signed: rig.last!,
    keys: rig.keyStore,
    sources: [{ name: 'depot', source: depotSource(rig.depot) }],
    target: pathKeyOf(target),
    paths: [],
    overwrite: 'never',
    owners: 'numbers',
  } as const;
  return restoreSnapshot(rig.world, plan, never);
}

/** A line for everything, with all that must come back: made with node:fs alone. */
function listing(directory: Buffer, shown = '', first = new Map<bigint, string>()): string[] {
  const lines: string[] = [];
  const names = fs.readdirSync(directory, { encoding: 'buffer' }).sort((a, b) => Buffer.compare(a, b));
  for (const name of names) {
    const path = Buffer.concat([directory, Buffer.from('/'), name]);
    const stat = fs.lstatSync(path, { bigint: true });
    const here = `${shown}/${name.toString('latin1')}`;
    const words = [here, stat.mode.toString(8), stat.uid, stat.gid, stat.mtimeNs, stat.rdev];
    if (stat.isFile())
      words.push(stat.size, createHash('sha256').update(fs.readFileSync(path)).digest('hex'));
    if (stat.isSymbolicLink()) words.push(fs.readlinkSync(path, 'latin1'));
    if (!stat.isDirectory()) words.push(first.get(stat.ino) ?? 'first');
    if (!first.has(stat.ino)) first.set(stat.ino, here);
    lines.push(words.join(' '));
    if (stat.isDirectory()) lines.push(...listing(path, here, first));
  }
  return lines;
}

/** Difficult names, types, modes, times, links and contents. */
function makeTree(home: string): void {
  fs.mkdirSync(`${home}/deep/er/still`, { recursive: true });
  const names = [
    '\u0001',
    'a\nb',
    ' ',
    '-rf',
    '...',
    'A',
    '\\x41',
    'é',
    'e\u0301',
    'x'.repeat(255),
    '\u001b[31m',
  ];
  for (const name of names) fs.writeFileSync(`${home}/deep/${name}`, `called ${name}`);
  fs.writeFileSync(Buffer.concat([Buffer.from(`${home}/`), Buffer.from([0xff, 0xfe, 0x80])]), 'no UTF-8');
  for (const size of [0, 1, 16, 17, 64, 65, 1023, 4096, 16_384, 16_385, 300_000]) {
    fs.writeFileSync(`${home}/size ${size}`, noise(size, size));
    fs.writeFileSync(`${home}/zeros ${size}`, Buffer.alloc(size));
  }
  for (let at = 0; at < 200; at++) fs.writeFileSync(`${home}/deep/er/small ${at}`, noise(`s${at}`, at * 13));
  fs.writeFileSync(`${home}/sparse`, 'start');
  fs.truncateSync(`${home}/sparse`, 3_000_000);
  fs.writeFileSync(`${home}/linked`, noise('linked', 50_000));
  fs.linkSync(`${home}/linked`, `${home}/deep/linked too`);
  fs.linkSync(`${home}/linked`, `${home}/zz linked`);
  fs.symlinkSync('../nowhere', `${home}/dangling`);
  fs.symlinkSync('/etc/passwd', `${home}/absolute`);
  fs.symlinkSync('.', `${home}/deep/loop`);
  execFileSync('mkfifo', [`${home}/fifo`]);
  if (root) {
    execFileSync('mknod', [`${home}/null`, 'c', '1', '3']);
    fs.chownSync(`${home}/size 17`, 54_321, 54_322);
    fs.lchownSync(`${home}/dangling`, 54_321, 54_322);
  }
  fs.chmodSync(`${home}/size 16`, 0o4711);
  fs.chmodSync(`${home}/size 64`, root ? 0o000 : 0o400);
  execFileSync('touch', ['-d', '1969-12-31 23:59:59.123456789 UTC', `${home}/size 1`]);
  execFileSync('touch', ['-h', '-d', '1903-01-01 00:00:00.5 UTC', `${home}/dangling`]);
  execFileSync('touch', ['-d', '2100-01-01 00:00:00.000000001 UTC', `${home}/deep/er/still`]);
  fs.chmodSync(`${home}/deep/er`, 0o555);
  fs.chmodSync(`${home}/deep`, 0o1751);
}

const sizes: Record<string, Partial<Limits>> = { 'limits of production': {}, 'tiny limits': tinyLimits };
for (const [name, limits] of Object.entries(sizes)) {
  test(`a difficult tree comes back as it was: ${name}`, async () => {
    const world = await realWorld(limits);
    const home = `${world.directory}/home`;
    try {
      makeTree(home);
      const rig = await BackupRig.make({ world, depotPath: `${world.directory}/depot`, roots: [home] });
      const backup = await rig.take();
      assert.deepEqual(backup.problems, []);
      const report = await restoreAll(rig, `${world.directory}/target`);
      assert.deepEqual([report.problems, report.notes, report.complete], [[], [], true]);
      const restored = `${world.directory}/target${home}`;
      assert.deepEqual(listing(Buffer.from(restored)), listing(Buffer.from(home)));
      const { mode, mtimeNs } = fs.statSync(restored, { bigint: true });
      const was = fs.statSync(home, { bigint: true });
      assert.deepEqual([mode, mtimeNs], [was.mode, was.mtimeNs]);
      assert.ok(fs.statSync(`${restored}/sparse`).blocks * 512 < 1_000_000);
      await rig.depot.close();
    } finally {
      fs.chmodSync(`${home}/deep/er`, 0o755);
      if (fs.existsSync(`${world.directory}/target`))
        execFileSync('chmod', ['-R', 'u+rwX', `${world.directory}/target`]);
      await world.dispose();
    }
  });
}

test('the second of two backups restores to what was there at its time, with blocks of both', async () => {
  const { simulation, node, rig } = await simulatedRig();
  for (let at = 0; at < 60; at++) node.files.write(`/home/ann/${at % 5}/${at}`, noise(at, at * 777));
  await simulation.run({ for: 60_000 });
  await simulation.finish(rig.take());
  node.files.write('/home/ann/2/7', noise('changed', 40_000));
  node.files.remove('/home/ann/3/8');
  node.files.write('/home/ann/new', 'new');
  node.files.link('/home/ann/new too', '/home/ann/new');
  await simulation.run({ for: 60_000 });
  await simulation.finish(rig.take());
  const report = await simulation.finish(restoreAll(rig, '/target'));
  assert.deepEqual([report.problems, report.complete], [[], true]);
  assert.deepEqual(listTree(node.files.at('/target/home')), listTree(node.files.at('/home')));
});
