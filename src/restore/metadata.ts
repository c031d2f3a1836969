import {
  decodeAttributes,
  type DecodedAttributes,
  differInBirthOnly,
  keyButBirth,
} from '../format/attributes.ts';
import { type Attributes, type Entry } from '../model/entries.ts';
import { messageOf } from '../model/errors.ts';
import type { PathKey } from '../model/paths.ts';
import type { Files, ScannedEntry } from '../world/ports.ts';
import type { Metadata as Wanted, MetadataRefusal, RestoreTarget } from '../world/target/ports.ts';
import type { RestorePlan } from './restore-plan.ts';
import type { Tally } from './tally.ts';

/** Set-user-id and set-group-id mean something only with the owner they were set for. */
const SET_ID_BITS = 0o6000;
const MODE_BITS = 0o7777;
/** Names whose flags wait for the end of the restore; beyond that some get them earlier. */
const FLAGGED_MAX = 65_536;
/** Kinds of attributes that are remembered: most entries have the same but for the birth, which a restore cannot set. */
const KNOWN_MAX = 256;
const ELSEWHERE = 'a newer Lowtide stored them, or one of another system';
const NONE: Attributes = { xattrs: [], flags: 0 };

type Kind = MetadataRefusal['what'] | 'set-id bits' | 'attributes' | 'further attributes' | 'owner names';
/** What a target may well lack, and whoever restores may not be allowed to give: told, and no failure. */
const NOTES: readonly Kind[] = [
  'owner',
  'set-id bits',
  'extended attributes',
  'flags',
  'further attributes',
  'owner names',
];

interface Refused {
  count: number;
  readonly first: PathKey;
  readonly message: string;
}

/**
 * Gives what was restored its owner, attributes, mode and times. What the target refuses is counted, and told once a
 * kind: a restore by somebody who is not root cannot set owners, and that is no reason to print a line for each file.
 */
export class Metadata {
  readonly #target: RestoreTarget;
  readonly #accounts: Files['accounts'];
  readonly #owners: RestorePlan['owners'];
  readonly #refused = new Map<Kind, Refused>();
  readonly #known = new Map<string, DecodedAttributes>();
  /** One of those known: what comes next mostly has the same. */
  #last: { readonly extra: Uint8Array; readonly decoded: DecodedAttributes } | null = null;
  #flagged: { readonly entry: Entry; readonly flags: number }[] = [];

  constructor(target: RestoreTarget, accounts: Files['accounts'], owners: RestorePlan['owners']) {
    this.#target = target;
    this.#accounts = accounts;
    this.#owners = owners;
  }

  /** Of what is made, but for regular files, which get theirs with their name. */
  async apply(entry: Entry): Promise<void> {
    await this.told(entry, await this.#target.applyMetadata(entry.path, await this.wanted(entry)));
  }

  /** Without owners the owner that it has stays, and set-id bits would be somebody else's. */
  wanted(entry: Entry): Wanted | Promise<Wanted> {
    const { type, mtime } = entry;
    const attributes = this.#attributesOf(entry);
    const xattrs = attributes === null ? {} : { xattrs: attributes.xattrs };
    const mode = entry.mode & MODE_BITS;
    if (this.#owners === 'none')
      return { type, mode: mode & ~SET_ID_BITS, uid: null, gid: null, mtime, ...xattrs };
    const of = ({ uid, gid }: Pick<Entry, 'uid' | 'gid'>): Wanted => ({
      type,
      mode,
      uid,
      gid,
      mtime,
      ...xattrs,
    });
    return this.#owners === 'names' ? this.#byName(entry, attributes).then(of) : of(entry);
  }

  /** Whether what is there under an entry's name looks like an earlier restore of it. Only asked of who has more. */
  async isAsWanted(entry: Entry, there: ScannedEntry): Promise<boolean> {
    if (entry.extra === undefined || there.type !== entry.type) return false;
    const { mode, mtime, uid, gid } = await this.wanted(entry);
    const isOwner = (uid ?? there.uid) === there.uid && (gid ?? there.gid) === there.gid;
    const isSame = there.mode === mode && there.mtime === mtime && there.size === entry.size;
    return isSame && isOwner && entry.type === 'file';
  }

  /** What the target answered when it got what was wanted. Flags are kept for `finish`. Null: that is all. */
  told(entry: Entry, refusals: readonly MetadataRefusal[]): Promise<void> | null {
    const owner = refusals.some(({ what }) => what === 'owner');
    for (const refusal of refusals) this.#count(entry, refusal, owner);
    const flags = entry.extra === undefined ? 0 : (this.#decoded(entry)?.flags ?? 0);
    if (flags === 0) return null;
    this.#flagged.push({ entry, flags });
    return this.#flagged.length >= FLAGGED_MAX ? this.finish() : null;
  }

  /**
   * Inode flags, when all names have been made: an immutable file takes no hard link, and nothing can be made in an
   * immutable directory. Deepest first.
   */
  async finish(): Promise<void> {
    const flagged = this.#flagged.toReversed();
    this.#flagged = [];
    for (const { entry, flags } of flagged) {
      for (const refusal of await this.#target.setFlags(entry.path, flags))
        this.#count(entry, refusal, false);
    }
  }

  summarise(tally: Tally): void {
    for (const [what, { count, first, message }] of this.#refused) {
      const names = count === 1 ? 'one restored name' : `${count} restored names`;
      const text = `the ${what} of ${names} could not be set${count === 1 ? '' : ', of this one first'}: ${message}`;
      if (NOTES.includes(what)) tally.summary(first, 'not-taken', text);
      else tally.problem(first, { code: 'disk-failed', message: text });
    }
  }

  #attributesOf(entry: Entry): Attributes | null {
    if (entry.extra === undefined) return null;
    const decoded = this.#decoded(entry, true);
    if (decoded?.passedOver === true) this.#add('further attributes', entry, ELSEWHERE);
    return decoded ?? NONE;
  }

  /** Null if they are damaged. The birth may be another entry's. */
  #decoded(entry: Entry, tell = false): DecodedAttributes | null {
    const last = this.#last;
    if (last !== null && differInBirthOnly(last.extra, entry.extra!)) return last.decoded;
    const key = keyButBirth(entry.extra!);
    const known = key === null ? undefined : this.#known.get(key);
    if (known !== undefined) {
      this.#last = { extra: entry.extra!, decoded: known };
      return known;
    }
    try {
      const decoded = decodeAttributes(entry.extra!);
      if (key !== null && decoded.xattrs.length === 0 && this.#known.size < KNOWN_MAX)
        this.#known.set(key, decoded);
      return decoded;
    } catch (error) {
      if (tell) this.#add('attributes', entry, messageOf(error));
      return null;
    }
  }

  /** Whose name is not known here, or was not known there, keeps its number. */
  async #byName(
    { path, uid, gid }: Entry,
    attributes: Attributes | null,
  ): Promise<{ readonly uid: number; readonly gid: number }> {
    const [user, group] = [attributes?.owner, attributes?.group];
    const byUser = user === undefined ? null : await this.#accounts.userId(user);
    const byGroup = group === undefined ? null : await this.#accounts.groupId(group);
    for (const [name, id] of [
      [user, byUser],
      [group, byGroup],
    ] as const) {
      if (name !== undefined && id === null)
        this.#add('owner names', { path }, `${name} is not known here, so the number stays`);
    }
    return { uid: byUser ?? uid, gid: byGroup ?? gid };
  }

  /** Without its owner a name has to lose its set-id bits: that is told of the mode, and means no more. */
  #count(entry: Entry, { what, message }: MetadataRefusal, ownerless: boolean): void {
    const onlySetId = what === 'mode' && ownerless && (entry.mode & SET_ID_BITS) !== 0;
    this.#add(onlySetId ? 'set-id bits' : what, entry, message);
  }

  #add(kind: Kind, { path }: Pick<Entry, 'path'>, message: string): void {
    const known = this.#refused.get(kind);
    if (known === undefined) this.#refused.set(kind, { count: 1, first: path, message });
    else known.count++;
  }
}
