import type { SignedManifest } from '../format/manifest.ts';
import type { BlockId, DomainKeyId } from '../model/ids.ts';

export interface ClosureOptions {
  /** The caller vouches for everything in its refs. */
  readonly base?: SignedManifest | null;
  /** Only blocks of these domains count as present. */
  readonly domains?: ReadonlySet<DomainKeyId>;
}

export interface Closure {
  /** At most `limits.ids_per_message`. What a missing page of refs names is not known: ask again when it is there. */
  readonly missing: BlockId[];
  /** Blocks looked at, refs pages included, those vouched for left out. */
  readonly blocks: number;
  readonly bytes: number;
}
