import { hexOf } from '../model/bytes.ts';
import { type ErrorCode, isLowtideError } from '../model/errors.ts';
import type { Member } from '../model/exchange.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { UplinkWork } from './parts.ts';

/** What is wrong with one machine below, and not with the relay. */
const REFUSED_MEMBER: readonly ErrorCode[] = ['forbidden', 'wrong-signature', 'bad-request'];

/** Which machines below the node above has been told of (protocol R25). */
export class MembersTold {
  readonly #work: UplinkWork;
  /** In this session: membership to name. */
  readonly #told = new Map<string, string>();

  constructor(work: UplinkWork) {
    this.#work = work;
  }

  forget(): void {
    this.#told.clear();
  }

  /** Once in a session, and whenever there are others. One that is refused must not keep the others from their centers. */
  async tell(api: CenterApi): Promise<void> {
    const members = await this.#work.sender.members();
    const news = members.filter(({ membership, name }) => this.#told.get(hexOf(membership)) !== name);
    const { page_rows: most } = this.#work.world.limits;
    for (let at = 0; at < news.length; at += most) await this.#enroll(api, news.slice(at, at + most));
  }

  async #enroll(api: CenterApi, some: readonly Member[]): Promise<void> {
    try {
      await api.enroll(some);
    } catch (error) {
      if (!isLowtideError(error, ...REFUSED_MEMBER)) throw error;
      if (some.length > 1) {
        for (const one of some) await this.#enroll(api, [one]);
        return;
      }
      const { upstream, alarms } = this.#work;
      const message = `${upstream.name} takes nothing of ${some[0]!.name}: ${error.message}`;
      alarms.raise(`member ${hexOf(some[0]!.membership)}`, error.code, message);
    }
    for (const { membership, name } of some) this.#told.set(hexOf(membership), name);
  }
}
