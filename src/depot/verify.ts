import type { SignedManifest } from '../format/manifest.ts';
import { isLowtideError, type LowtideError } from '../model/errors.ts';
import { type BlockId, type ClientId, type KeyringHash, shortId, type SnapshotId } from '../model/ids.ts';
import { lookFor, vouchedBy } from './closure.ts';
import { readConfig } from './config.ts';
import { type Finding, stopIfAsked, type VerifyOptions, type VerifyParts } from './findings.ts';
import { type BadPack, checkPacks, lostIn } from './verify-packs.ts';

export type { Finding, VerifyOptions } from './findings.ts';

/** Proves without any key what can be proved (promise P5). Findings about packs come when it is known whom they hurt. */
export async function* verifyDepot(parts: VerifyParts, options: VerifyOptions): AsyncGenerator<Finding> {
  yield* checkConfig(parts);
  const bad: BadPack[] = [];
  for await (const found of checkPacks(parts, options)) {
    if ('ids' in found) bad.push(found);
    else yield found;
  }
  const hurt = new Hurt(await lostIn(parts, bad));
  const wanted = new Map<KeyringHash, WantedKeyring>();
  yield* checkManifests(parts, options, { hurt, wanted });
  for (const pack of bad) yield { ...pack.finding, snapshots: hurt.by(pack) };
  yield* checkKeyrings(parts, wanted);
}

/** A keyring that manifests name. */
interface WantedKeyring {
  readonly client: ClientId;
  readonly snapshots: SnapshotId[];
}

/** Which snapshots need which lost blocks. */
class Hurt {
  readonly #snapshots: ReadonlyMap<BlockId, Set<SnapshotId>>;

  constructor(lost: ReadonlySet<BlockId>) {
    this.#snapshots = new Map([...lost].map((id) => [id, new Set()]));
  }

  isLost(id: BlockId): boolean {
    return this.#snapshots.has(id);
  }

  add(id: BlockId, snapshot: SnapshotId): void {
    this.#snapshots.get(id)?.add(snapshot);
  }

  by(pack: BadPack): SnapshotId[] {
    const all = new Set<SnapshotId>();
    for (const id of pack.ids) for (const snapshot of this.#snapshots.get(id) ?? []) all.add(snapshot);
    return [...all].sort();
  }
}

async function* checkConfig(parts: VerifyParts): AsyncGenerator<Finding> {
  for (const name of (await readConfig(parts.disk, parts.path)).bad) {
    yield {
      severity: 'note',
      code: 'damaged-config',
      what: `${name} is damaged or missing; its copy is good`,
      path: name,
      snapshots: [],
    };
  }
}

/** A later keyring of a client opens what an earlier one did; without any, a whole copy is of no use. */
async function* checkKeyrings(
  parts: VerifyParts,
  wanted: ReadonlyMap<KeyringHash, WantedKeyring>,
): AsyncGenerator<Finding> {
  const seen = new Set<KeyringHash>();
  const good = new Set<ClientId>();
  const damaged: { readonly hash: KeyringHash; readonly finding: Finding }[] = [];
  for await (const { hash, client, path, error } of parts.records.eachKeyring()) {
    seen.add(hash);
    if (error === null) good.add(client);
    else damaged.push({ hash, finding: findingOf(error, below(parts, path), []) });
  }
  for (const { hash, finding } of damaged) {
    const want = wanted.get(hash);
    const needed = want !== undefined && !good.has(want.client);
    yield { ...finding, snapshots: needed ? want.snapshots : [] };
  }
  for (const [hash, { client, snapshots }] of wanted) {
    if (seen.has(hash) || good.has(client)) continue;
    const what = `no keyring of client ${shortId(client)} is here: only who has one elsewhere can restore`;
    yield { severity: 'error', code: 'no-key', what, path: `keyrings/${client}`, snapshots };
  }
}

async function* checkManifests(
  parts: VerifyParts,
  options: VerifyOptions,
  { hurt, wanted }: { readonly hurt: Hurt; readonly wanted: Map<KeyringHash, WantedKeyring> },
): AsyncGenerator<Finding> {
  // Pages below which nothing is missing: snapshots share most of theirs.
  const sound = new Set<BlockId>();
  for await (const signed of parts.records.manifests()) {
    stopIfAsked(options.stop);
    const path = `manifests/${signed.id}`;
    if ('error' in signed) {
      yield findingOf(signed.error, path, [signed.id]);
      continue;
    }
    const expected = options.expect?.(signed) ?? 'whole';
    const { client, keyring } = signed.manifest;
    const want = wanted.get(keyring) ?? { client, snapshots: [] };
    want.snapshots.push(signed.id);
    wanted.set(keyring, want);
    if (expected === 'manifest') continue;
    try {
      const missing = await missingOf(parts, signed, expected, { sound, hurt, stop: options.stop });
      if (missing > 0) {
        yield {
          severity: 'error',
          code: 'block-unavailable',
          what: `snapshot ${shortId(signed.id)} lacks at least ${missing} of its blocks`,
          path,
          snapshots: [signed.id],
        };
      }
    } catch (error) {
      if (!isLowtideError(error) || error.code === 'interrupted') throw error;
      yield findingOf(error, path, [signed.id]);
    }
  }
}

interface Search {
  readonly sound: Set<BlockId>;
  readonly hurt: Hurt;
  readonly stop: AbortSignal | undefined;
}

/** How many blocks are missing or lost, as far as the pages that are there tell. */
async function missingOf(
  parts: VerifyParts,
  signed: SignedManifest,
  expected: 'whole' | 'delta',
  { sound, hurt, stop }: Search,
): Promise<number> {
  const { reader, room, records } = parts;
  const root = signed.manifest.refs;
  const { base } = signed.manifest;
  const known =
    expected === 'delta' && base !== null
      ? await vouchedBy(reader, (await records.manifest(base)).manifest.refs, root)
      : { skip: () => false, vouched: () => false };
  const skip = (page: BlockId): boolean => sound.has(page) || known.skip(page);
  const pages: BlockId[] = [];
  let missing = 0;
  const scope = { root, skip, vouched: known.vouched, domains: null, ...(stop && { stop }) };
  for await (const look of lookFor({ reader, index: room.index }, scope)) {
    pages.push(look.page);
    const absent = new Set(look.missing);
    for (const { id } of look.refs) {
      if (!absent.has(id) && !hurt.isLost(id)) continue;
      missing++;
      hurt.add(id, signed.id);
    }
  }
  // What a base vouches for proves nothing about a snapshot that must be whole.
  if (missing === 0 && expected === 'whole') for (const page of pages) sound.add(page);
  return missing;
}

function findingOf(error: LowtideError, path: string, snapshots: readonly SnapshotId[]): Finding {
  return { severity: 'error', code: error.code, what: error.message, path, snapshots };
}

function below(parts: VerifyParts, path: string): string {
  return path.startsWith(`${parts.path}/`) ? path.slice(parts.path.length + 1) : path;
}
