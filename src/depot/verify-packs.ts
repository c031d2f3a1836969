import type { BlockId } from '../model/ids.ts';
import { isLowtideError } from '../model/errors.ts';
import type { BlockLocation, PackRow } from './index-rows.ts';
import { isIndexDamage } from './index-schema.ts';
import { isPackHeader, PACK_HEADER_BYTES, type PackEntry, parsePackName } from './pack-format.ts';
import { readTrailer } from './pack-scan.ts';
import { type Finding, stopIfAsked, type VerifyOptions, type VerifyParts } from './findings.ts';

/** A pack with damaged blocks. */
export interface BadPack {
  readonly finding: Omit<Finding, 'snapshots'>;
  readonly pack: number;
  /** Those that are damaged in this pack. */
  readonly ids: ReadonlySet<BlockId>;
}

/** Every pack against its row and trailer, with `data` every block against its id. */
export async function* checkPacks(
  parts: VerifyParts,
  options: VerifyOptions,
): AsyncGenerator<Finding | BadPack> {
  const { index, store } = parts.room;
  try {
    const rows = (await index.packs()).filter((row) => row.state !== 'dropped');
    const names = new Set(await store.list());
    const progress = new PackProgress(options, rows);
    for (const row of rows) {
      stopIfAsked(options.stop);
      yield* checkPack(parts, options, row);
      names.delete(row.name);
      progress.done(row);
    }
    yield* checkStrangers(parts, names);
  } catch (error) {
    if (!isIndexDamage(error)) throw error;
    const what = `the index is damaged: it can be made anew from the packs (${error.message})`;
    yield { severity: 'error', code: 'damaged-pack', what, path: 'index.db', snapshots: [] };
  }
}

class PackProgress {
  readonly #options: VerifyOptions;
  readonly #total: number;
  #packs = 0;
  #bytes = 0;

  constructor(options: VerifyOptions, rows: readonly PackRow[]) {
    this.#options = options;
    this.#total = rows.reduce((sum, row) => sum + row.bytes, 0);
  }

  done(row: PackRow): void {
    this.#packs++;
    this.#bytes += row.bytes;
    const counts = { files: this.#packs, bytes: this.#bytes, bytesTotal: this.#total };
    this.#options.onProgress?.({ doing: 'verify', ...counts });
  }
}

async function* checkPack(
  parts: VerifyParts,
  options: VerifyOptions,
  row: PackRow,
): AsyncGenerator<Finding | BadPack> {
  const { index, store, active } = parts.room;
  const blocks = await index.blocksOf(row);
  const size = await store.size(row.name);
  const suspect = (block: BlockLocation): boolean =>
    options.data || block.state !== 'present' || block.offset + block.length > (size ?? 0);
  const bad = await readAll(parts, options, blocks.filter(suspect));
  // Dropped or moved while we looked: then nothing of this is true any more.
  if ((await index.pack(row.key)) === null) return;
  if (bad.length > 0 || size === null || size < row.bytes) {
    const ids = new Set(bad.map((block) => block.id));
    yield { finding: damageFinding(row, size, bad, blocks), pack: row.key, ids };
  }
  if (size !== null && row.state === 'sealed' && !active.has(row.key)) yield* checkEnds(parts, row, blocks);
}

function damageFinding(
  row: PackRow,
  size: number | null,
  bad: readonly BlockLocation[],
  blocks: readonly BlockLocation[],
): Omit<Finding, 'snapshots'> {
  const path = `packs/${row.name}`;
  const severity = bad.length > 0 ? 'error' : 'note';
  const many = `${bad.length} of its ${blocks.length} blocks`;
  if (size === null) return { severity, code: 'damaged-pack', what: `the pack is gone with ${many}`, path };
  if (size < row.bytes) {
    const what = `the pack has ${size} of its ${row.bytes} bytes; ${many} are damaged`;
    return { severity, code: 'damaged-pack', what, path };
  }
  return { severity, code: 'damaged-block', what: `${many} are damaged`, path };
}

/** Reads these blocks; answers those that are bad, and takes back what was quarantined and is good. */
async function readAll(
  parts: VerifyParts,
  options: VerifyOptions,
  blocks: readonly BlockLocation[],
): Promise<BlockLocation[]> {
  const bad: BlockLocation[] = [];
  for await (const read of parts.reader.places(blocks, options.stop)) {
    const { location } = read;
    if ('error' in read) bad.push(location);
    else if (location.state === 'quarantined') await parts.restore?.(location.pack, [location.id]);
  }
  return bad;
}

/** The damaged blocks of which no good copy is left. */
export async function lostIn(parts: VerifyParts, packs: readonly BadPack[]): Promise<Set<BlockId>> {
  const lost = new Set<BlockId>();
  const damaged = new Map(packs.map(({ pack, ids }) => [pack, ids]));
  for (const { ids } of packs) for (const id of ids) lost.add(id);
  for (const { id, pack, state } of await parts.room.index.locations([...lost])) {
    if (state === 'present' && damaged.get(pack)?.has(id) !== true) lost.delete(id);
  }
  return lost;
}

/** Header and trailer: only needed when the index is lost, so that damage there costs nothing yet. */
async function* checkEnds(
  parts: VerifyParts,
  row: PackRow,
  blocks: readonly BlockLocation[],
): AsyncGenerator<Finding> {
  const { store } = parts.room;
  const path = `packs/${row.name}`;
  const note = (what: string): Finding => ({
    severity: 'note',
    code: 'damaged-pack',
    what,
    path,
    snapshots: [],
  });
  try {
    if (!isPackHeader(await store.read(row.name, 0, PACK_HEADER_BYTES))) {
      yield note("the pack's header is damaged; its blocks are not");
      return;
    }
    const entries = await readTrailer(store, row.name);
    if (entries === null) yield note("the pack's header or trailer is damaged; its blocks are not");
    else if (!agree(entries, blocks)) {
      const what = `the index and ${row.name} disagree about what the pack holds: make the index anew`;
      yield { severity: 'error', code: 'damaged-pack', what, path: 'index.db', snapshots: [] };
    }
  } catch (error) {
    if (!isLowtideError(error, 'disk-failed', 'not-found')) throw error;
    yield note(`the pack's ends cannot be read: ${error.message}`);
  }
}

function agree(entries: readonly PackEntry[], blocks: readonly BlockLocation[]): boolean {
  const distinct = new Map(entries.map((entry) => [entry.id, entry]));
  return (
    distinct.size === blocks.length &&
    blocks.every((block) => {
      const entry = distinct.get(block.id);
      return entry?.length === block.length;
    })
  );
}

async function* checkStrangers(parts: VerifyParts, names: ReadonlySet<string>): AsyncGenerator<Finding> {
  if (names.size === 0) return;
  const { index, store } = parts.room;
  // A writer beside this process may have made some after the index was read, or dropped them.
  const known = new Set((await index.packs()).map((row) => row.name));
  for (const name of names) {
    if (known.has(name) || (await store.size(name)) === null) continue;
    const what =
      parsePackName(name) === null
        ? 'this is no pack: it can be removed'
        : 'the index does not know this pack: open the depot for writing or make the index anew';
    yield { severity: 'note', code: 'damaged-pack', what, path: `packs/${name}`, snapshots: [] };
  }
}
