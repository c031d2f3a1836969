import type { Entry } from '../model/entries.ts';
import type { PathKey } from '../model/paths.ts';
import type { Metadata as Wanted, MetadataRefusal, RestoreTarget } from '../world/ports.ts';
import type { RestorePlan } from './restore-plan.ts';
import type { Tally } from './tally.ts';

/** Set-user-id and set-group-id mean something only with the owner they were set for. */
const SET_ID_BITS = 0o6000;
const MODE_BITS = 0o7777;
/** Attributes that the format reserves (F27) and this program never writes. */
const EXTRA = 'further attributes';
const NEWER = 'a newer Lowtide stored them';

interface Refused {
  count: number;
  readonly first: PathKey;
  readonly message: string;
  readonly note: boolean;
}

/**
 * Gives what was restored its owner, mode and times. What the target refuses is counted, and told once a kind: a
 * restore by somebody who is not root cannot set owners, and that is no reason to print a line for each file.
 */
export class Metadata {
  readonly #target: RestoreTarget;
  readonly #owners: RestorePlan['owners'];
  readonly #refused = new Map<string, Refused>();

  constructor(target: RestoreTarget, owners: RestorePlan['owners']) {
    this.#target = target;
    this.#owners = owners;
  }

  /** Of what is made, but for regular files, which get theirs with their name. */
  async apply(entry: Entry): Promise<void> {
    this.told(entry, await this.#target.applyMetadata(entry.path, this.wanted(entry)));
  }

  /** Without owners the owner that it has stays, and set-id bits would be somebody else's. */
  wanted(entry: Entry): Wanted {
    const { type, mode, uid, gid, mtime } = entry;
    if (this.#owners === 'restore') return { type, mode: mode & MODE_BITS, uid, gid, mtime };
    return { type, mode: mode & MODE_BITS & ~SET_ID_BITS, uid: null, gid: null, mtime };
  }

  /** What the target answered when it got what was wanted. */
  told(entry: Entry, refusals: readonly MetadataRefusal[]): void {
    if (entry.extra !== undefined) this.#add(EXTRA, entry, NEWER, true);
    const owner = refusals.some(({ what }) => what === 'owner');
    for (const refusal of refusals) this.#count(entry, refusal, owner);
  }

  summarise(tally: Tally): void {
    for (const [what, { count, first, message, note }] of this.#refused) {
      const text = `the ${what} of ${count} restored names could not be set, of this one first: ${message}`;
      if (note) tally.summary(first, 'forbidden', text);
      else tally.problem(first, { code: 'disk-failed', message: text });
    }
  }

  /** Without its owner a name has to lose its set-id bits: that is told of the mode, and means no more. */
  #count(entry: Entry, { what, message }: MetadataRefusal, ownerless: boolean): void {
    const onlySetId = what === 'mode' && ownerless && (entry.mode & SET_ID_BITS) !== 0;
    const kind = onlySetId ? 'set-id bits' : what;
    this.#add(kind, entry, message, what === 'owner' || onlySetId);
  }

  #add(kind: string, { path }: Entry, message: string, note: boolean): void {
    const known = this.#refused.get(kind);
    if (known === undefined) this.#refused.set(kind, { count: 1, first: path, message, note });
    else known.count++;
  }
}
