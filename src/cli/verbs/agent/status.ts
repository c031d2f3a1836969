import type { Command } from 'commander';
import { wrapLines } from '../../../model/text-lines.ts';
import { shortId } from '../../../model/ids.ts';
import type { AgentStatus, JobStatus } from '../../../node/agent/view.ts';
import { LOST_COUNTED } from '../../../node/agent/lost-files.ts';
import type { UpstreamStatus } from '../../../node/upstream-view.ts';
import type { Context } from '../../context.ts';
import { dueText, protectionLines } from '../../protection-text.ts';
import { type DataOptions, withAgent } from '../../reach.ts';
import { spoolLines } from '../../spool-text.ts';
import { bytesText } from '../../../model/bytes-text.ts';
import {
  hoursText,
  hangingLines,
  joinedLines,
  namedLines,
  plural,
  secondText,
  timeText,
} from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { withAgentData } from './options.ts';

export function statusVerb(): Command {
  const verb = newVerb('status', {
    summary: 'What is protected, what waits, why and until when',
    about:
      'Who this machine is, whether each center or relay that it sends to can be reached, how well each job is protected, and for each ' +
      'snapshot in the spool what it waits for. Nothing is called protected before a center has said, signed, ' +
      'that it holds it.',
    examples: [
      ['lowtide status', 'for people'],
      [
        'lowtide status --json',
        'one message for the machine, each upstream, center, job, spooled snapshot and loss',
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
  warnOfMistakes(context, state);
  section(
    context,
    'Sends to',
    upstreamLines(state),
    "nothing yet: 'lowtide agent join' joins a center or relay",
  );
  section(
    context,
    'Jobs',
    jobLines(state),
    "NOT PROTECTED: there is no job, so nothing is backed up ('lowtide job add')",
  );
  const { bytes, quota } = state.spool;
  const title = `Spool: ${bytesText(bytes)} of ${bytesText(quota)}`;
  section(context, title, spoolLines(state), 'nothing waits in it');
  if (state.lost.length > 0)
    section(context, "LOST, as 'lowtide snapshots --lost' lists it", lostLines(state), '');
}

/** Whoever has edited a file must hear that it does not count. */
export function warnOfMistakes({ output }: Context, { mistakes }: Pick<AgentStatus, 'mistakes'>): void {
  for (const mistake of mistakes) output.warn(`NOT IN FORCE, what was there before is: ${mistake}`);
}

/** A part of a status, under its title. */
export function section({ output }: Context, title: string, lines: readonly string[], empty: string): void {
  output.result('');
  output.result(title);
  for (const line of lines.length === 0 ? [empty] : lines) output.result('  ' + line);
}

export function upstreamLines(state: Pick<AgentStatus, 'upstreams' | 'centers' | 'zone'>): string[] {
  return namedLines(
    state.upstreams.map((upstream) => [upstream.name, (columns) => upstreamText(upstream, state, columns)]),
  );
}

function upstreamText(
  { id, kind, connected, since, code, message, retryAt, windows, zone, addresses }: UpstreamStatus,
  { centers, zone: here }: Pick<AgentStatus, 'centers' | 'zone'>,
  columns: number,
): string[] {
  const away = since === null ? '' : ` since ${timeText(since, here)}`;
  const state = connected
    ? 'connected'
    : `NOT CONNECTED${away}: ${message}${code === '' ? '' : ` (${code})`}`;
  const hours = windows === null || zone === null ? [] : [`collects ${hoursText(windows, zone)}`];
  const retry = connected || since === null ? [] : [retryText(retryAt, here)];
  const lines = joinedLines([state, ...retry, ...hours, `at ${addresses.join(', ')}`], columns);
  if (kind === 'center') return lines;
  const led = centers.filter(({ ways }) => ways.includes(id)).map(({ name }) => name);
  return [...lines, ...wrapLines(`a relay, which leads to ${led.join(' and ')}`, columns)];
}

/** Whoever asks has it tried at once. */
const retryText = (retryAt: number | null, zone: string): string =>
  retryAt === null
    ? 'tried again now, because you ask, and by itself within 5 min'
    : `tried again at ${secondText(retryAt, zone)} by itself, or at once when you ask again`;

function jobLines(state: AgentStatus): string[] {
  return namedLines(state.jobs.map((job) => [job.name, (columns) => jobText(job, state, columns)]));
}

function jobText(job: JobStatus, state: AgentStatus, columns: number): string[] {
  const last = job.lastTaken === null ? 'never yet' : timeText(job.lastTaken, state.zone);
  const hours = [
    `taken ${job.backup}`,
    `may travel ${hoursText(job.transfer, job.zone)}`,
    `last ${last}, next ${dueText(job, state)}`,
  ];
  const protection = protectionLines(job, state).flatMap((text) => hangingLines(text, columns));
  return [...protection, ...joinedLines(hours, columns)];
}

function lostLines({ lost, zone }: AgentStatus): string[] {
  return lost.map(({ snapshot, job, takenAt, lostAt, holder, files }) => {
    const what =
      files === null
        ? 'files'
        : files > LOST_COUNTED
          ? `more than ${plural(LOST_COUNTED, 'file')}`
          : plural(files, 'file');
    return `${what} of ${job} (${shortId(snapshot)}, taken ${timeText(takenAt, zone)}) with ${holder}, heard of ${timeText(lostAt, zone)}`;
  });
}

function tellScripts({ output }: Context, state: AgentStatus): void {
  const { upstreams, centers, jobs, spool, lost, ...machine } = state;
  const { snapshots, ...usage } = spool;
  output.message({ message_type: 'agent', ...machine, spool: usage });
  for (const upstream of upstreams) output.message({ message_type: 'upstream', ...upstream });
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
  for (const { takenAt, lostAt, ...loss } of lost) {
    output.message({ message_type: 'lost', ...loss, taken_at: takenAt, lost_at: lostAt });
  }
}
