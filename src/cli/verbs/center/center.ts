import type { Command } from 'commander';
import { newGroup } from '../../verb.ts';
import { clientGroup } from './client.ts';
import { conditionsVerb } from './conditions.ts';
import { centerInitVerb } from './init.ts';
import { planVerb } from './plan.ts';
import { centerPullVerb } from './pull.ts';
import { centerRunVerb } from './run.ts';
import { ledgerVerb, snapshotsVerb } from './snapshots.ts';
import { tokenVerb } from './token.ts';

export function centerGroup(): Command {
  return newGroup('center', 'A center: hears offers, collects them in its hours, keeps them', [
    centerInitVerb(),
    centerRunVerb(),
    tokenVerb('center'),
    clientGroup('center'),
    centerPullVerb(),
    planVerb('center'),
    conditionsVerb('center'),
    snapshotsVerb('center'),
    ledgerVerb('center'),
  ]);
}
