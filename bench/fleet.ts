/**
 * Two hundred real agents and a real center on this machine: real spools, real TLS, three lines that carry no more than a
 * line does. Compares when the night's collection was done with what `center plan` said before it, and what went over each
 * agent's own wire with its hours.
 *
 *   node bench/fleet.ts [--agents 200] [--processes 8] [--minutes 8] [--lead 4] [--json FILE]
 *
 * Takes lead + minutes + 1 minutes. Exits with 1 if the forecast was more than a tenth off or something moved outside of
 * its hours.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { connectLocal } from '../src/http/local-client.ts';
import { formatToken, parseToken } from '../src/identity/token.ts';
import type { OneAnswer } from '../src/http/local-verbs.ts';
import type { CenterPlan, PlanAsk, TokenAsk } from '../src/node/center/people.ts';
import { Daemon, freePort, lowtideJson, newFolder, removeFolder, sleep } from '../test/real/processes.ts';
import type { AgentOrder } from './fleet/agents.ts';
import { type Night, report } from './fleet/report.ts';
import { hours, LINES, type Plotted, plot } from './fleet/plot.ts';
import { Way, WireLine } from './fleet/wire.ts';

/** A line carries more than collection may take of it. */
const WIRE_OVER_RATE = 1.25;

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '200' },
    processes: { type: 'string', default: '8' },
    minutes: { type: 'string', default: '8' },
    lead: { type: 'string', default: '4' },
    json: { type: 'string' },
  },
});
const MINUTE = 60_000;
const [agents, processes, minutes, lead] = [values.agents, values.processes, values.minutes, values.lead].map(
  Number,
) as [number, number, number, number];

// An interface would not do: verbs are an open table.
type CenterVerbs = {
  readonly plan: OneAnswer<PlanAsk, CenterPlan>;
  readonly token: OneAnswer<TokenAsk, { readonly token: string }>;
};

async function main(): Promise<boolean> {
  const folder = newFolder('fleet');
  const endings: (() => Promise<unknown> | void)[] = [() => removeFolder(folder)];
  try {
    const opening = (Math.ceil(Date.now() / MINUTE) + lead) * MINUTE;
    const plotted = plot(opening, agents, minutes);
    const port = await freePort();
    const data = join(folder, 'center');
    await makeCenter(data, port, opening, plotted);
    const center = new Daemon(['center', 'run', '--data', data]);
    endings.push(() => center.stop());
    await center.event('started', 30_000);
    const ways = await openWays(plotted, port);
    endings.push(() => ways.forEach((way) => way.close()));
    console.log(
      `${plotted.length} agents in ${processes} processes; the night is ${hours(opening, opening + minutes * MINUTE)}`,
    );
    const children = await startAgents(folder, data, plotted, ways, endings);
    await Promise.all(children.map((child) => said(child, 'ready')));
    console.log(
      `all backups are in their spools, ${Math.round((opening - Date.now()) / 1000)} s before the opening`,
    );
    const plan = await planBefore(data, opening, plotted.length);
    await sleep(opening + minutes * MINUTE + 10_000 - Date.now());
    console.log('the night is over');
    const rows = await lowtideJson(['center', 'ledger', '--data', data]);
    const night: Night = {
      opening,
      end: opening + minutes * MINUTE,
      plotted,
      plan,
      rows,
      ways,
      rates: new Map(LINES.map(({ name, rate }) => [name, rate])),
      memory: children.map(({ pid }) => peakOf(pid!)).concat(peakOf(center.pid)),
    };
    const { text, kept, figures } = report(night);
    console.log(text);
    if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(figures, null, 1));
    return kept;
  } finally {
    for (const end of endings.toReversed()) await end();
  }
}

async function makeCenter(
  data: string,
  port: number,
  opening: number,
  plotted: readonly Plotted[],
): Promise<void> {
  const address = `127.0.0.1:${port}`;
  const windows = hours(opening, opening + minutes * MINUTE);
  const where = ['--data', data, '--listen', address, '--address', address];
  await lowtideJson(['center', 'init', '--name', 'tokyo', '--windows', windows, '--zone', 'UTC', ...where]);
  const path = join(data, 'center.yaml');
  const lines = LINES.map(({ name, rate }) => {
    const clients = plotted.filter(({ line }) => line === name).map((agent) => agent.name);
    return `  - name: ${name}\n    rate: "${rate / 1000} kB/s"\n    clients: [${clients.join(', ')}]\n`;
  });
  const text = readFileSync(path, 'utf8').replace(/^streams: .*$/m, 'streams: 100');
  writeFileSync(path, `${text}lines:\n${lines.join('')}`);
}

async function openWays(plotted: readonly Plotted[], port: number): Promise<Way[]> {
  const wires = new Map(LINES.map(({ name, rate }) => [name, new WireLine(name, rate * WIRE_OVER_RATE)]));
  const ways: Way[] = [];
  for (const { line } of plotted) ways.push(await Way.open(wires.get(line)!, port));
  return ways;
}

/** Every token names the port of its own computer, so that each has a wire of its own. */
async function startAgents(
  folder: string,
  data: string,
  plotted: readonly Plotted[],
  ways: readonly Way[],
  endings: (() => Promise<unknown> | void)[],
): Promise<ChildProcess[]> {
  const people = await connectLocal<CenterVerbs>(join(data, 'socket'));
  const orders: AgentOrder[] = [];
  for (const [at, { name, bytes, start, end }] of plotted.entries()) {
    const { token } = await people!.ask('token', { name, role: 'agent', lifetimeMs: null });
    const addresses = [{ host: '127.0.0.1', port: ways[at]!.port }];
    const own = join(folder, name);
    mkdirSync(own);
    orders.push({
      name,
      folder: own,
      token: formatToken({ ...parseToken(token), addresses }),
      bytes,
      transfer: hours(start, end),
    });
  }
  return Array.from({ length: processes }, (_, at) => {
    const mine = orders.filter((_, order) => order % processes === at);
    const script = join(import.meta.dirname, 'fleet/agents.ts');
    const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    endings.push(async () => {
      if (child.exitCode !== null) return;
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));
    });
    child.stdin.write(`${JSON.stringify(mine)}\n`);
    return child;
  });
}

async function said(child: ChildProcess, word: string): Promise<void> {
  for await (const line of createInterface(child.stdout!)) if (line === word) return;
  throw new Error(`a process of agents ended before it was ${word}`);
}

/** As late as there is time for it, when all wait. */
async function planBefore(data: string, opening: number, count: number): Promise<CenterPlan> {
  const people = await connectLocal<CenterVerbs>(join(data, 'socket'));
  for (;;) {
    const plan = await people!.ask('plan', { night: null });
    const { length } = plan.offers;
    if (length === count && opening - Date.now() < 20_000) return plan;
    if (Date.now() > opening)
      throw new Error(`${length} of ${count} offers had come at the opening: longer --lead`);
    await sleep(2000);
  }
}

/** Mebibytes. */
function peakOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024);
}

process.exitCode = (await main()) ? 0 : 1;
