import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlockId, SnapshotId } from '../model/ids.ts';
import type { NodeState, SimulatedNode } from '../sim/node.ts';
import {
  type BuiltSnapshot,
  blocks,
  DEPOT,
  errorsOf,
  idsOf,
  newDepot,
  newNode,
  put,
  readAll,
  readIds,
  snapshotOf,
  testKeyring,
} from '../../test/support/depot-kit.ts';
import { Depot, type DepotAccess } from './depot.ts';
import type { Finding } from './findings.ts';

const one = blocks(8, 'one');
const two = blocks(8, 'two');

interface Fixture {
  readonly state: NodeState;
  readonly first: BuiltSnapshot;
  readonly second: BuiltSnapshot;
  /** Paths of the packs of both snapshots. */
  readonly packs: readonly [string, string];
  readonly keyring: string;
}

async function fixture(): Promise<Fixture> {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const [first, second] = [await snapshotOf(one), await snapshotOf(two, { sequence: 2 })];
  await put(depot, 'run-1', [...one, ...first.pages]);
  await put(depot, 'run-2', [...two, ...second.pages]);
  for (const { signed } of [first, second]) await depot.putManifest(signed);
  await depot.close();
  const packs = node.disk.paths().filter((path) => path.endsWith('.pack'));
  const keyring = node.disk.paths().find((path) => path.includes(testKeyring().hash))!;
  node.stop();
  return { state: node.snapshotState(), first, second, packs: packs as [string, string], keyring };
}

function nodeOf({ state }: Fixture): SimulatedNode {
  const node = newNode();
  node.restoreState(state);
  return node;
}

const damages = {
  flip: (node: SimulatedNode, path: string, at: number) => node.disk.corrupt(path, at, 0x40),
  zero: (node: SimulatedNode, path: string, at: number) => {
    const bytes = node.disk.bytesOf(path).slice(at, at + 512);
    node.disk.corrupt(path, at, bytes);
  },
  cut: (node: SimulatedNode, path: string, at: number) => node.disk.tree.file(path).truncate(at),
  remove: (node: SimulatedNode, path: string) => node.disk.tree.remove(path),
} as const;

type Damage = keyof typeof damages;

async function findingsOf(depot: Depot, data = true): Promise<Finding[]> {
  return await Array.fromAsync(depot.verify({ data }));
}

/** `severity code path snapshots`, the pack's and record's directory left out. */
function brief(findings: readonly Finding[], { first, second }: Fixture): string[] {
  const names = new Map([
    [first.signed.id, 'S1'],
    [second.signed.id, 'S2'],
  ]);
  const name = (path: string): string => {
    const last = path.split('/').at(-1)!;
    return names.get(last as SnapshotId) ?? last.replace(/\.0.*pack$/, '');
  };
  return findings.map(({ severity, code, path, snapshots }) =>
    [severity, code, name(path), ...snapshots.map((id) => names.get(id)!).sort()].join(' '),
  );
}

const BLOCK = 'error damaged-block run-1 S1';
const LACKS = 'error block-unavailable S1 S1';
const SHORT = 'error damaged-pack run-1 S1';
const ENDS = 'note damaged-pack run-1';

/** Where in the first snapshot's pack, and what a verification says that reads everything. */
const packCases: readonly [string, (pack: Uint8Array) => number, Damage, readonly string[], DepotAccess][] = [
  ['magic', () => 3, 'flip', [ENDS], 'write'],
  ['salt', () => 20, 'flip', [ENDS], 'write'],
  ['first block header', () => 32 + 6, 'flip', [LACKS, BLOCK], 'write'],
  ['first block length', () => 32 + 30, 'flip', [LACKS, BLOCK], 'write'],
  ['block body', () => 500, 'flip', [LACKS, BLOCK], 'read'],
  ['block body', () => 500, 'zero', [LACKS, BLOCK], 'write'],
  ['middle', (pack) => pack.length >> 1, 'cut', [ENDS, LACKS, SHORT], 'read'],
  ['all', () => 0, 'cut', [ENDS, LACKS, SHORT], 'write'],
  ['all', () => 0, 'remove', [LACKS, SHORT], 'read'],
  ['all', () => 0, 'remove', [LACKS], 'write'],
  ['trailer', (pack) => pack.length - 100, 'flip', [ENDS], 'read'],
  ['trailer', (pack) => pack.length - 100, 'zero', [ENDS], 'write'],
  ['trailer', (pack) => pack.length - 3, 'cut', [ENDS, ENDS], 'read'],
];

for (const [place, where, damage, expected, access] of packCases) {
  test(`${damage} of a pack's ${place} is found, open to ${access}, and the rest is read`, async () => {
    const made = await fixture();
    const node = nodeOf(made);
    const path = made.packs[0];
    damages[damage](node, path, where(node.disk.bytesOf(path)));
    const depot = await Depot.open(node.boot(), DEPOT, access);
    assert.deepEqual(brief(await findingsOf(depot), made).sort(), [...expected].sort());
    const [mine, others] = [idsOf([...one, ...made.first.pages]), idsOf([...two, ...made.second.pages])];
    assert.deepEqual(readIds(await readAll(depot, others)), others.toSorted());
    const errors = errorsOf(await readAll(depot, mine));
    const lost = expected.includes(LACKS);
    assert.equal(errors.size > 0, lost);
    if (damage === 'flip' || damage === 'zero') assert.ok(errors.size <= 1, 'only one block is hit');
    if (access === 'write') {
      const had = await depot.has(null, mine);
      assert.equal(had.size, mine.length - errors.size, 'what is damaged is not had');
    }
  });
}

test('without reading the data, only what packs and index say is found', async () => {
  const made = await fixture();
  const node = nodeOf(made);
  damages.flip(node, made.packs[0], 500);
  damages.cut(node, made.packs[1], 2000);
  const depot = await Depot.open(node.boot(), DEPOT, 'write');
  assert.deepEqual(brief(await findingsOf(depot, false), made), [
    'note damaged-pack run-2',
    'error block-unavailable S2 S2',
    'error damaged-pack run-2 S2',
  ]);
});

test('damage of a manifest, a keyring or a config is found by anybody', async () => {
  const made = await fixture();
  const manifest = `${DEPOT}/manifests/${made.first.signed.id}`;
  const size = nodeOf(made).disk.bytesOf(manifest).length;
  const cases: readonly [string, Damage, number, string][] = [
    [manifest, 'flip', 40, 'error damaged-manifest S1 S1'],
    // A signature can be checked only with the key, but its damage is found all the same.
    [manifest, 'flip', size - 40, 'error damaged-manifest S1 S1'],
    [manifest, 'zero', 0, 'error damaged-manifest S1 S1'],
    [manifest, 'cut', size - 1, 'error damaged-manifest S1 S1'],
    [manifest, 'cut', 0, 'error damaged-manifest S1 S1'],
    [made.keyring, 'flip', 100, `error damaged-keyring ${made.keyring.split('/').at(-1)} S1 S2`],
    [made.keyring, 'remove', 0, `error no-key ${made.keyring.split('/').at(-2)} S1 S2`],
    [made.keyring, 'cut', 10, `error damaged-keyring ${made.keyring.split('/').at(-1)} S1 S2`],
    [`${DEPOT}/config`, 'flip', 30, 'note damaged-config config'],
    [`${DEPOT}/config.spare`, 'cut', 30, 'note damaged-config config.spare'],
    [`${DEPOT}/config`, 'remove', 0, 'note damaged-config config'],
  ];
  for (const [path, damage, at, expected] of cases) {
    const node = nodeOf(made);
    damages[damage](node, path, at);
    const depot = await Depot.open(node.boot(), DEPOT, 'read');
    assert.deepEqual(brief(await findingsOf(depot, false), made), [expected], `${damage} ${path}`);
    const ids = idsOf([...one, ...two]);
    assert.equal(readIds(await readAll(depot, ids)).length, ids.length);
  }
});

test('a damaged manifest is told by whoever asks for it, and the others are listed', async () => {
  const made = await fixture();
  const node = nodeOf(made);
  const { id } = made.first.signed;
  damages.flip(node, `${DEPOT}/manifests/${id}`, 40);
  const depot = await Depot.open(node.boot(), DEPOT, 'read');
  await assert.rejects(depot.manifest(id), { code: 'damaged-manifest' });
  const listed = await Array.fromAsync(depot.manifests());
  assert.deepEqual(listed.map((signed) => ('error' in signed ? signed.error.code : 'good')).sort(), [
    'damaged-manifest',
    'good',
  ]);
});

test('a damaged index is made anew, or found out and then made anew', async () => {
  const made = await fixture();
  const everything = idsOf([...one, ...two, ...made.first.pages, ...made.second.pages]);
  const size = nodeOf(made).disk.bytesOf(`${DEPOT}/index.db`).length;
  let found = 0;
  for (let at = 0; at < size; at += 353) {
    const node = nodeOf(made);
    damages.flip(node, `${DEPOT}/index.db`, at);
    const depot = await Depot.open(node.boot(), DEPOT, 'write');
    const read = async (): Promise<BlockId[]> => await readAll(depot, everything).then(readIds, () => []);
    const findings = await findingsOf(depot);
    if ((await read()).length < everything.length) {
      found++;
      assert.ok(
        findings.some((finding) => finding.severity === 'error'),
        `byte ${at}`,
      );
    }
    await depot.rebuildIndex();
    assert.deepEqual(await read(), everything.toSorted(), `byte ${at}`);
    await depot.close();
  }
  assert.ok(found > 0);
});

test('an index that is cut, empty, of another program or of another version is made anew', async () => {
  const made = await fixture();
  const path = `${DEPOT}/index.db`;
  const harms: ((node: SimulatedNode) => void)[] = [
    (node) => damages.cut(node, path, 0),
    (node) => damages.cut(node, path, 5000),
    (node) => damages.zero(node, path, 0),
    // Bytes 60 to 63 of an SQLite file are its user_version.
    (node) => node.disk.corrupt(path, 63, 0x06),
  ];
  for (const harm of harms) {
    for (const access of ['write', 'read'] as const) {
      const node = nodeOf(made);
      harm(node);
      const depot = await Depot.open(node.boot(), DEPOT, access);
      assert.equal(readIds(await readAll(depot, idsOf([...one, ...two]))).length, 16);
      assert.deepEqual(await findingsOf(depot), []);
      await depot.close();
    }
  }
});

test('what was quarantined and is good again is taken back by a verification', async () => {
  const made = await fixture();
  const node = nodeOf(made);
  damages.flip(node, made.packs[0], 500);
  const depot = await Depot.open(node.boot(), DEPOT, 'write');
  assert.notDeepEqual(await findingsOf(depot), []);
  damages.flip(node, made.packs[0], 500);
  assert.equal((await depot.has(null, idsOf(one))).size, one.length - 1);
  assert.deepEqual(await findingsOf(depot), []);
  assert.equal((await depot.has(null, idsOf(one))).size, one.length);
});

test('two damaged copies are a loss, one of them is not', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const built = await snapshotOf(one);
  await put(depot, 'run-1', [...one, ...built.pages]);
  await put(depot, 'run-2', one);
  await depot.putManifest(built.signed);
  const [first, second] = node.disk.paths().filter((path) => path.endsWith('.pack')) as [string, string];
  const made = { first: built, second: built } as Fixture;
  damages.flip(node, first, 500);
  const reader = await Depot.open(node.boot({ beside: true }), DEPOT, 'read');
  assert.deepEqual(brief(await findingsOf(reader), made), ['error damaged-block run-1']);
  damages.flip(node, second, 500);
  assert.deepEqual(brief(await findingsOf(reader), { ...made, second: made.first }).sort(), [
    'error block-unavailable S2 S2',
    'error damaged-block run-1 S2',
    'error damaged-block run-2 S2',
  ]);
});

test('verify expects of a snapshot what the caller says this depot must hold', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const base = await snapshotOf(one);
  const next = await snapshotOf([...one, ...two], { base: base.signed.id, sequence: 2 });
  await put(depot, 'meta', base.pages);
  await put(depot, 'run-1', [...two, ...next.pages]);
  for (const { signed } of [base, next]) await depot.putManifest(signed);
  const expect = (signed: { id: SnapshotId }): 'manifest' | 'delta' =>
    signed.id === base.signed.id ? 'manifest' : 'delta';
  assert.deepEqual(await Array.fromAsync(depot.verify({ data: true, expect })), []);
  assert.equal((await findingsOf(depot)).length, 2);
  await depot.dropGroup('run-1', new Set(idsOf(next.pages)));
  const [finding] = await Array.fromAsync(depot.verify({ data: true, expect }));
  assert.equal(finding?.code, 'block-unavailable');
});

test('verify tells its progress and stops when asked', async () => {
  const made = await fixture();
  const depot = await Depot.open(nodeOf(made).boot(), DEPOT, 'read');
  const bytes: number[] = [];
  const onProgress = (progress: { bytes: number; bytesTotal?: number }): void => {
    bytes.push(progress.bytes, progress.bytesTotal!);
  };
  await Array.fromAsync(depot.verify({ data: true, onProgress }));
  assert.equal(bytes.at(-1), bytes.at(-2));
  assert.equal(bytes.length, 4);
  const stopped = depot.verify({ data: true, stop: AbortSignal.abort() });
  await assert.rejects(Array.fromAsync(stopped), { code: 'interrupted' });
});

test('a damaged keyring hurts nobody while a later one of its client is good', async () => {
  const made = await fixture();
  const node = nodeOf(made);
  const depot = await Depot.open(node.boot(), DEPOT, 'write');
  await depot.putKeyring(testKeyring('ann', 2));
  damages.flip(node, made.keyring, 50);
  const name = made.keyring.split('/').at(-1);
  assert.deepEqual(brief(await findingsOf(depot, false), made), [`error damaged-keyring ${name}`]);
  damages.remove(node, made.keyring);
  assert.deepEqual(await findingsOf(depot, false), []);
});

test('files among the packs that are none are told and left alone', async () => {
  const made = await fixture();
  const node = nodeOf(made);
  const world = node.boot();
  await (await world.disk.create(`${DEPOT}/packs/notes.txt`)).close();
  const depot = await Depot.open(world, DEPOT, 'write');
  assert.deepEqual(brief(await findingsOf(depot), made), ['note damaged-pack notes.txt']);
  assert.ok(node.disk.paths().includes(`${DEPOT}/packs/notes.txt`));
});
