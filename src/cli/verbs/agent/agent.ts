import type { Command } from 'commander';
import { loaded, type Loads, newGroup } from '../../verb.ts';

const verbs: Loads = {
  join: async () => (await import('./join.ts')).agentJoinVerb(),
  run: async () => (await import('./run.ts')).agentRunVerb(),
  leave: async () => (await import('./leave.ts')).leaveVerb('agent'),
  release: async () => (await import('./release.ts')).releaseVerb('agent'),
};

export async function agentGroup(only?: string): Promise<Command> {
  const about = 'The agent of this machine: takes its backups and sends them to centers';
  return newGroup('agent', about, await loaded(verbs, only));
}
