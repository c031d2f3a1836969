import type { Entry } from '../model/entries.ts';
import { isLowtideError, type LowtideError } from '../model/errors.ts';
import { baseName } from '../model/paths.ts';
import type { World } from '../world/ports.ts';
import type { RestoreTarget } from '../world/target/ports.ts';
import { type Level, takenTwice } from './directory-stack.ts';
import type { Place } from './file-job.ts';
import type { LinkGroups } from './link-groups.ts';
import type { Metadata } from './metadata.ts';
import type { RestorePlan } from './restore-plan.ts';
import type { SnapshotTree } from './snapshot-tree.ts';
import type { Tally } from './tally.ts';

/** What the parts of one restore share. */
export interface RestoreContext {
  readonly world: World;
  readonly plan: RestorePlan;
  readonly tree: SnapshotTree;
  readonly target: RestoreTarget;
  readonly tally: Tally;
  readonly metadata: Metadata;
  readonly groups: LinkGroups;
  readonly stop: AbortSignal;
}

/** Where something that is no directory may go; null if the name is taken, which the tally counts. Errors as lstat. */
export async function placeFor(
  { plan, target, tally, metadata, groups }: RestoreContext,
  entry: Entry,
  level: Level,
): Promise<Place | null> {
  if (level.fresh) return { replace: false, fresh: true };
  if (plan.overwrite === 'always') return { replace: true, fresh: false };
  const there = await target.lstat(entry.path);
  if (there === null) return { replace: false, fresh: false };
  if (entry.type === 'file' && target.isUnfinished(there)) return { replace: true, fresh: false };
  tally.skip(entry.path);
  // A restore that was killed had not come to the flags, which are last.
  if (await metadata.isAsWanted(entry, there)) await metadata.told(entry, []);
  if (entry.type === 'file' && groups.find(entry) === null) groups.set(entry, true);
  return null;
}

/** Tells that something could not be made in its place. A name that somebody took meanwhile stays as it is. */
export function notMade(
  { plan, tally }: RestoreContext,
  entry: Entry,
  place: Place,
  error: LowtideError,
): void {
  if (!isLowtideError(error, 'target-exists')) tally.problem(entry.path, error);
  else if (place.fresh) tally.problem(entry.path, takenTwice(baseName(entry.path)));
  else if (plan.overwrite === 'never') tally.skip(entry.path);
  else tally.problem(entry.path, error);
}
