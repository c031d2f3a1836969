import { sealManifestDetails, signManifest, type SignedManifest } from '../format/manifest.ts';
import type { RefsRoot } from '../format/refs.ts';
import type { TreeRoot } from '../format/tree-builder.ts';
import type { BlockId } from '../model/ids.ts';
import type { Limits } from '../model/limits.ts';
import type { PathKey } from '../model/paths.ts';
import type { UnixMillis } from '../model/time.ts';
import type { EmitCounts } from './output/emitter.ts';
import type { BackupPlan } from './plan.ts';
import type { Problems } from './problems.ts';

export interface Taken {
  readonly tree: TreeRoot;
  readonly refs: RefsRoot;
  readonly counts: EmitCounts;
  readonly partialUntil: { readonly path: PathKey; readonly offset: number } | null;
  readonly unchanged: number;
  /** Blocks that the snapshot uses less than half of. */
  readonly sparse: readonly BlockId[];
}

export interface TakenTimes {
  readonly startedAt: UnixMillis;
  readonly finishedAt: UnixMillis;
}

/** What else is in a manifest: ids, counts, the signature, CBOR's own. */
const OTHER_BYTES = 2048;

/** Taken-at is when the walk began: what changed later is not in the snapshot. */
export function signSnapshot(
  limits: Limits,
  plan: BackupPlan,
  taken: Taken,
  problems: Problems,
  times: TakenTimes,
): SignedManifest {
  const { client, instance, job, sequence, previous, base, keyring, labels } = plan;
  const sealed = sealManifestDetails(plan.keys, {
    roots: plan.roots,
    host: plan.host,
    software: plan.software,
    ...times,
    excludes: plan.excludes,
    partialUntil: taken.partialUntil,
    problems: problems.errorsWithin(limits.manifest_bytes_max - OTHER_BYTES - bytesOf(plan)),
  });
  const manifest = {
    client,
    instance,
    job,
    sequence,
    previous,
    keyring,
    labels,
    sealed,
    base: base?.id ?? null,
    takenAt: times.startedAt,
    refs: taken.refs,
    tree: taken.tree,
    complete: taken.partialUntil === null,
    counts: { ...taken.counts, problems: problems.errors },
  };
  return signManifest(manifest, plan.signingKey);
}

/** What the plan's own texts take in the manifest, at most. */
function bytesOf({ roots, excludes, labels, host, software }: BackupPlan): number {
  const texts = [...roots, ...excludes, ...(labels.roots ?? []), labels.client ?? '', host, software];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 9, 0);
}
