import type { Command } from 'commander';
import { loaded, type Loads, newGroup } from '../../verb.ts';

const verbs: Loads = {
  init: async () => (await import('./init.ts')).centerInitVerb(),
  run: async () => (await import('./run.ts')).centerRunVerb(),
  token: async () => (await import('./token.ts')).tokenVerb('center'),
  client: async () => (await import('./client.ts')).clientGroup('center'),
  pull: async () => (await import('./pull.ts')).centerPullVerb(),
  status: async () => (await import('./status.ts')).centerStatusVerb(),
  plan: async () => (await import('./plan.ts')).planVerb('center'),
  conditions: async () => (await import('./conditions.ts')).conditionsVerb('center'),
  snapshots: async () => (await import('./snapshots.ts')).snapshotsVerb('center'),
  ledger: async () => (await import('./snapshots.ts')).ledgerVerb('center'),
};

export async function centerGroup(only?: string): Promise<Command> {
  const about = 'A center: hears offers, collects them in its hours, keeps them';
  return newGroup('center', about, await loaded(verbs, only));
}
