import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { applyEdit, type Edit, edits } from '../../test/backup/edits.ts';
import {
  assertIsTree,
  noise,
  type SimulatedRig,
  type SimulatedRigOptions,
  simulatedRig,
} from '../../test/backup/rig.ts';
import { openManifestDetails } from '../format/manifest.ts';
import type { BackupMode } from './plan.ts';

interface Night {
  readonly edits: readonly Edit[];
  readonly quotaBytes: number | null;
  /** Whether a minute passes before the backup: else much of it is unsettled. */
  readonly settles: boolean;
}

const nights: fc.Arbitrary<readonly Night[]> = fc.array(
  fc.record(
    {
      edits: fc.array(edits, { maxLength: 25 }),
      quotaBytes: fc.option(fc.integer({ min: 0, max: 60_000 }), { freq: 3 }),
      settles: fc.boolean(),
    },
    { noNullPrototype: true },
  ),
  { minLength: 1, maxLength: 6 },
);

async function edit({ node, simulation }: SimulatedRig, night: Night): Promise<void> {
  for (const one of night.edits) if (applyEdit(node, one)) await simulation.run({ for: 1500 });
  if (night.settles) await simulation.run({ for: 60_000 });
}

async function begin(options: SimulatedRigOptions = {}): Promise<SimulatedRig> {
  const setup = await simulatedRig(options);
  setup.node.files.write('/home/always', noise('always', 300));
  return setup;
}

test('after every night of any history the snapshot is what the file system was', async () => {
  const modes = fc.constantFrom<BackupMode>('files', 'difference', 'depot');
  await fc.assert(
    fc.asyncProperty(nights, modes, async (history, spool) => {
      const setup = await begin();
      for (const night of history) {
        await edit(setup, night);
        const { signed } = await setup.rig.take({ spool, quotaBytes: night.quotaBytes });
        const { partialUntil } = openManifestDetails(setup.rig.keyStore, signed.manifest);
        await assertIsTree(setup, signed, partialUntil);
        if (spool === 'depot') await assertIsPresent(setup);
        else await setup.rig.assertBaseRule();
      }
    }),
    { numRuns: 25 },
  );
});

/** Every block that the last snapshot needs is in the depot. */
async function assertIsPresent({ rig }: SimulatedRig): Promise<void> {
  const needed = await rig.newRefs(rig.last!, null);
  assert.equal((await rig.depot.has(null, needed)).size, new Set(needed).size);
}

/** What must be the same whatever the machine: blocks in the order in which each group got them, tree, refs. */
async function outcome(
  history: readonly Night[],
  spool: BackupMode,
  options: SimulatedRigOptions,
): Promise<unknown[]> {
  const setup = await begin(options);
  const outcomes: unknown[] = [];
  for (const night of history) {
    await edit(setup, night);
    const { signed } = await setup.rig.take({ spool, quotaBytes: night.quotaBytes });
    const { tree, refs, counts, complete } = signed.manifest;
    outcomes.push({ tree, refs, counts, complete });
  }
  const groups = Object.groupBy(setup.rig.added, ({ group }) => group);
  const named = Object.entries(groups).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [group, blocks] of named) outcomes.push([group, blocks?.map(({ id }) => id)]);
  return outcomes;
}

test('the same files give the same blocks, tree and refs, whatever lanes, buffers and schedule', async () => {
  const modes = fc.constantFrom<BackupMode>('files', 'difference');
  const machines = fc.record({
    lanes: fc.integer({ min: 1, max: 6 }),
    fileReadBytes: fc.constantFrom(64, 1000, 4096, 100_000),
    schedule: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(nights, modes, machines, async (history, spool, { lanes, fileReadBytes, schedule }) => {
      const one = await outcome(history, spool, { lanes: 1 });
      const limits = { file_read_bytes: fileReadBytes };
      assert.deepEqual(await outcome(history, spool, { lanes, limits, scheduleSeed: schedule }), one);
    }),
    { numRuns: 12 },
  );
});
