import type { Command } from 'commander';
import { loaded, type Loads, newGroup } from '../../verb.ts';

const verbs: Loads = {
  init: async () => (await import('./init.ts')).relayInitVerb(),
  join: async () => (await import('./join.ts')).relayJoinVerb(),
  run: async () => (await import('./run.ts')).relayRunVerb(),
  token: async () => (await import('../center/token.ts')).tokenVerb('relay'),
  client: async () => (await import('../center/client.ts')).clientGroup('relay'),
  plan: async () => (await import('../center/plan.ts')).planVerb('relay'),
  conditions: async () => (await import('../center/conditions.ts')).conditionsVerb('relay'),
  status: async () => (await import('./status.ts')).relayStatusVerb(),
  snapshots: async () => (await import('../center/snapshots.ts')).snapshotsVerb('relay'),
  ledger: async () => (await import('../center/snapshots.ts')).ledgerVerb('relay'),
  leave: async () => (await import('../agent/leave.ts')).leaveVerb('relay'),
  release: async () => (await import('../agent/release.ts')).releaseVerb('relay'),
};

export async function relayGroup(only?: string): Promise<Command> {
  const about = 'A relay or branch: collects from computers below it, and passes on to centers above';
  return newGroup('relay', about, await loaded(verbs, only));
}
