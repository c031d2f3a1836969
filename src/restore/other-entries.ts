import type { Entry } from '../model/entries.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import type { Place } from './file-job.ts';
import { notMade, type RestoreContext } from './restore-context.ts';
import { ownError } from './stop.ts';

/** Restores what is neither a file nor a directory. */
export class OtherRestorer {
  readonly #context: RestoreContext;
  #sockets = 0;
  #firstSocket: Entry | null = null;

  constructor(context: RestoreContext) {
    this.#context = context;
  }

  async restore(entry: Entry, place: Place): Promise<void> {
    const { tally, metadata, groups } = this.#context;
    if (entry.type === 'socket') {
      this.#sockets++;
      this.#firstSocket ??= entry;
      return;
    }
    try {
      if (await this.#link(entry, place)) {
        tally.others++;
        return;
      }
      await this.#make(entry, place);
    } catch (error) {
      const own = ownError(error);
      if (isLowtideError(own, 'forbidden')) tally.note(entry.path, own.code, own.message);
      else notMade(this.#context, entry, place, own);
      return;
    }
    groups.set(entry);
    tally.others++;
    await metadata.apply(entry);
  }

  /** A socket is nothing without the program that listens on it, which makes it itself. */
  summarise(): void {
    if (this.#firstSocket === null) return;
    const message = `${this.#sockets} sockets were not made, this one first: their programs make them`;
    this.#context.tally.summary(this.#firstSocket.path, 'wrong-state', message);
  }

  async #link(entry: Entry, place: Place): Promise<boolean> {
    const { groups, target } = this.#context;
    const origin = groups.find(entry);
    if (origin === null) return false;
    try {
      await target.link(entry.path, origin.path, place.replace);
      return true;
    } catch (error) {
      if (isLowtideError(error, 'target-exists')) throw error;
      ownError(error);
      groups.drop(entry, origin.path);
      return false;
    }
  }

  async #make(entry: Entry, { replace }: Place): Promise<void> {
    const { target } = this.#context;
    if (entry.type === 'symlink') await target.symlink(entry.path, linkTarget(entry), replace);
    else if (entry.type === 'fifo') await target.fifo(entry.path, replace);
    else await target.device(entry.path, entry, replace);
  }
}

function linkTarget({ target = '' }: Entry): string {
  if (target !== '' && !target.includes('\0')) return target;
  throw new LowtideError('damaged-page', 'the tree gives the symlink a target that no symlink can have');
}
