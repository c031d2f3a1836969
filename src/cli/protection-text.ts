import type { AgentStatus, JobStatus } from '../node/agent/view.ts';
import type { Protection, Remark } from '../node/agent/protection.ts';
import { hoursText, plural, timeText } from './text.ts';

/** How well a job is protected: the first line says the level, the others what keeps it from being better (P6). */
export function protectionLines(
  { protection, ...job }: Hours & Pick<JobStatus, 'protection'>,
  status: AgentStatus,
): string[] {
  const remarks = protection.remarks.map((remark) => remarkText(remark, status, job));
  if (protection.level !== 'none') return [levelText(protection, status), ...remarks];
  const [first = 'nothing of it has arrived at any center', ...rest] = remarks;
  return [`NOT PROTECTED: ${first}`, ...rest];
}

function levelText({ level, asOf, at }: Protection, status: AgentStatus): string {
  const since = asOf === null ? '' : ` as of ${timeText(asOf, status.zone)}`;
  const where = namesOf(at, status);
  return level === 'protected' ? `protected${since} at ${where}` : `protected${since} at ${where} only`;
}

type Hours = Pick<JobStatus, 'transfer' | 'zone'>;
type Texts = {
  [K in Remark['kind']]: (remark: Extract<Remark, { kind: K }>, status: AgentStatus, job: Hours) => string;
};

const texts: Texts = {
  'no-center': () => "this machine has joined no center: 'lowtide agent join' does",
  'never-taken': () => 'no backup has been taken yet',
  partial: () => 'the first backup is still passing through the spool in parts',
  'not-collected': ({ count, held }) => {
    const snapshots = plural(count, 'snapshot is', 'snapshots are');
    if (held === 0) return `${snapshots} only in the spool of this machine so far`;
    const some = held === count ? '' : `${held} of them `;
    return `${snapshots} at no center so far, ${some}in the custody of a relay`;
  },
  lost: ({ count }) =>
    `${plural(count, 'snapshot')} lost with a relay that had custody: the next backup sends everything again`,
  'still-owed': ({ centers }, status) => `not yet at ${namesOf(centers, status)}`,
  'never-meets': ({ node, windows, zone }, _, job) =>
    `nothing of it can ever go to ${node}: it may travel ${hoursText(job.transfer, job.zone)}, ${node} collects ${hoursText(windows, zone)}`,
  unreadable: ({ count }) =>
    `${plural(count, 'entry', 'entries')} could not be read and ${count === 1 ? 'is' : 'are'} not in it`,
  failed: ({ at, message, code }, status) =>
    `the last attempt${at === null ? '' : ` at ${timeText(at, status.zone)}`} failed: ${message} (${code})`,
};

function remarkText(remark: Remark, status: AgentStatus, job: Hours): string {
  const text = texts[remark.kind] as (remark: Remark, status: AgentStatus, job: Hours) => string;
  return text(remark, status, job);
}

function namesOf(ids: readonly string[], { centers }: AgentStatus): string {
  return ids.map((id) => centers.find((center) => center.id === id)?.name ?? id.slice(0, 12)).join(' and ');
}

/** When the next backup is due, in the machine's zone. */
export function dueText(
  { nextDue }: Pick<JobStatus, 'nextDue'>,
  { now, zone, running }: AgentStatus,
): string {
  if (nextDue === null) return 'by hand';
  if (nextDue > now) return timeText(nextDue, zone);
  return running ? 'now' : 'when the agent runs';
}
