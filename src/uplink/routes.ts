import type { CenterId } from '../model/ids.ts';

/** One way up, as the uplink that serves it sees it. */
export interface Route {
  /**
   * Whether to offer for this center here: no better way to it is open.
   * @param near nodes above that have what the snapshot leans on: their ways are better than any other
   */
  leadsTo(center: CenterId, near?: readonly CenterId[]): boolean;
  setOpen(open: boolean): void;
}

interface Way {
  readonly upstream: CenterId;
  readonly centers: ReadonlySet<CenterId>;
  readonly changed: () => void;
  open: boolean;
}

/**
 * The ways that a node has to the centers that it owes to, best first. Obligations name centers, upstreams are ways: what
 * two of them lead to is offered by the first that is open, so that it travels once.
 */
export class Routes {
  readonly #ways: Way[] = [];

  /** @param changed called when ways open or close */
  add(upstream: CenterId, centers: readonly CenterId[], changed: () => void): Route {
    const way: Way = { upstream, centers: new Set(centers), changed, open: false };
    this.#ways.push(way);
    return {
      leadsTo: (center, near = []) => this.#best(center, near) === way,
      setOpen: (open) => {
        if (way.open === open) return;
        way.open = open;
        for (const other of this.#ways) if (other !== way) other.changed();
      },
    };
  }

  #best(center: CenterId, near: readonly CenterId[]): Way | undefined {
    const open = this.#ways.filter((way) => way.open && way.centers.has(center));
    return open.find(({ upstream }) => near.includes(upstream)) ?? open[0];
  }
}
