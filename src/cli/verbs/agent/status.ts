import type { Command } from 'commander';
import { shortId } from '../../../model/ids.ts';
import type { AgentStatus, CenterStatus } from '../../../node/agent-view.ts';
import type { Context } from '../../context.ts';
import { dueText, protectionLines } from '../../protection-text.ts';
import { type DataOptions, withAgent } from '../../reach.ts';
import { spoolLines } from '../../spool-text.ts';
import { bytesText, pairLines, timeText } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { withAgentData } from './options.ts';

export function statusVerb(): Command {
  const verb = newVerb('status', {
    summary: 'What is protected, what waits, why and until when',
    about:
      'Who this machine is, whether each center can be reached, how well each job is protected, and for each ' +
      'snapshot in the spool what it waits for. Nothing is called protected before a center has said, signed, ' +
      'that it holds it.',
    examples: [
      ['lowtide status', 'for people'],
      [
        'lowtide status --json',
        'one message for the machine, each center, each job and each spooled snapshot',
      ],
    ],
  });
  return withAgentData(verb).action(action(status));
}

async function status(context: Context, options: DataOptions): Promise<void> {
  const { output } = context;
  const state = await withAgent(context, options, ({ people }) => people.status({}));
  tellScripts(context, state);
  const { client, name, software, zone, running, taking } = state;
  output.result(`${name} (client ${shortId(client)}), ${software}. Times are in ${zone}.`);
  if (running)
    output.result(taking === null ? 'The agent is running.' : `The agent is taking a backup of ${taking}.`);
  else output.result("The agent is NOT RUNNING: nothing is taken or sent until 'lowtide agent run'.");
  section(context, 'Centers', centerLines(state), "none yet: 'lowtide agent join' joins one");
  section(
    context,
    'Jobs',
    jobLines(state),
    "NOT PROTECTED: there is no job, so nothing is backed up ('lowtide job add')",
  );
  const { bytes, quota } = state.spool;
  const title = `Spool: ${bytesText(bytes)} of ${bytesText(quota)}`;
  section(context, title, spoolLines(state), 'everything taken has been collected');
}

function section({ output }: Context, title: string, lines: readonly string[], empty: string): void {
  output.result('');
  output.result(title);
  for (const line of lines.length === 0 ? [empty] : lines) output.result('  ' + line);
}

function centerLines({ centers }: AgentStatus): string[] {
  return pairLines(centers.map((center) => [center.name, centerText(center)]));
}

function centerText({ connected, code, message, windows, zone, addresses }: CenterStatus): string {
  const state = connected ? 'connected' : `NOT CONNECTED: ${message}${code === '' ? '' : ` (${code})`}`;
  const hours = windows === null ? '' : `; collects ${windows} (${zone})`;
  return `${state}${hours}; at ${addresses.join(', ')}`;
}

function jobLines(state: AgentStatus): string[] {
  const pairs = state.jobs.flatMap((job): [string, string][] => {
    const [first = '', ...rest] = protectionLines(job, state);
    const last = job.lastTaken === null ? 'never yet' : timeText(job.lastTaken, state.zone);
    const hours = `${job.backup}; may travel ${job.transfer} (${job.zone})`;
    const next = `taken ${hours}; last ${last}, next ${dueText(job, state)}`;
    return [[job.name, first], ...[...rest, next].map((text): [string, string] => ['', text])];
  });
  return pairLines(pairs);
}

function tellScripts({ output }: Context, state: AgentStatus): void {
  const { centers, jobs, spool, ...machine } = state;
  const { snapshots, ...usage } = spool;
  output.message({ message_type: 'agent', ...machine, spool: usage });
  for (const center of centers) output.message({ message_type: 'center', ...center });
  for (const { lastTaken, nextDue, protection, ...job } of jobs) {
    const { asOf, ...level } = protection;
    output.message({
      message_type: 'job',
      ...job,
      last_taken: lastTaken,
      next_due: nextDue,
      protection: { ...level, as_of: asOf },
    });
  }
  for (const { takenAt, ...snapshot } of snapshots) {
    output.message({ message_type: 'spooled', ...snapshot, taken_at: takenAt });
  }
}
