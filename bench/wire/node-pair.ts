import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, type Line, lowtideJson, newFolder, removeFolder } from '../../test/real/processes.ts';

const READY_MS = 60_000;
const MIB = 1 << 20;

export interface PairOptions {
  /** Where the center listens, and where the agent reaches it. */
  readonly listen: string;
  readonly address: string;
  /** In front of the command that runs the center: another network, for one. */
  readonly inFront?: readonly string[];
  readonly yields?: boolean;
}

/** A center and an agent as two processes, with one backup of random bytes that waits in the spool. */
export class NodePair {
  readonly folder = newFolder('wire');
  readonly #options: PairOptions;
  readonly #daemons: Daemon[] = [];

  constructor(options: PairOptions) {
    this.#options = options;
  }

  get #center(): string {
    return join(this.folder, 'center');
  }

  get #agent(): string {
    return join(this.folder, 'agent');
  }

  /** Takes the backup; nothing is collected yet. */
  async prepare(mebibytes: number): Promise<void> {
    const { listen, address, yields = false, inFront = [] } = this.#options;
    const center = ['--data', this.#center];
    const agent = ['--data', this.#agent];
    await lowtideJson(['center', 'init', '--name', 'center', '--zone', 'UTC', '--streams', '0',
      '--listen', listen, '--address', address, ...center]); // prettier-ignore
    await this.#run(['center', 'run', ...center], inFront);
    const [token] = await lowtideJson(['center', 'token', '--name', 'agent', ...center]);
    await lowtideJson(['agent', 'join', String(token!['token']), ...agent]);
    const source = join(this.folder, 'source');
    await lowtideJson(['job', 'add', 'all', source, '--backup', 'manual', ...agent]);
    const config = join(this.#agent, 'agent.yaml');
    writeFileSync(config, `spool: 20 GiB\ncompression: off\nyield: ${yields}\n`);
    writeRandom(source, mebibytes * MIB);
    await this.#run(['agent', 'run', ...agent]);
    await lowtideJson(['job', 'run', 'all', ...agent], { timeoutMs: READY_MS });
  }

  /** The center collects by these settings, which stand in center.yaml: it sees them at its start. */
  async collect(settings: string): Promise<void> {
    const { listen, address, inFront = [] } = this.#options;
    await this.#daemons[0]!.stop();
    writeFileSync(
      join(this.#center, 'center.yaml'),
      `listen: ${listen}\naddresses: ["${address}"]\nzone: UTC\n${settings}`,
    );
    this.#daemons[0] = await this.#started(['center', 'run', '--data', this.#center], inFront);
  }

  /** Events of the center so far. */
  events(kind: string): Line[] {
    return this.#daemons[0]!.events(kind);
  }

  async #run(args: readonly string[], inFront: readonly string[] = []): Promise<void> {
    this.#daemons.push(await this.#started(args, inFront));
  }

  async #started(args: readonly string[], inFront: readonly string[]): Promise<Daemon> {
    const daemon = new Daemon(args, {}, inFront);
    await daemon.event('started', READY_MS);
    return daemon;
  }

  async close(): Promise<void> {
    for (const daemon of this.#daemons) if (daemon.running) await daemon.kill();
    removeFolder(this.folder);
  }
}

/** Nothing of it can be compressed, and no two parts of it are the same. */
function writeRandom(path: string, bytes: number): void {
  const part = Buffer.allocUnsafe(MIB);
  const file = openSync(path, 'w');
  for (let written = 0; written < bytes; written += MIB) writeSync(file, randomFillSync(part));
  closeSync(file);
}
