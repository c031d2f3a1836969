import type { BlockSource } from '../format/block-source.ts';
import type { SignedKeyring } from '../format/keyring.ts';
import type { SignedManifest } from '../format/manifest.ts';
import type { RefsRoot } from '../format/refs.ts';
import type { LowtideError } from '../model/errors.ts';
import type { BlockId, ClientId, DomainKeyId, KeyringHash, SnapshotId } from '../model/ids.ts';
import type { World } from '../world/ports.ts';
import type { BlockRead } from './block-reader.ts';
import type { BlockWriter } from './block-writer.ts';
import type { Closure, ClosureOptions } from './closure.ts';
import type { Finding, VerifyOptions } from './verify.ts';

export type DepotAccess = 'write' | 'read';

export interface DepotUsage {
  readonly bytes: number;
  readonly blocks: number;
  readonly packs: number;
}

export interface RebuildReport {
  readonly packs: number;
  readonly blocks: number;
  /** Packs that had no usable table of contents and were read through. */
  readonly scanned: number;
}

/** The one store that a spool, a relay and a center share (DESIGN 2, 4.9). One process writes, any number read. */
export class Depot {
  readonly id: string;
  readonly path: string;
  readonly access: DepotAccess;

  private constructor(id: string, path: string, access: DepotAccess) {
    this.id = id;
    this.path = path;
    this.access = access;
  }

  static create(_world: World, _path: string): Promise<void> {
    throw growing();
  }

  static open(_world: World, path: string, access: DepotAccess): Promise<Depot> {
    void new Depot('', path, access);
    throw growing();
  }

  close(): Promise<void> {
    throw growing();
  }

  writer(_group: string): BlockWriter {
    throw growing();
  }

  has(_domains: ReadonlySet<DomainKeyId> | null, _ids: readonly BlockId[]): Promise<Set<BlockId>> {
    throw growing();
  }

  read(_ids: readonly BlockId[], _stop?: AbortSignal): AsyncIterable<BlockRead> {
    throw growing();
  }

  readOne(_id: BlockId): Promise<Uint8Array> {
    throw growing();
  }

  dropGroup(_group: string, _keep?: ReadonlySet<BlockId>): Promise<number> {
    throw growing();
  }

  compactGroup(_group: string, _live: (id: BlockId) => boolean, _threshold?: number): Promise<number> {
    throw growing();
  }

  usage(_group?: string): Promise<DepotUsage> {
    throw growing();
  }

  groups(): Promise<string[]> {
    throw growing();
  }

  putManifest(_signed: SignedManifest): Promise<void> {
    throw growing();
  }

  manifest(_id: SnapshotId): Promise<SignedManifest> {
    throw growing();
  }

  hasManifest(_id: SnapshotId): Promise<boolean> {
    throw growing();
  }

  manifests(): AsyncIterable<SignedManifest | { readonly id: SnapshotId; readonly error: LowtideError }> {
    throw growing();
  }

  removeManifest(_id: SnapshotId): Promise<void> {
    throw growing();
  }

  putKeyring(_signed: SignedKeyring): Promise<void> {
    throw growing();
  }

  keyring(_hash: KeyringHash): Promise<SignedKeyring> {
    throw growing();
  }

  /** Sorted by client, then version. */
  keyrings(_client?: ClientId): Promise<SignedKeyring[]> {
    throw growing();
  }

  putVoid(_snapshot: SnapshotId, _bytes: Uint8Array): Promise<void> {
    throw growing();
  }

  /** The signed void record of a snapshot, or null. */
  voidRecord(_snapshot: SnapshotId): Promise<Uint8Array | null> {
    throw growing();
  }

  voids(): Promise<SnapshotId[]> {
    throw growing();
  }

  closure(_signed: SignedManifest, _options?: ClosureOptions): Promise<Closure> {
    throw growing();
  }

  pin(_id: SnapshotId, _refs: RefsRoot): Promise<void> {
    throw growing();
  }

  unpin(_id: SnapshotId): Promise<void> {
    throw growing();
  }

  pins(): Promise<SnapshotId[]> {
    throw growing();
  }

  verify(_options: VerifyOptions): AsyncIterable<Finding> {
    throw growing();
  }

  rebuildIndex(): Promise<RebuildReport> {
    throw growing();
  }
}

export function depotSource(_depot: Depot): BlockSource {
  throw growing();
}

const growing = (): TypeError => new TypeError('the depot is being built');
