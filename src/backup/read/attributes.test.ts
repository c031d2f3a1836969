import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertIsTree, noise, type SimulatedRig, simulatedRig } from '../../../test/backup/rig.ts';
import { decodeAttributes } from '../../format/attributes.ts';
import { openManifestDetails } from '../../format/manifest.ts';
import { tinyLimits } from '../../model/limits.ts';

const MINUTE = { for: 60_000 };

/** How often attributes of a path were asked for. */
function askedIn({ rig }: SimulatedRig): Map<string, number> {
  const asked = new Map<string, number>();
  const { files } = rig.world;
  const attributes = files.attributes.bind(files);
  files.attributes = (directory, entries) => {
    for (const { name } of entries) asked.set(name, (asked.get(name) ?? 0) + 1);
    return attributes(directory, entries);
  };
  return asked;
}

async function prepared(): Promise<SimulatedRig> {
  const setup = await simulatedRig();
  const { files } = setup.node;
  files.accounts.set(1000, 'ann');
  files.write('/home/small', 'small');
  files.write('/home/empty', '');
  files.write('/home/large', noise('large', 100_000));
  files.link('/home/large too', '/home/large');
  files.symlink('/home/link', 'small');
  files.special('/home/fifo', 'fifo');
  for (const name of ['small', 'empty', 'large', 'link', 'fifo', ''])
    files.setXattr(`/home/${name}`, 'user.of', `the ${name}`);
  files.setXattr('/home/large', 'security.capability', '\u0001\u0000');
  files.setXattr('/home', 'system.posix_acl_default', 'list');
  files.setFlags('/home/small', 0x10);
  files.setFlags('/home', 0x40);
  await setup.simulation.run(MINUTE);
  return setup;
}

test('attributes and flags of every type are kept, and the names of owners', async () => {
  const setup = await prepared();
  const { signed, problems } = await setup.rig.take();
  await assertIsTree(setup, signed);
  assert.deepEqual(problems, []);
  const entry = (await setup.rig.entries(signed)).get('/home/large')!;
  const { owner, group, xattrs } = decodeAttributes(entry.extra!);
  assert.deepEqual([owner, group, xattrs.length], ['ann', 'ann', 2]);
});

test('of what is unchanged no attribute is asked, and a changed one is seen by the ctime', async () => {
  const setup = await prepared();
  await setup.rig.take();
  await setup.simulation.run(MINUTE);
  const asked = askedIn(setup);
  const second = await setup.rig.take();
  assert.deepEqual([[...asked], second.storedBlocks], [[], 0]);
  setup.node.files.setXattr('/home/link', 'user.of', 'another');
  setup.node.files.setXattr('/home/large', 'user.of', null);
  await setup.simulation.run(MINUTE);
  const { signed } = await setup.rig.take();
  await assertIsTree(setup, signed);
  assert.deepEqual(Object.fromEntries(asked), { large: 1, 'large too': 1, link: 1 });
});

test('an attribute that changes while the backup runs is seen by the next one', async () => {
  const setup = await prepared();
  const { rig, node, simulation } = setup;
  await rig.take();
  await simulation.run(MINUTE);
  node.files.setXattr('/home/link', 'user.of', 'first');
  node.files.write('/home/small', 'other');
  await rig.take();
  // Within the tick of a coarse clock: the change time stays what it was.
  const before = node.files.at('/home/link').ctime;
  node.files.setXattr('/home/link', 'user.of', 'second');
  node.files.at('/home/link').ctime = before;
  await simulation.run(MINUTE);
  await assertIsTree(setup, (await rig.take()).signed);
});

test('what the source does not give is counted, told in one line a kind, and kept in the snapshot', async () => {
  const { rig, node, simulation } = await prepared();
  node.files.faults.inject({ kind: 'files.attributes', path: '/home/', times: Infinity });
  const { signed, problems, counts } = await rig.take();
  assert.equal(counts.problems, 0);
  assert.deepEqual(
    problems.map(({ code, path, severity }) => [code, path, severity]),
    [['not-given', '/home/empty', 'note']],
  );
  assert.match(problems[0]!.message, /^extended attributes of 6 names, this one first: \/home\/empty: /);
  const kept = openManifestDetails(rig.keyStore, signed.manifest).problems;
  assert.deepEqual(
    kept.map(({ message }) => message),
    [problems[0]!.message],
  );
  await simulation.run(MINUTE);
});

test('more extended attributes than a snapshot holds are left out and counted', async () => {
  const { rig, node, simulation } = await simulatedRig();
  node.files.write('/home/a', 'x');
  node.files.setXattr('/home/a', 'user.large', 'x'.repeat(tinyLimits.xattr_bytes_max));
  node.files.setXattr('/home/a', 'user.small', 'y');
  await simulation.run(MINUTE);
  const { signed, problems } = await rig.take();
  assert.match(problems[0]!.message, /^extended attributes of one name: \/home\/a has more/);
  const { xattrs } = decodeAttributes((await rig.entries(signed)).get('/home/a')!.extra!);
  assert.deepEqual(
    xattrs.map(({ name }) => name),
    ['user.small'],
  );
});
