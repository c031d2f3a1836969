import { hexOf } from '../model/bytes.ts';
import { listLeavings } from '../ledger/leavings.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { KnownMember, UplinkWork } from './parts.ts';

/** What is wrong with one machine below, and not with the relay. */
const REFUSED_MEMBER: readonly ErrorCode[] = ['forbidden', 'wrong-signature', 'bad-request'];

/** Of an older node, or one that will not hear it: what was left is a way for it, as it was for all before. */
const UNHEARD: readonly ErrorCode[] = ['not-found', ...REFUSED_MEMBER];

/** Which machines below the node above has been told of (protocol R25), and who has left what (R56). */
export class MembersTold {
  readonly #work: UplinkWork;
  /** In this session: membership to name. */
  readonly #told = new Map<string, string>();
  /** Words of leaving. */
  readonly #left = new Set<string>();
  /** By the monotonic clock: the node above takes no more machines, and is not asked before. */
  #fullUntil = -Infinity;

  constructor(work: UplinkWork) {
    this.#work = work;
  }

  forget(): void {
    this.#told.clear();
    this.#left.clear();
    this.#work.introduced.clear();
    this.#fullUntil = -Infinity;
  }

  /** Once in a session, and whenever there are others. One that is refused must not keep the others from their centers. */
  async tell(api: CenterApi): Promise<void> {
    await this.#tellMembers(api);
    // After those of whom they are: what is told of nobody that it knows the node above does not take.
    await this.#tellLeft(api);
  }

  async #tellMembers(api: CenterApi): Promise<void> {
    const { world, sender, alarms } = this.#work;
    const { clock, limits } = world;
    if (clock.monotonic() < this.#fullUntil) return;
    const members = await sender.members();
    const news = members.filter(({ membership, name }) => this.#told.get(hexOf(membership)) !== name);
    for (let at = 0; at < news.length; at += limits.page_rows) {
      if (await this.#enroll(api, news.slice(at, at + limits.page_rows))) continue;
      this.#fullUntil = clock.monotonic() + limits.ask_ms;
      return;
    }
    alarms.clear('members');
  }

  /** Of the machine's own words those count whose node it has left by now: what is said is done after that is on record. */
  async #tellLeft(api: CenterApi): Promise<void> {
    const { ledger, client, joined, world } = this.#work;
    const words = (await listLeavings(ledger.db)).filter(
      (row) => !(row.client === client && joined.includes(row.node)) && !this.#left.has(hexOf(row.record)),
    );
    const most = world.limits.page_rows;
    for (let at = 0; at < words.length; at += most) {
      const some = words.slice(at, at + most).map(({ record }) => record);
      await api.left(some).catch((error: unknown) => {
        if (!isLowtideError(error, ...UNHEARD)) throw error;
      });
      for (const word of some) this.#left.add(hexOf(word));
    }
  }

  /** What is refused is looked for by halves. False if the node above takes no more. */
  async #enroll(api: CenterApi, some: readonly KnownMember[]): Promise<boolean> {
    try {
      const left = await api.enroll(some.map(({ membership, name }) => ({ membership, name })));
      if (left.length > 0) await this.#work.sender.left(left);
    } catch (error) {
      if (!isLowtideError(error, 'members-full', ...REFUSED_MEMBER)) throw error;
      if (some.length > 1) {
        const half = some.length >> 1;
        return (await this.#enroll(api, some.slice(0, half))) && (await this.#enroll(api, some.slice(half)));
      }
      const { upstream, alarms } = this.#work;
      const [{ name, membership }] = some as readonly [KnownMember];
      const full = error.code === 'members-full';
      const what = full ? 'no more machines' : `nothing of ${name}`;
      const subject = full ? 'members' : `member ${hexOf(membership)}`;
      alarms.raise(subject, error.code, `${upstream.name} takes ${what}: ${error.message}`);
      if (full) return false;
    }
    for (const { membership, name, client } of some) {
      this.#told.set(hexOf(membership), name);
      this.#work.introduced.add(client);
    }
    return true;
  }
}
