import type { BlockWriter } from '../depot/block-writer.ts';
import type { Depot } from '../depot/depot.ts';
import { LowtideError } from '../model/errors.ts';
import { pathKeyOf } from '../model/paths.ts';
import type { World } from '../world/ports.ts';
import { AttributeReader, withAttributes } from './read/attributes.ts';
import { type Base, hasFilesWithin, openBase } from './base/tree.ts';
import { BlockCopies } from './blocks/block-copies.ts';
import { BlockTable, SPARSE } from './blocks/block-table.ts';
import { ChunkStore } from './chunks/chunk-store.ts';
import { Emitter } from './output/emitter.ts';
import { Excludes } from './walk/excludes.ts';
import { KnownChunks, sparseBlocksPath } from './chunks/known-chunks.ts';
import { mergeWithBase } from './base/merge.ts';
import { NewBlocks } from './blocks/new-blocks.ts';
import { Pipeline } from './pipeline.ts';
import type { BackupPlan, BackupResult } from './plan.ts';
import { Problems } from './problems.ts';
import { lookAtRoots, type Root } from './walk/roots.ts';
import { readSparseBlocks, Renewal, writeSparseBlocks } from './blocks/sparse-blocks.ts';
import { signSnapshot, type Taken } from './snapshot-manifest.ts';
import { TreeOutput } from './output/tree-output.ts';
import { walk } from './walk/walk.ts';

/** So many blocks' worth of files is moved out of mostly dead blocks in one run: 64 MiB. */
const RENEWED_BLOCKS = 64;

/** What one run works with. */
interface Run {
  readonly world: World;
  readonly depot: Depot;
  readonly plan: BackupPlan;
  readonly roots: readonly Root[];
  readonly table: BlockTable;
  readonly base: Base | null;
  readonly known: KnownChunks;
  readonly problems: Problems;
  readonly writers: ReadonlySet<BlockWriter>;
  readonly data: NewBlocks;
  /** Pages of tree and refs. */
  readonly pages: NewBlocks;
}

/**
 * Takes one backup into a depot (SEED 111, S2). All blocks are durable before the manifest is put, which is the commit
 * point. If it throws, nothing was committed: the caller drops the plan's data group.
 *
 * What cannot be read is left out of the snapshot even if the base had it, reported and counted; the rest goes on.
 * @throws LowtideError `source-missing`, `source-empty`, `source-unreadable` for a root; `interrupted` when `stop`
 * aborts; `disk-full`, `disk-failed`; `damaged-page`, `block-unavailable` ... if the base's refs cannot be read
 */
export async function takeBackup(
  world: World,
  depot: Depot,
  plan: BackupPlan,
  stop: AbortSignal,
): Promise<BackupResult> {
  const startedAt = world.clock.now();
  const run = await openRun(world, depot, plan);
  try {
    const taken = await take(run, stop);
    for (const writer of run.writers) await writer.finish();
    // Durable before the manifest: once it is collected, what the index is made from may go.
    await run.known.finish(taken.tree.id);
    await keepSparseBlocks(run, taken);
    const times = { startedAt, finishedAt: world.clock.now() };
    const signed = signSnapshot(world.limits, plan, taken, run.problems, times);
    if (stop.aborted) throw new LowtideError('interrupted', 'the backup was stopped: nothing was committed');
    await depot.putManifest(signed);
    return {
      signed,
      storedBytes: run.data.storedBytes + run.pages.storedBytes,
      storedBlocks: run.data.storedBlocks + run.pages.storedBlocks,
      counts: signed.manifest.counts,
      problems: run.problems.first,
      unchanged: taken.unchanged,
      complete: signed.manifest.complete,
    };
  } catch (error) {
    for (const writer of run.writers) await writer.abandon().catch(() => undefined);
    throw error;
  } finally {
    await run.base?.settled();
    await run.known.close().catch(() => undefined);
  }
}

async function openRun(world: World, depot: Depot, plan: BackupPlan): Promise<Run> {
  const roots = await lookAtRoots(world.files, plan.roots);
  const table = new BlockTable();
  const base = await openBase(world, depot, plan, table);
  if (base !== null && plan.spool !== 'depot') await markSparseBlocks(world, depot, base, table);
  const known = new KnownChunks(world, depot, plan, base, table);
  const dataWriter = depot.writer(plan.dataGroup, 'late');
  const pageWriter = plan.metaGroup === plan.dataGroup ? dataWriter : depot.writer(plan.metaGroup);
  const asked = plan.spool === 'depot' ? depot : null;
  const dataCopies = new BlockCopies(world.disk, world.limits);
  const pageCopies = pageWriter === dataWriter ? dataCopies : new BlockCopies(world.disk, world.limits);
  return {
    world,
    depot,
    plan,
    roots,
    table,
    base,
    known,
    problems: new Problems(world.monitor),
    writers: new Set([dataWriter, pageWriter]),
    data: new NewBlocks(dataWriter, asked, dataCopies),
    pages: new NewBlocks(pageWriter, asked, pageCopies),
  };
}

async function markSparseBlocks(world: World, depot: Depot, base: Base, table: BlockTable): Promise<void> {
  const { job, tree } = base.signed.manifest;
  for (const id of await readSparseBlocks(world, sparseBlocksPath(depot.path, job), tree.id)) {
    const number = table.find(id);
    if (number >= 0) table.mark(number, SPARSE);
  }
}

async function take(run: Run, stop: AbortSignal): Promise<Taken> {
  const { world, plan, table, base, known, problems, data } = run;
  const { limits } = world;
  const output = new TreeOutput({
    limits,
    table,
    keys: plan.keys,
    level: plan.level,
    writer: run.pages,
    baseRefsPages: base?.refsPages ?? null,
    baseTreePages: base?.treePages ?? null,
  });
  const store = new ChunkStore(world, plan, { known, table, writer: data });
  const emitter = new Emitter(limits, table, store.blocks, output);
  const attributes = new AttributeReader(world, problems);
  const pipeline = new Pipeline({ world, plan, store, emitter, attributes, problems, stop });
  const renewal = new Renewal(table, limits.chunk_bytes_min, RENEWED_BLOCKS * limits.block_plain_bytes);
  const steps = mergeWithBase(walkOf(run), base, renewal, limits);
  await pipeline.run(withAttributes(attributes, steps));
  problems.finish();
  const { counts, partialUntil } = emitter;
  const ends = await output.finish();
  const sparse = output.live.sparse(table);
  return { ...ends, counts, partialUntil, unchanged: pipeline.unchanged, sparse };
}

/** Alone, others may use what this job does not: there it is for pruning to say what is dead. */
async function keepSparseBlocks({ world, depot, plan }: Run, { tree, sparse }: Taken): Promise<void> {
  if (plan.spool === 'depot' || tree.id === plan.base?.manifest.tree.id) return;
  await writeSparseBlocks(world, sparseBlocksPath(depot.path, plan.job), tree.id, sparse);
}

function walkOf({ world, depot, plan, roots, base }: Run): ReturnType<typeof walk> {
  return walk(world.files, roots, {
    excludes: new Excludes(plan.excludes),
    excludeCaches: plan.excludeCaches,
    oneFileSystem: plan.oneFileSystem,
    leftOut: pathKeyOf(depot.path),
    expectsFiles: async (root) => base !== null && (await hasFilesWithin(base, root)),
  });
}
