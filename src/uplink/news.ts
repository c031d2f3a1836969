import type { SnapshotId } from '../model/ids.ts';

/** Of more than these, all are asked about. */
const NAMED_MAX = 1000;

/** What the node above said has changed since it was asked last: so that an answer costs what changed, not what is open. */
export class News {
  #any = false;
  #named = new Set<SnapshotId>();

  add(snapshots?: readonly SnapshotId[]): void {
    for (const id of snapshots ?? []) this.#named.add(id);
    if (snapshots === undefined || this.#named.size > NAMED_MAX) this.#any = true;
    if (this.#any) this.#named.clear();
  }

  /** `any`: nobody knows of which. */
  take(): 'any' | readonly SnapshotId[] {
    const named = [...this.#named];
    const any = this.#any;
    this.#any = false;
    this.#named = new Set();
    return any ? 'any' : named;
  }
}
