import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import {
  Daemon,
  freePort,
  type Line,
  lowtideJson,
  newFolder,
  removeFolder,
  type RunOptions,
  sleep,
} from './processes.ts';

const READY_MS = 30_000;

/** A center and an agent on this machine as two processes with their own data folders, as the README tells it. */
export class Pair {
  readonly folder: string;
  readonly port: number;
  #center: Daemon | null = null;
  #agent: Daemon | null = null;
  /** Every daemon that ever ran here, oldest first: their events tell the whole story. */
  readonly centers: Daemon[] = [];
  readonly agents: Daemon[] = [];

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  /**
   * Both data folders made and joined; the center runs, the agent does not yet.
   * @param conditions further options of `center init`
   */
  static async make(name: string, conditions: readonly string[] = []): Promise<Pair> {
    const pair = new Pair(newFolder(name), await freePort());
    const address = `127.0.0.1:${pair.port}`;
    const where = ['--listen', address, '--address', address];
    await pair.onCenter('center', 'init', '--name', 'tokyo', ...where, ...conditions);
    await pair.startCenter();
    const [token] = (await pair.onCenter('center', 'token', '--name', 'ann-laptop')) as [Line];
    await pair.onAgent('agent', 'join', String(token['token']));
    return pair;
  }

  get centerData(): string {
    return join(this.folder, 'center');
  }

  get agentData(): string {
    return join(this.folder, 'agent');
  }

  get center(): Daemon {
    if (this.#center === null) throw new Error('the center does not run');
    return this.#center;
  }

  get agent(): Daemon {
    if (this.#agent === null) throw new Error('the agent does not run');
    return this.#agent;
  }

  /** A new folder below the pair's, for sources and restores. */
  newFolder(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path);
    return path;
  }

  onCenter(...args: string[]): Promise<Line[]> {
    return lowtideJson([...args, '--data', this.centerData]);
  }

  onAgent(...args: string[]): Promise<Line[]> {
    return lowtideJson([...args, '--data', this.agentData]);
  }

  /** Of the agent, with exit codes that are expected. */
  askAgent(args: readonly string[], options: RunOptions): Promise<Line[]> {
    return lowtideJson([...args, '--data', this.agentData], options);
  }

  async startCenter(): Promise<Daemon> {
    const daemon = this.#newCenter();
    await isUp(daemon, join(this.centerData, 'socket'));
    return daemon;
  }

  async startAgent(): Promise<Daemon> {
    const daemon = this.#newAgent();
    await isUp(daemon, join(this.agentData, 'socket'));
    return daemon;
  }

  /** Starts them and kills them after so many milliseconds, however far they came. */
  async startAndKill(who: 'center' | 'agent' | 'both', ms: number): Promise<void> {
    const daemons = [
      ...(who === 'agent' ? [] : [this.#newCenter()]),
      ...(who === 'center' ? [] : [this.#newAgent()]),
    ];
    await sleep(ms);
    await Promise.all(daemons.map((daemon) => daemon.kill()));
  }

  #newCenter(): Daemon {
    const daemon = new Daemon(['center', 'run', '--data', this.centerData]);
    this.#center = daemon;
    this.centers.push(daemon);
    return daemon;
  }

  #newAgent(): Daemon {
    const daemon = new Daemon(['agent', 'run', '--data', this.agentData]);
    this.#agent = daemon;
    this.agents.push(daemon);
    return daemon;
  }

  /** Snapshots that the agent knows of, oldest first. */
  async snapshots(): Promise<Line[]> {
    const lines = await this.onAgent('snapshots');
    return lines
      .filter((line) => line.message_type === 'snapshot')
      .sort((a, b) => Number(a['sequence']) - Number(b['sequence']));
  }

  /** What `lowtide status --json` says, by kind. */
  async status(): Promise<Status> {
    const lines = await this.onAgent('status');
    const of = (type: string): Line[] => lines.filter((line) => line.message_type === type);
    const agent = of('agent')[0]!;
    const { bytes } = agent['spool'] as { bytes: number };
    return { agent, jobs: of('job'), spooled: of('spooled'), spoolBytes: bytes };
  }

  /** Everything taken was collected and freed. @throws AssertionError after `ms` */
  async drained(ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    for (;;) {
      const status = await this.status();
      if (status.spooled.length === 0 && status.spoolBytes === 0) return;
      if (performance.now() > deadline) assert.fail(`not collected: ${JSON.stringify(status, null, 1)}`);
      await sleep(500);
    }
  }

  /** Restores with what `restore` takes before `--to`; answers its summary. */
  async restore(target: string, ...what: string[]): Promise<Restored> {
    const lines = await this.askAgent(['restore', ...what, '--to', target], { exits: [0, 3] });
    const summary = lines.find((line) => line.message_type === 'summary')!;
    const sources = summary['by_source'] as { name: string; bytes: number }[];
    return {
      complete: summary['complete'] === true,
      problems: lines.filter((line) => line.message_type === 'problem'),
      from: (name) => sources.find((source) => source.name === name)?.bytes ?? 0,
    };
  }

  /** Ends what runs and takes the folder away. */
  async close(): Promise<void> {
    for (const daemon of [...this.centers, ...this.agents]) if (daemon.running) await daemon.kill();
    removeFolder(this.folder);
  }
}

export interface Status {
  readonly agent: Line;
  readonly jobs: readonly Line[];
  readonly spooled: readonly Line[];
  /** Bytes of data that the spool holds. */
  readonly spoolBytes: number;
}

export interface Restored {
  readonly complete: boolean;
  readonly problems: readonly Line[];
  /** Bytes that came from a source: `spool`, `center tokyo`. */
  readonly from: (source: string) => number;
}

/** It has said so, and answers on its socket. */
async function isUp(daemon: Daemon, socket: string): Promise<void> {
  await daemon.event('started', READY_MS);
  const deadline = performance.now() + READY_MS;
  while (!(await answers(socket))) {
    if (!daemon.running || performance.now() > deadline) throw new Error(`nobody answers on ${socket}`);
    await sleep(20);
  }
}

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
