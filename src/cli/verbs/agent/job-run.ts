import type { Command } from 'commander';
import { type ErrorCode, errorRegistry, LowtideError } from '../../../model/errors.ts';
import { shortId } from '../../../model/ids.ts';
import { aborted } from '../../../model/stopping.ts';
import type { AgentPeople, Collected, RunResult } from '../../../node/agent/people.ts';
import type { Context } from '../../context.ts';
import { type DataOptions, type Reached, withAgent } from '../../reach.ts';
import { copyLines } from '../../spool-text.ts';
import { bytesText } from '../../../model/bytes-text.ts';
import { parseDuration, plural } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { withAgentData } from './options.ts';

const POLL_MS = 250;
const WAIT_POLL_MS = 500;

interface RunOptions extends DataOptions {
  /** True, or a time. */
  readonly wait?: true | string;
}

export function jobRunVerb(): Command {
  const verb = newVerb('run', {
    summary: 'Take a backup of a job now',
    about:
      'Into the spool, where it waits for its hours to travel. With --wait the command stays until every center ' +
      'that it is owed to has it; with a time, no longer than that: then the exit code is 4 and the backup goes on ' +
      'waiting in the spool. If no agent runs, this command does the work itself.',
    examples: [
      ['lowtide job run documents', 'take it now; it travels in its hours'],
      ['lowtide job run documents --wait 10min', 'and see whether it arrives within ten minutes'],
    ],
  });
  return withAgentData(verb)
    .argument('<NAME>', 'the job')
    .option('--wait [TIME]', 'until it is collected, at most so long')
    .action(action(run));
}

async function run(context: Context, name: string, options: RunOptions): Promise<number> {
  const { wait } = options;
  const waitMs = wait === undefined ? 0 : wait === true ? Infinity : parseDuration(wait);
  return await withAgent(context, options, async (reached) => {
    const result = await take(context, reached, name);
    tell(context, result);
    const done = result.counts.problems > 0 ? 3 : 0;
    if (wait === undefined) {
      const how = reached.running ? '' : ' No agent is running: it travels once one runs.';
      context.output.line(
        `It waits in the spool to be collected: 'lowtide status' says why and until when.${how}`,
      );
      return done;
    }
    await waitUntilCollected(context, reached, result, waitMs);
    return done;
  });
}

/** Starts the backup and watches it. */
async function take(
  context: Context,
  { people, running }: Reached<AgentPeople>,
  name: string,
): Promise<RunResult> {
  const { world, stop, clearProgress, output } = context;
  const { run } = await people.startJob({ name });
  for (;;) {
    const state = await people.run({ run });
    if (state.state === 'done') {
      clearProgress();
      if (running) for (const problem of state.result.problems) world.monitor.problem(problem);
      clearProgress();
      return state.result;
    }
    if (state.state === 'failed') throw new LowtideError(codeOf(state.code), state.message);
    if (running && state.progress !== null) world.monitor.progress(state.progress);
    await world.clock.sleep(POLL_MS, stop);
    if (!stop.aborted) continue;
    if (running) output.warn('The agent goes on with the backup.');
    if (running) throw stop.reason;
  }
}

const codeOf = (code: string): ErrorCode =>
  Object.hasOwn(errorRegistry, code) ? (code as ErrorCode) : 'crashed';

function tell({ output }: Context, result: RunResult): void {
  const { snapshot, job, counts, storedBytes, unchanged, complete } = result;
  output.message({
    message_type: 'summary',
    snapshot,
    job,
    sequence: result.sequence,
    taken_at: result.takenAt,
    ...counts,
    unchanged,
    stored_bytes: storedBytes,
    complete,
  });
  output.line(
    `Snapshot ${shortId(snapshot)} of job ${job}: ${plural(counts.files, 'file')}, ${bytesText(counts.bytes)}, ` +
      `${plural(unchanged, 'file')} unchanged; ${bytesText(storedBytes)} into the spool.`,
  );
  if (!complete) output.warn('The spool is full: this is a part, and the rest follows once it is collected.');
  if (counts.problems > 0) output.warn(`${plural(counts.problems, 'entry', 'entries')} could not be read.`);
}

/** @throws LowtideError `not-collected` when the time is over */
async function waitUntilCollected(
  context: Context,
  reached: Reached<AgentPeople>,
  { job, sequence }: RunResult,
  waitMs: number,
): Promise<void> {
  const { world, stop, output } = context;
  const { people, deliver } = reached;
  const over = new AbortController();
  // Without a daemon this process sends; with one it only asks.
  const sending = deliver?.(AbortSignal.any([stop, over.signal]));
  const deadline = world.clock.monotonic() + waitMs;
  try {
    for (;;) {
      const state = await people.collected({ job, sequence });
      if (state.collected) {
        output.message({ message_type: 'collected', job, sequence });
        output.line('Collected: every center that it is owed to has it.');
        return;
      }
      if (world.clock.monotonic() >= deadline) throw await notCollected(people, state);
      await Promise.race([world.clock.sleep(WAIT_POLL_MS, stop), aborted(stop)]);
      stop.throwIfAborted();
    }
  } finally {
    over.abort();
    await sending;
  }
}

/** It may have left the spool already, if a relay's custody is enough for that. */
async function notCollected(people: AgentPeople, { complete, copies }: Collected): Promise<LowtideError> {
  const status = await people.status({});
  const open = copies.filter(({ phase }) => phase !== 'safe' && phase !== 'void');
  const reason =
    copyLines({ copies: open }, { ...status, role: 'agent' }).at(-1) ??
    (complete ? 'it is owed to no center' : 'the rest of it has not been taken yet');
  return new LowtideError('not-collected', `the backup is taken and not collected yet: ${reason}`);
}
