import { isLowtideError, type LowtideError } from '../model/errors.ts';
import type { Monitor } from '../world/ports.ts';
import type { PackRow } from './index-rows.ts';
import { isIndexDamage } from './index-schema.ts';
import type { PackRoom } from './pack-file.ts';
import { parsePackName } from './pack-format.ts';
import { readPack } from './pack-scan.ts';

interface Reconciliation {
  /** Packs that the index did not know. */
  readonly found: readonly Taken[];
  /** Names of packs that the index knew and that are gone. */
  readonly vanished: readonly string[];
}

/**
 * Brings index and directory together after whatever happened: finishes what a crash left half done, takes in packs
 * that the index does not know, drops from it those that are gone. May itself be interrupted anywhere and run again.
 */
async function reconcile(room: PackRoom): Promise<Reconciliation> {
  const { index, store } = room;
  await index.absolveAll();
  const names = new Set(await store.list());
  const rows = await index.packs();
  await finishDrops(
    room,
    rows.filter((row) => row.state === 'dropped'),
  );
  const vanished: PackRow[] = [];
  for (const row of rows) {
    if (room.active.has(row.key) || row.state === 'dropped') continue;
    if (row.state === 'open') await closeOpen(room, row, names.has(row.name));
    if (row.bytes > 0 && !names.has(row.name)) vanished.push(row);
  }
  await index.forgetPacks(vanished.map((row) => row.key));
  const known = new Set(rows.map((row) => row.name));
  const found: Taken[] = [];
  for (const name of names) {
    if (!known.has(name) && parsePackName(name) !== null) found.push(await takeIn(room, name, null));
  }
  return { found, vanished: vanished.map((row) => row.name) };
}

/** Their rows say that nothing of them counts: only the files may still be there. */
export async function finishDrops(room: PackRoom, rows: readonly PackRow[]): Promise<void> {
  if (rows.length === 0) return;
  await room.store.remove(rows.map((row) => row.name));
  await room.index.forgetPacks(rows.map((row) => row.key));
}

/**
 * A pack that a crash left open: its row says how much of it was ever acknowledged. The rest is cut off, not taken in:
 * nobody was told of it, and of a pack whose sync failed it may be in memory only.
 */
async function closeOpen(room: PackRoom, row: PackRow, exists: boolean): Promise<void> {
  const { index, store } = room;
  if (row.bytes === 0) {
    if (exists) await store.remove([row.name]);
    await index.forgetPacks([row.key]);
    return;
  }
  // First what gives space back: the disk may be full.
  if (exists && ((await store.size(row.name)) ?? 0) > row.bytes) await store.cut(row.name, row.bytes);
  await index.setPackState(row.key, 'cut');
}

/** A pack that was read for what it holds. */
interface Taken {
  readonly name: string;
  readonly blocks: number;
  readonly trailer: boolean;
  /** Why it could not be read: then the index says of it what it said before. */
  readonly error: LowtideError | null;
}

/**
 * Indexes a pack by what it says itself.
 * @param row what the index says of it, if anything: what is behind the end that it gives was never acknowledged
 */
async function takeIn(room: PackRoom, name: string, row: PackRow | null): Promise<Taken> {
  const { index, store, limits } = room;
  const { group, number } = parsePackName(name)!;
  try {
    // What can be read may be in memory only, if its writer was killed: an indexed block must be durable.
    if (row === null) await store.settle(name);
    const contents = await readPack(store, name, limits.block_bytes_max);
    const { trailer } = contents;
    const bytes = row?.bytes ?? (await store.size(name)) ?? 0;
    const entries = contents.entries.filter((entry) => entry.offset + entry.length <= bytes);
    const key = row?.key ?? number;
    await index.replacePack({ key, name, group, state: trailer ? 'sealed' : 'cut', bytes }, entries);
    return { name, blocks: entries.length, trailer, error: null };
  } catch (error) {
    if (!isLowtideError(error, 'disk-failed', 'not-found') || isIndexDamage(error)) throw error;
    return { name, blocks: 0, trailer: false, error };
  }
}

/** `reconcile` for a depot that was just opened; an index that is damaged is made anew. */
export async function recover(room: PackRoom, monitor: Monitor): Promise<void> {
  let result: Reconciliation;
  try {
    result = await reconcile(room);
  } catch (error) {
    if (!isIndexDamage(error)) throw error;
    await room.index.recreate();
    result = await reconcile(room);
  }
  tell(room, monitor, result);
}

export interface RebuildReport {
  readonly packs: number;
  readonly blocks: number;
  /** Packs that had no good trailer and were read through. */
  readonly scanned: number;
}

/** See `Depot.rebuildIndex`. */
export async function rebuild(room: PackRoom, monitor: Monitor): Promise<RebuildReport> {
  const idle = room.active.size === 0;
  if (idle && !(await room.index.isSound())) await room.index.recreate();
  return await rebuildInPlace(room, monitor);
}

/** Pack by pack, so that readers beside this process find every block all the time. */
async function rebuildInPlace(room: PackRoom, monitor: Monitor): Promise<RebuildReport> {
  const result = await reconcile(room);
  tell(room, monitor, result);
  const done = [...result.found];
  const found = new Set(result.found.map((taken) => taken.name));
  for (const row of await room.index.packs()) {
    if (room.active.has(row.key) || found.has(row.name)) continue;
    const taken = await takeIn(room, row.name, row);
    if (taken.error !== null) tellUnreadable(monitor, taken.name, taken.error);
    done.push(taken);
  }
  const good = done.filter((taken) => taken.error === null);
  return {
    packs: good.length,
    blocks: good.reduce((sum, taken) => sum + taken.blocks, 0),
    scanned: good.filter((taken) => !taken.trailer).length,
  };
}

function tell(room: PackRoom, monitor: Monitor, { found, vanished }: Reconciliation): void {
  const good = found.filter((taken) => taken.error === null);
  if (good.length > 0) {
    const message = `the index did not know ${good.length} packs: it was completed from them`;
    monitor.problem({ path: room.index.path, code: 'damaged-pack', message, severity: 'note' });
  }
  for (const { name, error } of found) if (error !== null) tellUnreadable(monitor, name, error);
  for (const name of vanished) {
    monitor.event({
      kind: 'alarm',
      code: 'damaged-pack',
      message: `pack ${name} is gone with all its blocks`,
    });
  }
}

function tellUnreadable(monitor: Monitor, name: string, error: LowtideError): void {
  const message = `pack ${name} cannot be read: ${error.message}`;
  monitor.event({ kind: 'alarm', code: 'damaged-pack', message });
}
