/** What a lost or damaged block costs: the files that need it, and not one more (promise P2, faults I4 and I6). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { keyOf } from '../format/tree-page.ts';
import { TreeReader } from '../format/tree-reader.ts';
import { openBlock } from '../format/block.ts';
import type { Entry } from '../model/entries.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId } from '../model/ids.ts';
import { limits, tinyLimits } from '../model/limits.ts';
import { buildSnapshot, type BuiltSnapshot, type EntrySpec } from '../../test/support/build-snapshot.ts';
import { type MemorySource, OwnDisk } from '../../test/support/memory-source.ts';
import {
  foundIn,
  hashOf,
  inPlace,
  realPlace,
  restoreIn,
  shownPath,
  simulatedPlace,
  targetOf,
} from '../../test/support/restore-places.ts';

const bytes = (length: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, at) => (at * seed + (at >> 8) * 7 + seed) & 255));

/** Small files that share blocks, large ones that span windows, links, in several directories. */
function mixed(): EntrySpec[] {
  const specs: EntrySpec[] = [];
  for (let at = 0; at < 60; at++) {
    const directory = `d${at % 7}`;
    const content = bytes(at % 9 === 0 ? 50_000 + at : 40 + at * 37, at + 1);
    const link = at % 10 === 5 ? { inode: BigInt(at), link: { fileSystem: 0, inode: BigInt(at) } } : {};
    specs.push({ path: `${directory}/${at}`, content, ...link });
    if ('link' in link) specs.push({ path: `d9/${at}`, content, ...link });
  }
  for (let at = 0; at < 7; at++) specs.push({ path: `d${at}`, type: 'directory' });
  return specs;
}

/** Read with nothing of what is tested: which entries can be found, and which blocks does each need? */
async function truth(snapshot: BuiltSnapshot, gone: ReadonlySet<BlockId>): Promise<Map<string, Entry>> {
  const reader = new TreeReader(
    snapshot.signed.manifest.tree.id,
    async (id) => {
      if (gone.has(id)) throw new LowtideError('block-unavailable', 'gone');
      return openBlock(snapshot.keys, snapshot.blocks.get(id)!, 'tree', limits.block_bytes_max);
    },
    () => {},
  );
  const covered = new Map<string, number>();
  const whole = new Map<string, Entry>();
  for await (const records of reader.records()) {
    for (const record of records) {
      const shown = shownPath(keyOf(record));
      if (record.kind === 'entry') whole.set(shown, record.entry);
      const { extents } = record.kind === 'entry' ? record.entry : record;
      const here = extents.reduce(
        (sum, each) => sum + (each.kind === 'inline' ? each.bytes.length : each.length),
        0,
      );
      covered.set(shown, (covered.get(shown) ?? 0) + here);
      if (extents.some((each) => each.kind === 'data' && gone.has(each.block)))
        covered.set(shown, Number.NaN);
    }
  }
  const groups = new Set<bigint>();
  for (const [shown, { type, size, link }] of whole) {
    // A name of a file that is restored under an earlier one needs no block of its own.
    if (type !== 'file' || groups.has(link?.inode ?? -1n)) continue;
    if (covered.get(shown) !== size) whole.delete(shown);
    else if (link !== undefined) groups.add(link.inode);
  }
  return whole;
}

function filesOf(entries: ReadonlyMap<string, Entry>): Map<string, string> {
  const contents = new Map(
    mixed().flatMap(({ path, content }) =>
      content === undefined ? [] : [[path, hashOf(content as Buffer)]],
    ),
  );
  return new Map(
    [...entries].flatMap(([path, { type }]) => (type === 'file' ? [[path, contents.get(path)!]] : [])),
  );
}

function harm(source: MemorySource, id: BlockId, what: string, ids: readonly BlockId[]): void {
  const bytes = source.blocks.get(id)!;
  const other = ids[(ids.indexOf(id) + 1) % ids.length]!;
  if (what === 'gone') source.blocks.delete(id);
  else if (what === 'damaged') source.damage(id);
  else if (what === 'another') source.blocks.set(id, source.blocks.get(other)!);
  else source.blocks.set(id, bytes.subarray(0, bytes.length - 20));
}

test('whatever blocks and pages are gone, exactly the files that need them are', async () => {
  const snapshot = await buildSnapshot(mixed());
  const ids = [...snapshot.dataBlocks, ...snapshot.treePages.slice(0, -1)];
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.constantFrom(...ids), { maxLength: 5 }),
      fc.constantFrom('gone', 'damaged', 'another', 'cut'),
      fc.boolean(),
      async (chosen, what, own) => {
        const gone = new Set(chosen);
        const source = own ? new OwnDisk(snapshot.blocks) : snapshot.source();
        for (const id of gone) harm(source, id, what, ids);
        const place = simulatedPlace();
        const report = await restoreIn(place, snapshot, { sources: [source] });
        const found = await foundIn(place, targetOf(place));
        const expected = filesOf(await truth(snapshot, gone));
        const restored = [...found].flatMap(([path, { content }]) =>
          content === undefined ? [] : [[path, content]],
        );
        assert.deepEqual(new Map(restored as [string, string][]), expected);
        const pagesGone = chosen.filter((id) => snapshot.treePages.includes(id)).length;
        if (source instanceof OwnDisk) {
          for (const id of source.quarantined) assert.ok(gone.has(id));
          // Of a file that is lost for one block a later window does not look for the next.
          if (chosen.length === 1) assert.equal(source.quarantined.size, what === 'gone' ? 0 : 1);
        }
        assert.equal(
          report.complete,
          pagesGone === 0 && expected.size === snapshot.signed.manifest.counts.files,
        );
        assert.equal(report.files, expected.size);
        if (pagesGone > 0)
          assert.ok(report.problems.some(({ message }) => message.includes('a page of the tree is lost')));
      },
    ),
    { numRuns: 25 },
  );
});

inPlace(
  'what the own disk has damaged comes from elsewhere, and is found out there as if it had been looked at at once',
  realPlace,
  async (place) => {
    const snapshot = await buildSnapshot(mixed());
    const [own, center] = [new OwnDisk(snapshot.blocks), snapshot.source()];
    const damaged = snapshot.dataBlocks.filter((_, at) => at % 3 === 0);
    for (const id of damaged) own.damage(id);
    const report = await restoreIn(place, snapshot, { sources: [own, center] });
    assert.deepEqual([report.problems, report.notes, report.complete], [[], [], true]);
    const { files } = snapshot.signed.manifest.counts;
    const links = [...(await foundIn(place, targetOf(place)))].filter(
      ([, { type }]) => type === 'file',
    ).length;
    assert.deepEqual([report.files, links], [files, files]);
    assert.deepEqual(own.quarantined, new Set(damaged));
    assert.deepEqual(new Set(center.calls.flat()), new Set(damaged), 'nothing else comes from elsewhere');
    assert.ok(report.bySource[0]!.blocks > 0 && report.bySource[0]!.bytes > 0);
  },
);

inPlace('a lost block costs the files that need it, each named with its reason', realPlace, async (place) => {
  const snapshot = await buildSnapshot(mixed());
  const gone = [...snapshot.blocksOf('d3/3')][0]!;
  const source = snapshot.source();
  source.blocks.delete(gone);
  const report = await restoreIn(place, snapshot, { sources: [source] });
  const needing = snapshot.entries.filter((entry) => snapshot.blocksOf(shownPath(entry)).has(gone));
  assert.ok(needing.length > 1);
  assert.deepEqual(
    report.problems.map(({ path, code }) => `${path} ${code}`).sort(),
    needing.map((entry) => `/${shownPath(entry)} block-unavailable`),
  );
  assert.match(report.problems[0]!.message, /cannot be had: source 1 lacks it/);
  assert.deepEqual(
    [report.complete, report.files],
    [false, snapshot.signed.manifest.counts.files - needing.length],
  );
});

inPlace('a lost page is told with the keys that it held', simulatedPlace, async (place) => {
  const snapshot = await buildSnapshot(mixed());
  const source = snapshot.source();
  source.blocks.delete(snapshot.treePages[2]!);
  const report = await restoreIn(place, snapshot, { sources: [source] });
  assert.match(
    report.problems[0]!.message,
    /^a page of the tree is lost, so what the snapshot has from after \/d\d.* up to \/d\d.* is unknown: block/,
  );
});

inPlace(
  'without its top page nothing of a snapshot can be had, and nothing is written',
  simulatedPlace,
  async (place) => {
    const snapshot = await buildSnapshot(mixed());
    const source = snapshot.source();
    source.damage(snapshot.signed.manifest.tree.id);
    await assert.rejects(restoreIn(place, snapshot, { sources: [source] }), { code: 'damaged-block' });
    assert.equal((await foundIn(place, place.directory)).size, 0);
  },
);

inPlace(
  'each block comes from the first source that has it, and the report says how much',
  simulatedPlace,
  async (place) => {
    // Less than a window: no block is wanted twice.
    const snapshot = await buildSnapshot(mixed().slice(10, 18));
    const [spool, center] = [snapshot.source(), snapshot.source()];
    snapshot.dataBlocks.forEach((id, at) => (at % 3 === 0 ? spool.blocks.delete(id) : null));
    for (const id of snapshot.dataBlocks) if (spool.blocks.has(id)) center.blocks.delete(id);
    const report = await restoreIn(place, snapshot, { sources: [spool, center] });
    assert.deepEqual([report.problems, report.notes], [[], []]);
    const [fromSpool, fromCenter] = report.bySource;
    assert.deepEqual([fromSpool?.name, fromCenter?.name], ['source 1', 'source 2']);
    const lengths = (source: MemorySource, ids: readonly BlockId[]): number =>
      ids.reduce((sum, id) => sum + (source.blocks.get(id)?.length ?? 0), 0);
    assert.equal(fromSpool?.bytes, lengths(spool, [...snapshot.dataBlocks, ...snapshot.treePages]));
    assert.equal(fromCenter?.bytes, lengths(center, snapshot.dataBlocks));
    assert.equal(fromCenter?.blocks, Math.ceil(snapshot.dataBlocks.length / 3));
    assert.deepEqual([...spool.scopes], [snapshot.signed.id]);
  },
);

inPlace(
  'a source with wrong bytes costs nothing if another one has the right ones',
  simulatedPlace,
  async (place) => {
    const snapshot = await buildSnapshot(mixed());
    const [bad, good] = [snapshot.source(), snapshot.source()];
    for (const id of snapshot.blocks.keys()) bad.damage(id);
    const report = await restoreIn(place, snapshot, { sources: [bad, good] });
    assert.deepEqual([report.complete, report.bySource[0]?.blocks], [true, 0]);
    assert.deepEqual(
      report.notes.map(({ code }) => code),
      ['hash-mismatch'],
    );
    assert.match(report.notes[0]!.message, /^source 1 has \d+ blocks damaged/);
  },
);

inPlace('a source that fails now and then is asked again for the rest', simulatedPlace, async (place) => {
  const snapshot = await buildSnapshot(mixed());
  const source = snapshot.source();
  const fetch = source.fetch.bind(source);
  source.fetch = async function* (scope, ids) {
    let given = 0;
    for await (const block of fetch(scope, ids)) {
      yield block;
      if (++given === 5) throw new LowtideError('center-unreachable', 'the line broke');
    }
  };
  const report = await restoreIn(place, snapshot, { sources: [source] });
  assert.deepEqual([report.problems, report.complete], [[], true]);
  assert.match(report.notes[0]!.message, /source 1 failed \d+ times: the line broke/);
});

inPlace('what needs no block is restored without any', simulatedPlace, async (place) => {
  const specs = [...mixed(), { path: 'empty', content: '' }, { path: 'tiny', content: 'inline' }];
  const snapshot = await buildSnapshot(specs);
  const source = snapshot.source();
  for (const id of snapshot.dataBlocks) source.blocks.delete(id);
  const report = await restoreIn(place, snapshot, { sources: [source] });
  const found = await foundIn(place, targetOf(place));
  const files = [...found].filter(([, { type }]) => type === 'file').map(([path]) => path);
  assert.deepEqual(files, ['empty', 'tiny']);
  assert.equal(report.problemCount, snapshot.signed.manifest.counts.files - 2);
});

inPlace('a source that is gone for good is not asked for ever', simulatedPlace, async (place) => {
  const snapshot = await buildSnapshot(mixed());
  const source = snapshot.source();
  source.failure = { after: 20, error: new LowtideError('center-unreachable', 'no route') };
  const report = await restoreIn(place, snapshot, { sources: [source] });
  const callsThatGave = 20;
  // The tree and the content are asked for at the same time.
  assert.ok(source.calls.length <= callsThatGave + 4, `${source.calls.length} calls`);
  assert.equal(report.complete, false);
  assert.ok(report.problems.some(({ message }) => message.includes('source 1 does not give it (no route)')));
  assert.match(report.notes[0]!.message, /source 1 failed [34] times, and was not asked again: no route/);
});

inPlace(
  'blocks are asked for many at once, and a file larger than a window is restored',
  simulatedPlace,
  async (place) => {
    const size = 12 * 16 * tinyLimits.chunk_bytes_max;
    const content = bytes(size, 5);
    for (let at = 0; at < size; at += 1024) content.writeUInt32BE(at, at);
    const snapshot = await buildSnapshot([{ path: 'huge', content }]);
    const source = snapshot.source();
    const report = await restoreIn(place, snapshot, { sources: [source] });
    assert.deepEqual([report.complete, report.bytes], [true, size]);
    assert.equal((await foundIn(place, targetOf(place))).get('huge')?.content, hashOf(content));
    assert.equal(source.given, new Set([...snapshot.dataBlocks, ...snapshot.treePages]).size);
    const perCall = source.given / source.calls.length;
    assert.ok(perCall > tinyLimits.ids_per_message / 4, `${perCall} ids a call`);
  },
);
