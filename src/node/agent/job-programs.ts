import { type CommandWorld, withCommandSources } from '../../backup/command-sources.ts';
import type { BackupResult } from '../../backup/plan.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import type { Job } from '../../model/jobs.ts';
import { SECOND_MS } from '../../model/time.ts';
import type { AgentParts } from './parts.ts';
import { isAllowed } from '../settings/allowed.ts';

/**
 * Runs what a job wants before and after it is taken. If `before` fails, nothing is taken. `after` runs in any case, so
 * that what `before` has begun is ended; if it fails, the snapshot stays and an alarm is raised.
 * @throws LowtideError `hook-refused`, `hook-failed`, and what `take` throws
 */
export async function withHooks(
  parts: AgentParts,
  job: Job,
  stop: AbortSignal,
  take: () => Promise<BackupResult>,
): Promise<BackupResult> {
  const { hooks } = job;
  if (hooks === undefined) return take();
  for (const words of [hooks.before, hooks.after]) if (words !== undefined) checkAllowed(parts, job, words);
  let snapshot = '';
  try {
    if (hooks.before !== undefined) await runHook(parts, job, { step: 'before', words: hooks.before }, stop);
    const result = await take();
    snapshot = result.signed.id;
    return result;
  } finally {
    // Also when the run was stopped: what is frozen must not stay so.
    if (hooks.after !== undefined) await runAfter(parts, job, hooks.after, snapshot);
  }
}

/** The outputs of a job's commands as files. Close it when the backup is done. */
export async function withCommands(
  { world, depot, settings }: AgentParts,
  job: Job,
  stop: AbortSignal,
): Promise<CommandWorld> {
  const commands = job.commands ?? [];
  for (const { words } of commands) checkAllowed({ settings }, job, words);
  const environment = { LOWTIDE_JOB: job.name };
  const timeoutMs = (job.hooks?.timeout ?? TIMEOUT_SECONDS) * SECOND_MS;
  return withCommandSources(world, commands, { directory: depot.path, environment, timeoutMs, stop }, false);
}

/** Of hooks and commands, if the job says nothing. */
const TIMEOUT_SECONDS = 600;

interface Hook {
  readonly step: 'before' | 'after';
  readonly words: readonly string[];
  /** Set after. */
  readonly snapshot?: string;
}

async function runHook(parts: AgentParts, job: Job, hook: Hook, stop: AbortSignal): Promise<void> {
  const { commands } = parts.world;
  const { step, words, snapshot } = hook;
  if (commands === undefined) throw new LowtideError('hook-failed', 'no program can be run here');
  const result =
    snapshot === undefined
      ? {}
      : { LOWTIDE_RESULT: snapshot === '' ? 'failed' : 'taken', LOWTIDE_SNAPSHOT: snapshot };
  const environment = { LOWTIDE_JOB: job.name, LOWTIDE_STEP: step, ...result };
  const timeoutMs = (job.hooks?.timeout ?? TIMEOUT_SECONDS) * SECOND_MS;
  const { ok, how, said } = await commands.run({ words, environment, timeoutMs, stop });
  if (ok) return;
  if (stop.aborted) throw new LowtideError('interrupted', 'the backup was stopped: nothing was committed');
  const text = said === '' ? '' : `: ${said}`;
  const what = step === 'before' ? 'nothing was taken' : 'what was taken stays';
  throw new LowtideError(
    'hook-failed',
    `the hook ${step} job ${job.name} failed, ${what}: ${words[0]}: ${how}${text}`,
  );
}

async function runAfter(
  parts: AgentParts,
  job: Job,
  words: readonly string[],
  snapshot: string,
): Promise<void> {
  try {
    await runHook(parts, job, { step: 'after', words, snapshot }, new AbortController().signal);
  } catch (error) {
    if (!isLowtideError(error)) throw error;
    parts.world.monitor.event({ kind: 'alarm', code: error.code, message: error.message });
  }
}

/**
 * The machine's owner has the veto: what no line of `allow` in agent.yaml names is not run, whoever wrote the job. A line
 * is a program's path, or a folder with a slash at its end.
 */
function checkAllowed({ settings }: Pick<AgentParts, 'settings'>, job: Job, words: readonly string[]): void {
  const [program = ''] = words;
  if (isAllowed(settings.allow ?? [], program)) return;
  const message = `job ${job.name} wants to run ${program}, which agent.yaml does not allow: add its path to 'allow' there (a running agent sees that within a minute), or take it out of the job`;
  throw new LowtideError('hook-refused', message);
}
