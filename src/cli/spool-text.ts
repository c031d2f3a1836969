import { shortId } from '../model/ids.ts';
import type { AgentStatus, SpooledSnapshot } from '../node/agent/view.ts';
import type { CenterStatus, UpstreamStatus } from '../node/upstream-view.ts';
import { copyText, expectationText, saidOf } from './copy-text.ts';
import { clockText } from './turn-text.ts';
import { bytesText } from '../model/bytes-text.ts';
import { notedTable, timeText } from './text.ts';

/** A table of what is in the spool, below each what its copies wait for and until when; no lines if nothing is. */
export function spoolLines(status: AgentStatus): string[] {
  const { zone, spool } = status;
  if (spool.snapshots.length === 0) return [];
  const columns = [
    { title: 'Snapshot' },
    { title: 'Job' },
    { title: `Taken (${zone})` },
    { title: 'To send', align: 'right' },
  ] as const;
  const rows = spool.snapshots.map((snapshot) => {
    const { id, job, takenAt, bytes, complete } = snapshot;
    const part = complete ? '' : ' (partial)';
    const notes = copyLines(snapshot, { ...status, role: 'agent' });
    const cells = [shortId(id), job + part, timeText(takenAt, zone), bytesText(bytes)];
    return { cells, notes: notes.length > 0 ? notes : ['owed to no center'] };
  });
  return notedTable(columns, rows, 2);
}

/** What a machine that sends upwards knows of its ways. */
export interface WaysStatus {
  readonly role: 'agent' | 'relay';
  readonly now: number;
  readonly zone: string;
  readonly running: boolean;
  /** @see AgentStatus.notWhile */
  readonly notWhile?: string | null;
  readonly upstreams: readonly UpstreamStatus[];
  readonly centers: readonly CenterStatus[];
}

/** How each copy stands. Where nothing that leads to its center can be reached, that is the reason, whatever was said before. */
export function copyLines({ copies }: Pick<SpooledSnapshot, 'copies'>, status: WaysStatus): string[] {
  const { centers, zone, now, running, role } = status;
  return copies.map((copy) => {
    const center = centers.find(({ id }) => id === copy.center);
    const name = center?.name ?? shortId(copy.center);
    const moving = copy.phase === 'waiting' || copy.phase === 'in-transit';
    if (moving && (center === undefined || center.ways.length === 0)) {
      return `no way leads to ${name} any more: join one, or 'lowtide ${role} release ${name}'`;
    }
    if (moving && !running) return `waiting for the ${role} to run, to send it to ${name}`;
    if (moving && (status.notWhile ?? null) !== null)
      return `waiting, because ${status.notWhile} says that nothing shall be sent now (not-while)`;
    const closed = moving ? unreachable(copy.center, status) : null;
    const when = expectationText(copy.expected ?? null, name, zone, now);
    if (closed !== null) {
      const since = closed.since === null ? '' : `, away since ${clockText(closed.since, zone, now)} ${zone}`;
      const text = `waiting for the connection to ${closed.name}${since}: ${closed.message}${when}`;
      return centers.length > 1 ? saidOf(name, text) : text;
    }
    const next = moving ? onlyWay(copy.center, status) : null;
    const text = copyText({ ...copy, next }, name, zone, now, role === 'relay' ? 'node' : 'agent');
    return centers.length > 1 ? saidOf(name, text) : text;
  });
}

function waysTo(center: string, { centers, upstreams }: WaysStatus): UpstreamStatus[] {
  const ways = centers.find(({ id }) => id === center)?.ways ?? [];
  return ways.flatMap((way) => upstreams.filter(({ id }) => id === way));
}

/** The node that leads to a center, where no other does: what is said of the next node is said of it. */
function onlyWay(center: string, status: WaysStatus): string | null {
  const [way, ...others] = waysTo(center, status);
  return others.length === 0 ? (way?.name ?? null) : null;
}

/** The best of the ways to a center, if none is open; null if one is. */
function unreachable(center: string, status: WaysStatus): UpstreamStatus | null {
  const all = waysTo(center, status);
  return all.some(({ connected }) => connected) ? null : (all[0] ?? null);
}
