import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clock, type Collecting, Hours } from './hours.ts';
import { Daemon, freePort, type Line, lowtide, lowtideJson, sleep } from '../../test/real/processes.ts';

type Role = 'center' | 'relay' | 'agent';

const RELAYS = ['north', 'south', 'branch'] as const;

interface Machine {
  readonly name: string;
  readonly role: Role;
  readonly data: string;
  daemon: Daemon | null;
}

interface Arrival {
  readonly name: string;
  readonly arrived_at: number;
}

/** The machines of the example and what is done with them, by the command line alone. */
export class Tree {
  readonly centers = ['tokyo', 'sapporo'];
  readonly #folder: string;
  readonly #agents: readonly string[];
  readonly #machines = new Map<string, Machine>();
  #hours = new Hours(0);

  constructor(folder: string, agents: readonly string[]) {
    this.#folder = folder;
    this.#agents = agents;
  }

  filesOf(agent: string): string {
    return join(this.#folder, 'files', agent);
  }

  /** Makes everything, from the centers down, and starts it. */
  async make(): Promise<void> {
    for (const name of this.centers) await this.#found('center', name, ['--name', name]);
    await this.#found('relay', 'branch', ['branch']);
    for (const center of this.centers) await this.#join('branch', center, ['--relay']);
    await this.#start('branch');
    for (const relay of ['north', 'south']) {
      await this.#found('relay', relay, [relay]);
      await this.#join(relay, 'branch', ['--relay']);
      await this.#start(relay);
    }
    for (const [at, agent] of this.#agents.entries()) {
      mkdirSync(this.filesOf(agent), { recursive: true });
      this.#add('agent', agent);
      await this.#join(agent, at % 2 === 0 ? 'north' : 'south', []);
      const job = ['home', this.filesOf(agent), '--backup', 'manual', '--zone', 'UTC'];
      await this.#on(agent, ['job', 'add', ...job]);
      await this.#start(agent);
    }
    console.log(`  ${this.#machines.size} processes: ${[...this.#machines.keys()].join(', ')}`);
  }

  /** Gives every process hours of a few seconds, which come again and again. */
  async setHours(): Promise<void> {
    const hours = new Hours(Date.now());
    this.#hours = hours;
    for (const name of this.centers) await this.#set(name, { windows: hours.collects(name as Collecting) });
    for (const name of RELAYS) {
      const transfer = hours.sends(name === 'branch' ? 'branch' : 'relay');
      await this.#set(name, { windows: hours.collects(name), transfer });
    }
    for (const agent of this.#agents)
      edit(join(this.#machine(agent).data, 'jobs.yaml'), { transfer: hours.sends('agent') });
    console.log(`  ${hours.summary}`);
  }

  /** A running node would see it within a minute; one that starts sees it at once. */
  async #set(name: string, settings: Readonly<Record<string, string>>): Promise<void> {
    const { role, data, daemon } = this.#machine(name);
    edit(join(data, `${role}.yaml`), settings);
    await daemon?.stop();
    await this.#start(name);
  }

  async take(agent: string): Promise<void> {
    await this.#on(agent, ['job', 'run', 'home']);
  }

  /** Every process is killed once, as by a power cut, and comes back; one center stays away for a while. */
  async trouble(): Promise<void> {
    for (const name of this.#machines.keys()) {
      await this.#machine(name).daemon?.kill();
      if (name === 'sapporo') continue;
      await sleep(300);
      await this.#start(name);
    }
    await sleep(20_000);
    await this.#start('sapporo');
    console.log('  every process was killed and started again; sapporo was away meanwhile');
  }

  /** What is not as it shall be in the end, one line each. */
  async open(): Promise<string[]> {
    const open: string[] = [];
    for (const agent of this.#agents) {
      const lines = await this.#json(agent, ['snapshots']);
      for (const line of lines.filter(({ message_type: type }) => type === 'snapshot')) {
        const copies = line['copies'] as { center: string; phase: string; code: string }[];
        const safe = new Set(copies.filter(({ phase }) => phase === 'safe').map(({ center }) => center));
        if (this.centers.every((center) => safe.has(center))) continue;
        open.push(
          `${agent}: ${copies.map(({ center, phase, code }) => `${center} ${phase} ${code}`).join(', ')}`,
        );
      }
      const machine = (await this.#json(agent, ['status'])).find(
        ({ message_type: type }) => type === 'agent',
      );
      const { bytes } = machine!['spool'] as { bytes: number };
      if (bytes > 0) open.push(`${agent}: ${bytes} bytes in the spool`);
    }
    for (const relay of RELAYS) {
      const held = (await this.#json(relay, ['relay', 'status'])).filter(
        ({ message_type: type }) => type === 'held',
      );
      if (held.length > 0) open.push(`${relay}: ${held.length} snapshots in custody`);
    }
    return open;
  }

  /** How the newest backup of each agent came, one line each. @throws Error if something came outside the hours of a hop */
  async ways(): Promise<string[]> {
    const lines: string[] = [];
    for (const agent of this.#agents) {
      const copies = (await this.#newest(agent))['copies'] as { center: string; hops: Arrival[] }[];
      const hops = copies.flatMap((copy) => copy.hops).sort((a, b) => a.arrived_at - b.arrived_at);
      const arrivals = new Map(hops.map(({ name, arrived_at }) => [name, arrived_at]));
      for (const [name, at] of arrivals) {
        if (this.#hours.isOpen(name as Collecting, at)) continue;
        throw new Error(`${agent}: came to ${name} at ${clock(at)}, outside its hours`);
      }
      lines.push(`${agent}: ${[...arrivals].map(([name, at]) => `${name} ${clock(at)}`).join(', ')}`);
    }
    return lines;
  }

  async #newest(agent: string): Promise<Line> {
    const lines = await this.#json(agent, ['snapshots']);
    return lines.find(({ message_type: type }) => type === 'snapshot')!;
  }

  /** By the center's store and the machine's recovery sheet alone: no other process is asked. */
  async restoreFrom(center: string, agent: string, to: string): Promise<void> {
    const { id } = await this.#newest(agent);
    const store = join(this.#machine(center).data, 'store');
    mkdirSync(to, { recursive: true });
    const where = ['--depot', store, '--recovery-sheet', this.#sheet(agent)];
    await lowtide(['restore', String(id), '--to', to, '--overwrite', 'always', ...where]);
  }

  async stop(): Promise<void> {
    for (const { daemon } of [...this.#machines.values()].toReversed())
      await daemon?.stop().catch(() => undefined);
  }

  async #found(role: Role, name: string, args: readonly string[]): Promise<void> {
    this.#add(role, name);
    const address = `127.0.0.1:${await freePort()}`;
    const where = ['--listen', address, '--address', address, '--zone', 'UTC'];
    await this.#on(name, [role, 'init', ...args, ...where]);
    if (role === 'center') await this.#start(name);
  }

  async #join(name: string, above: string, options: readonly string[]): Promise<void> {
    const { role: there } = this.#machine(above);
    const made = await this.#json(above, [there, 'token', '--name', name, ...options]);
    const token = String(made.find(({ message_type: type }) => type === 'token')!['token']);
    const { role } = this.#machine(name);
    const sheet = role === 'agent' ? ['--sheet-file', this.#sheet(name)] : [];
    await this.#on(name, [role, 'join', token, ...sheet]);
  }

  async #start(name: string): Promise<void> {
    const machine = this.#machine(name);
    machine.daemon = new Daemon([machine.role, 'run', '--data', machine.data]);
    await machine.daemon.event('started', 30_000);
  }

  #add(role: Role, name: string): void {
    this.#machines.set(name, { name, role, data: join(this.#folder, name), daemon: null });
  }

  #machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new TypeError(`there is no machine ${name}`);
    return machine;
  }

  #sheet(agent: string): string {
    return join(this.#folder, `${agent}.sheet`);
  }

  async #on(name: string, args: readonly string[]): Promise<void> {
    await lowtide([...args, '--data', this.#machine(name).data], { exits: [0, 3] });
  }

  #json(name: string, args: readonly string[]): ReturnType<typeof lowtideJson> {
    return lowtideJson([...args, '--data', this.#machine(name).data]);
  }
}

/** Gives keys of a settings file other values. */
function edit(file: string, settings: Readonly<Record<string, string>>): void {
  let text = readFileSync(file, 'utf8');
  for (const [key, value] of Object.entries(settings)) {
    const line = new RegExp(`^(\\s*(?:- )?${key}:) .*$`, 'm');
    if (!line.test(text)) throw new Error(`${file} has no ${key}`);
    text = text.replace(line, `$1 "${value}"`);
  }
  writeFileSync(file, text);
}
