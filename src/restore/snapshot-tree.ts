import type { KeyStore } from '../format/domain-keys.ts';
import type { SignedManifest } from '../format/manifest.ts';
import { decodeTreePage, type TreeRecord } from '../format/tree-page.ts';
import { type LostPage, TreeReader } from '../format/tree-reader.ts';
import type { Entry } from '../model/entries.ts';
import { LowtideError, messageOf } from '../model/errors.ts';
import { displayPath, isWithin, parentPath, type PathKey, ROOT_PATH } from '../model/paths.ts';
import type { World } from '../world/ports.ts';
import { BlockFetcher } from './block-fetcher.ts';
import { PageLoader } from './page-loader.ts';
import type { NamedSource } from './restore-plan.ts';
import { ownError } from './stop.ts';

/** The tree of one snapshot, read through sources. Pages that are lost are told once each, and the reading goes on. */
export class SnapshotTree {
  readonly signed: SignedManifest;
  readonly fetcher: BlockFetcher;
  readonly loader: PageLoader;
  readonly #reader: TreeReader;
  readonly #told = new Set<string>();
  #lost = 0;

  constructor(
    world: World,
    signed: SignedManifest,
    keys: KeyStore,
    sources: readonly NamedSource[],
    stop: AbortSignal,
    tell: (path: PathKey, error: LowtideError) => void,
  ) {
    this.signed = signed;
    this.fetcher = new BlockFetcher(world, signed.id, sources, stop);
    this.loader = new PageLoader(this.fetcher, keys, world.limits);
    const lost = (page: LostPage): void => {
      this.#lost++;
      const error = ownError(page.error);
      if (this.#told.has(page.id)) return;
      this.#told.add(page.id);
      tell(page.last?.path ?? ROOT_PATH, lostError(page, error));
    };
    this.#reader = new TreeReader(signed.manifest.tree.id, (id) => this.loader.load(id), lost);
  }

  /** Reads the top page: what shows a wrong key, or that there is nothing to read, before anything is done. */
  async open(): Promise<void> {
    decodeTreePage(await this.loader.load(this.signed.manifest.tree.id));
  }

  /** Records of `path` and everything within it, a page at a time. */
  subtree(path: PathKey): AsyncGenerator<readonly TreeRecord[]> {
    return this.#reader.subtree(path);
  }

  /** Records from `path` on. */
  from(path: PathKey): AsyncGenerator<readonly TreeRecord[]> {
    return this.#reader.records(path);
  }

  find(path: PathKey): Promise<Entry | null> {
    return this.#reader.find(path);
  }

  /**
   * Whether the snapshot has `path` or something within it. True also if a lost page may have had it.
   * @throws LowtideError `no-such-path`
   */
  async check(path: PathKey): Promise<void> {
    const lostBefore = this.#lost;
    for await (const _ of this.#reader.subtree(path)) return;
    if (this.#lost > lostBefore || path === ROOT_PATH) return;
    throw new LowtideError('no-such-path', `the snapshot has no ${displayPath(path)}`);
  }

  /** The entries of the directories above these paths, as far as the snapshot has them. */
  async ancestors(paths: readonly PathKey[]): Promise<ReadonlyMap<PathKey, Entry>> {
    const found = new Map<PathKey, Entry>();
    const looked = new Set<PathKey>();
    for (let path of paths) {
      while (path !== ROOT_PATH) {
        path = parentPath(path);
        if (looked.has(path)) break;
        looked.add(path);
        const entry = await this.find(path);
        if (entry?.type === 'directory') found.set(path, entry);
      }
    }
    return found;
  }
}

/** In tree order, without those that another one covers. No paths mean the whole tree. */
export function outermost(paths: readonly PathKey[]): readonly PathKey[] {
  if (paths.length === 0) return [ROOT_PATH];
  const kept: PathKey[] = [];
  for (const path of [...paths].sort()) {
    const last = kept.at(-1);
    if (last === undefined || !isWithin(path, last)) kept.push(path);
  }
  return kept;
}

function lostError({ after, last }: LostPage, error: LowtideError): LowtideError {
  const from = after === null ? 'the start' : `after ${displayPath(after.path)}`;
  const to = last === null ? 'the end' : displayPath(last.path);
  const message = `a page of the tree is lost, so what the snapshot has from ${from} up to ${to} is unknown`;
  return new LowtideError(error.code, `${message}: ${messageOf(error)}`, { cause: error });
}
