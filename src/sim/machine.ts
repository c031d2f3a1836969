import { messageOf } from '../model/errors.ts';
import type { World } from '../world/ports.ts';
import type { SimulatedNode } from './node.ts';

/** One machine of a fleet and the node that runs on it, if it runs. */
export abstract class Machine<Running> {
  readonly node: SimulatedNode;
  /** What answers: null while booting or down. */
  running: Running | null = null;
  #stop = new AbortController();
  #life: Promise<void> = Promise.resolve();

  constructor(node: SimulatedNode) {
    this.node = node;
  }

  get name(): string {
    return this.node.name;
  }

  protected abstract open(world: World): Promise<Running>;
  protected abstract live(running: Running, stop: AbortSignal): Promise<void>;
  protected abstract close(running: Running): Promise<void>;

  /** Starts the node; it recovers first, then lives until `shutDown` or a crash. */
  boot(): void {
    const world = this.node.boot();
    const stop = new AbortController();
    this.#stop = stop;
    this.running = null;
    this.#life = this.#run(world, stop.signal).catch((error: unknown) => {
      this.node.simulation.fail(new Error(`${this.name}: ${messageOf(error)}`, { cause: error }));
    });
  }

  async #run(world: World, stop: AbortSignal): Promise<void> {
    const running = await this.open(world);
    this.running = running;
    await this.live(running, stop);
    this.running = null;
    await this.close(running);
  }

  /** The clean stop of a SIGTERM. */
  async shutDown(): Promise<void> {
    this.#stop.abort();
    await this.node.simulation.finish(this.#life);
    this.node.stop();
  }

  /** Power loss. */
  crash(): void {
    this.running = null;
    this.node.crash();
  }
}
