import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Finding } from '../src/depot/findings.ts';
import { openVoid } from '../src/format/void-record.ts';
import type { Secret } from '../src/format/keyring-slots.ts';
import { parseRecoverySheet } from '../src/format/recovery-sheet.ts';
import { openBlock } from '../src/format/block.ts';
import { TreeReader } from '../src/format/tree-reader.ts';
import type { Extent } from '../src/model/entries.ts';
import type { SnapshotId } from '../src/model/ids.ts';
import { pathKeyOf } from '../src/model/paths.ts';
import { type AloneDepot, aloneReading, openAlone } from '../src/node/alone/alone.ts';
import { restoreSnapshot } from '../src/restore/restore.ts';
import { type Listed, type Listing, listTree } from './support/list-tree.ts';
import { realWorld, type TestWorld } from './support/real-world.ts';

const fixture = fileURLToPath(new URL('fixtures/depot-v1/', import.meta.url));
const read = (name: string): string => readFileSync(fixture + name, 'utf8');
const isRoot = process.getuid?.() === 0;

/** The whole tree of each snapshot. */
function wholeListings(): { snapshot: SnapshotId; root: string; tree: Listed[] }[] {
  let tree = new Map<string, Listed>();
  let root = '';
  return (JSON.parse(read('listing.json')) as Listing[]).map((listing) => {
    if (listing.root !== root) tree = new Map();
    root = listing.root;
    for (const entry of listing.listed) tree.set(entry.path, entry);
    for (const path of listing.gone) tree.delete(path);
    const sorted = [...tree.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    return { snapshot: listing.snapshot as SnapshotId, root, tree: sorted };
  });
}

/** Owners and set-id bits come back only for root. */
function comparable(entry: Listed): object {
  if (isRoot) return entry;
  const { uid: _uid, gid: _gid, mode, ...rest } = entry;
  return { ...rest, mode: (Number.parseInt(mode, 8) & 0o1777).toString(8) };
}

describe('a depot of format 1 goes on being read', () => {
  let world: TestWorld;
  const secret: Secret = { kind: 'passphrase', passphrase: read('password').trimEnd() };

  before(async () => {
    world = await realWorld();
    cpSync(`${fixture}depot`, `${world.directory}/depot`, { recursive: true });
  });
  after(() => world.dispose());

  const open = (with_: Secret = secret): Promise<AloneDepot> =>
    openAlone(world, `${world.directory}/depot`, with_, 'write');

  it('every snapshot restores to what was there', async () => {
    const alone = await open();
    try {
      const reading = aloneReading(world, alone);
      for (const { snapshot, root, tree } of wholeListings()) {
        const target = `${world.directory}/restored-${snapshot.slice(0, 8)}`;
        const plan = {
          signed: await reading.manifest(snapshot),
          keys: reading.keys,
          sources: reading.sources,
          target: pathKeyOf(target),
          paths: [],
          overwrite: 'never',
          owners: isRoot ? 'numbers' : 'none',
        } as const;
        const report = await restoreSnapshot(world, plan, new AbortController().signal);
        assert.deepEqual(report.problems, []);
        assert.deepEqual(listTree(target + root).map(comparable), tree.map(comparable));
      }
    } finally {
      await alone.depot.close();
    }
  });

  it('it verifies without a key', async () => {
    const alone = await open();
    try {
      const findings: Finding[] = await Array.fromAsync(alone.depot.verify({ data: true }));
      assert.deepEqual(
        findings.filter((finding) => finding.severity === 'error'),
        [],
      );
      const { keyring, hash } = (await alone.depot.keyrings()).at(-1)!;
      assert.deepEqual([keyring.version, keyring.epochs.length, keyring.slots.length], [2, 2, 2]);
      assert.equal(alone.keyring.signed.hash, hash);
      const bytes = await alone.depot.voidRecord('ab'.repeat(32) as SnapshotId);
      assert.equal(openVoid(bytes!, keyring.instances[0]!.publicKey).reason, 'for the fixture');
    } finally {
      await alone.depot.close();
    }
  });

  it('the recovery sheet opens it too', async () => {
    const sheet = parseRecoverySheet(read('recovery-sheet.txt'));
    const alone = await open({ kind: 'recovery', secret: sheet.secret });
    await alone.depot.close();
    assert.equal(alone.keyring.signed.keyring.client, sheet.client);
  });

  it('it holds what it is there for', async () => {
    const alone = await open();
    try {
      const reading = aloneReading(world, alone);
      const { manifest } = await reading.manifest(wholeListings()[0]!.snapshot);
      const load = async (id: Parameters<typeof alone.depot.readOne>[0]) =>
        openBlock(reading.keys, await alone.depot.readOne(id), 'tree', world.limits.block_bytes_max);
      const tree = new TreeReader(manifest.tree.id, load);
      const kinds = new Set<Extent['kind']>();
      const types = new Set<string>();
      let leaves = 0;
      let linked = 0;
      let chunksMax = 0;
      for await (const records of tree.records()) {
        leaves++;
        for (const record of records) {
          if (record.kind !== 'entry') continue;
          const { entry } = record;
          types.add(entry.type);
          if (entry.link !== undefined) linked++;
          for (const extent of entry.extents) kinds.add(extent.kind);
          chunksMax = Math.max(chunksMax, entry.extents.length);
        }
      }
      assert.deepEqual([...kinds].sort(), ['data', 'hole', 'inline']);
      assert.deepEqual([...types].sort(), ['directory', 'fifo', 'file', 'symlink']);
      assert.ok(leaves > 1 && linked === 3 && chunksMax > 3, JSON.stringify({ leaves, linked, chunksMax }));
    } finally {
      await alone.depot.close();
    }
  });
});
