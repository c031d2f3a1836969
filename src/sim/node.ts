import type { Progress } from '../model/events.ts';
import type { Limits } from '../model/limits.ts';
import type { UnixMillis } from '../model/time.ts';
import type { World } from '../world/ports.ts';
import { simulatedClock, wallTime, type ClockSetting } from './clock.ts';
import { SimulatedDatabases } from './databases.ts';
import { simulatedDisk } from './disk.ts';
import type { CrashPolicy } from './disk-file.ts';
import { SimulatedDisk } from './disk-store.ts';
import type { DirectoryImage } from './disk-tree.ts';
import { Faults } from './faults.ts';
import { SimulatedFiles, type FilesImage } from './file-system.ts';
import { simulatedFiles } from './files.ts';
import { Incarnation } from './incarnation.ts';
import { simulatedMonitor } from './monitor.ts';
import { simulatedRandom } from './random.ts';
import type { Simulation } from './simulation.ts';
import { simulatedWork } from './work.ts';

export interface NodeOptions {
  readonly name: string;
  /** IANA zone; UTC unless told. */
  readonly zone?: string;
  /** Milliseconds that its clock is ahead of virtual time. */
  readonly clockOffset?: number;
  /** How fast its clock runs: 1.0001 gains 8.64 s a day. */
  readonly clockRate?: number;
  /** What the disk writes back at once: 4096 unless told, 512 for older disks. */
  readonly sectorBytes?: number;
  /** What a crash does to the disk unless the crash says otherwise; `draw` unless told. */
  readonly crashPolicy?: CrashPolicy;
  readonly lanes?: number;
  readonly limits?: Limits;
}

/** Everything that a machine keeps: a copy shares what nobody changes in place, so it costs little. */
export interface NodeState {
  readonly disk: DirectoryImage;
  readonly files: FilesImage;
}

/** One machine: what it keeps, and the processes that run on it. */
export class SimulatedNode {
  readonly name: string;
  readonly simulation: Simulation;
  /** Injected errors of disk, databases and user files. */
  readonly faults = new Faults();
  readonly disk: SimulatedDisk;
  readonly files: SimulatedFiles;
  readonly limits: Limits;
  readonly #databases: SimulatedDatabases;
  readonly #clock: ClockSetting;
  readonly #lanes: number;
  /** The last progress of each kind of work. */
  readonly progress = new Map<string, Progress>();
  crashPolicy: CrashPolicy;
  #incarnations = 0;
  #crashes = 0;
  #running: Incarnation[] = [];
  #suspended = false;
  readonly #onSuspension: (() => void)[] = [];

  constructor(simulation: Simulation, options: NodeOptions) {
    const { name, zone = 'UTC', clockOffset = 0, clockRate = 1, sectorBytes = 4096 } = options;
    this.simulation = simulation;
    this.name = name;
    this.#clock = { zone, offset: clockOffset, rate: clockRate };
    this.disk = new SimulatedDisk(sectorBytes, this.faults, simulation.stream('disk', name));
    this.files = new SimulatedFiles(() => this.now, this.faults);
    this.#databases = new SimulatedDatabases(this.disk);
    this.#lanes = options.lanes ?? 3;
    this.limits = options.limits ?? simulation.limits;
    this.crashPolicy = options.crashPolicy ?? 'draw';
    simulation.addNode(this);
  }

  /** What its own clock says. */
  get now(): UnixMillis {
    return wallTime(this.#clock, this.simulation.start, this.simulation.exactNow);
  }

  get zone(): string {
    return this.#clock.zone;
  }

  get running(): boolean {
    return this.#running.some((incarnation) => incarnation.alive);
  }

  /** The process that was not booted beside another, while it lives: who answers to the network. */
  get incarnation(): Incarnation | null {
    return this.#running.find((incarnation) => incarnation.alive) ?? null;
  }

  /** Somebody sets its clock; timers and monotonic time take no notice. */
  setClock(offset: number): void {
    this.#clock.offset = offset;
  }

  /**
   * Starts a process. One that still ran ends, as by kill; with `beside` it goes on (the command line beside the
   * daemon).
   */
  boot(options: { readonly beside?: boolean } = {}): World {
    if (options.beside !== true) this.stop();
    const incarnation = new Incarnation(this.simulation, this.name, ++this.#incarnations, () => this.crash());
    if (this.#suspended) incarnation.suspend();
    this.#running.push(incarnation);
    const world: World = {
      clock: simulatedClock(this.#clock, incarnation),
      random: simulatedRandom(this.simulation.stream('random', this.name, incarnation.number)),
      disk: simulatedDisk(this.disk, incarnation),
      files: simulatedFiles(this.files, incarnation),
      databases: this.#databases.port(incarnation),
      work: simulatedWork(incarnation, this.#lanes),
      monitor: simulatedMonitor(this.simulation.recorder, incarnation, (progress) =>
        this.progress.set(progress.doing, progress),
      ),
      limits: this.limits,
    };
    this.simulation.incarnations.set(world, incarnation);
    return world;
  }

  /** Ends every process of the machine; the machine itself goes on, so nothing on its disk is lost. */
  stop(): void {
    this.crash('kill');
  }

  /** Ends every process; a power loss unless the policy is `kill`, with all that this may do to the disk. */
  crash(policy: CrashPolicy = this.crashPolicy): void {
    const ended = this.#running;
    this.#running = [];
    for (const incarnation of ended) incarnation.end();
    if (policy !== 'kill') this.disk.restore(this.#diskAfter(policy, this.#crashes++));
    this.resume();
  }

  get suspended(): boolean {
    return this.#suspended;
  }

  /** Closes the lid: nothing happens on the machine until `resume`; what was sent to it waits. */
  suspend(): void {
    this.#suspended = true;
    for (const incarnation of this.#running) incarnation.suspend();
    for (const callback of this.#onSuspension) callback();
  }

  resume(): void {
    this.#suspended = false;
    for (const incarnation of this.#running) incarnation.resume();
    for (const callback of this.#onSuspension) callback();
  }

  /** Called after each suspension and resumption. */
  onSuspension(callback: () => void): void {
    this.#onSuspension.push(callback);
  }

  /** What the machine keeps, as whoever looks at it now sees it. Open transactions are not in it. */
  snapshotState(): NodeState {
    return { disk: this.disk.image(), files: this.files.image() };
  }

  /** What it would keep if it crashed now. The `variant`s of one moment are drawn differently. */
  stateAfterCrash(policy: CrashPolicy = this.crashPolicy, variant = this.#crashes): NodeState {
    return { disk: this.#diskAfter(policy, variant), files: this.files.image() };
  }

  /** The machine, which must be stopped, becomes what it was then; `parts` says what of it. */
  restoreState(state: NodeState, parts: { readonly disk?: boolean; readonly files?: boolean } = {}): void {
    if (this.running) throw new TypeError(`stop or crash ${this.name} first`);
    if (parts.disk !== false) this.disk.restore(state.disk);
    if (parts.files !== false) this.files.restore(state.files);
  }

  #diskAfter(policy: CrashPolicy, variant: number): DirectoryImage {
    const random = this.simulation.scheduleStream(
      'crash',
      this.name,
      this.simulation.operations.count,
      variant,
    );
    // Some crashes lose nearly all, some nearly nothing, most are mixed.
    const survival = random.pick([0.05, 0.5, 0.5, 0.95]);
    return this.disk.imageAfter(policy, { random, survival });
  }
}
