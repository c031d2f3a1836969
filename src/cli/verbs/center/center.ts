import type { Command } from 'commander';
import { newGroup } from '../../verb.ts';
import { centerClientGroup } from './client.ts';
import { centerInitVerb } from './init.ts';
import { centerPlanVerb } from './plan.ts';
import { centerRunVerb } from './run.ts';
import { centerLedgerVerb, centerSnapshotsVerb } from './snapshots.ts';
import { centerTokenVerb } from './token.ts';

export function centerGroup(): Command {
  return newGroup('center', 'A center: hears offers, collects them in its hours, keeps them', [
    centerInitVerb(),
    centerRunVerb(),
    centerTokenVerb(),
    centerClientGroup(),
    centerPlanVerb(),
    centerSnapshotsVerb(),
    centerLedgerVerb(),
  ]);
}
