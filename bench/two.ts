import { join } from 'node:path';
import { Pair } from '../test/real/pair.ts';
import { type Line, LOWTIDE, run } from '../test/real/processes.ts';
import { measured, Meter } from './meter.ts';
import { megabytes, type Report } from './report.ts';
import { editOne, type Workplace } from './workplace.ts';

const DRAIN_MS = 600_000;

/**
 * Center and agent as processes on loopback: backup into the spool, collection, restore from the center, and a second
 * night with one file changed. Collection is timed by the center's ledger, from its order to its receipt.
 */
export async function measureTwo(report: Report, place: Workplace, title: string): Promise<void> {
  const pair = await Pair.make('measure');
  try {
    await pair.onAgent('job', 'add', 'documents', place.tree, '--backup', 'manual', '--transfer', 'any');
    await pair.startAgent();
    await night(report, pair, title, '');
    const target = join(place.scratch, 'restored');
    const center = new Meter(pair.center.pid);
    const args = ['restore', 'latest', '--to', target, '--data', pair.agentData, '--json'];
    const { cost } = await measured(LOWTIDE, args);
    report.add(title, 'restore from the center: restore', cost);
    report.add(title, 'restore from the center: center', { ...center.stop(), wallMs: cost.wallMs });
    await run('diff', ['-r', '--no-dereference', place.tree, join(target, place.tree)]);
    place.clear();
    editOne(place.tree);
    await night(report, pair, title, 'one file edited: ');
  } finally {
    await pair.close();
  }
}

async function night(report: Report, pair: Pair, title: string, when: string): Promise<void> {
  const { agent, center } = pair;
  const mark = agent.lines.length;
  const taking = new Meter(agent.pid);
  const asked = pair.onAgent('job', 'run', 'documents');
  const taken = await agent.event('taken', DRAIN_MS, mark);
  report.add(
    title,
    `${when}backup into the spool: agent`,
    taking.stop(),
    `${megabytes(Number(taken['spooled']))} spooled`,
  );
  const sending = new Meter(agent.pid);
  const receiving = new Meter(center.pid);
  await agent.event('freed', DRAIN_MS, mark);
  const costs = [sending.stop(), receiving.stop()] as const;
  await asked;
  const wallMs = await orderToReceipt(pair, String(taken['snapshot']));
  const sent = agent.events('sent').at(-1);
  report.add(
    title,
    `${when}collection: agent`,
    { ...costs[0], wallMs },
    `${megabytes(Number(sent?.['bytes']))} sent`,
  );
  report.add(title, `${when}collection: center`, { ...costs[1], wallMs });
}

async function orderToReceipt(pair: Pair, snapshot: string): Promise<number> {
  const [row] = await pair.onCenter('center', 'ledger', snapshot);
  const history = row?.['history'] as Line[];
  const at = (what: string): number => Number(history.findLast((line) => line['what'] === what)?.['at']);
  return at('receipted') - at('ordered');
}
