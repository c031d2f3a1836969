import type { Command } from 'commander';
import { newGroup } from '../../verb.ts';
import { agentJoinVerb } from './join.ts';
import { leaveVerb } from './leave.ts';
import { releaseVerb } from './release.ts';
import { agentRunVerb } from './run.ts';

export function agentGroup(): Command {
  return newGroup('agent', 'The agent of this machine: takes its backups and sends them to centers', [
    agentJoinVerb(),
    agentRunVerb(),
    leaveVerb('agent'),
    releaseVerb('agent'),
  ]);
}
