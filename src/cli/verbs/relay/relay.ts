import type { Command } from 'commander';
import { newGroup } from '../../verb.ts';
import { clientGroup } from '../center/client.ts';
import { conditionsVerb } from '../center/conditions.ts';
import { planVerb } from '../center/plan.ts';
import { ledgerVerb, snapshotsVerb } from '../center/snapshots.ts';
import { tokenVerb } from '../center/token.ts';
import { leaveVerb } from '../agent/leave.ts';
import { releaseVerb } from '../agent/release.ts';
import { relayInitVerb } from './init.ts';
import { relayJoinVerb } from './join.ts';
import { relayRunVerb } from './run.ts';
import { relayStatusVerb } from './status.ts';

export function relayGroup(): Command {
  return newGroup(
    'relay',
    'A relay or branch: collects from computers below it, and passes on to centers above',
    [
      relayInitVerb(),
      relayJoinVerb(),
      relayRunVerb(),
      tokenVerb('relay'),
      clientGroup('relay'),
      planVerb('relay'),
      conditionsVerb('relay'),
      relayStatusVerb(),
      snapshotsVerb('relay'),
      ledgerVerb('relay'),
      leaveVerb('relay'),
      releaseVerb('relay'),
    ],
  );
}
