import type { Ledger } from '../ledger/ledger.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { CenterId } from '../model/ids.ts';
import { type NamedCenter, unnamedCenter } from './center-names.ts';
import type { CenterStatus } from './upstream-view.ts';

const factOf = (id: CenterId): string => `name/${id}`;

/** What the ledger speaks of has a name for people also when its node was left. */
export async function rememberNames(ledger: Ledger, faces: readonly CenterFace[]): Promise<void> {
  for (const { id, name } of faces) await ledger.setFact(factOf(id), name);
}

/** A node that was left, by the name that it had. */
export async function leftNode(ledger: Ledger, id: CenterId): Promise<NamedCenter> {
  const name = await ledger.fact(factOf(id));
  return name === null ? unnamedCenter(id) : { id, name };
}

/** With the centers that copies are at or owed to and that no way leads to any more, as far as their names are known. */
export async function withLeftCenters(
  ledger: Ledger,
  known: readonly CenterStatus[],
): Promise<readonly CenterStatus[]> {
  const rows = await ledger.db.selectFrom('copies').select('center').distinct().orderBy('center').execute();
  const left: CenterStatus[] = [];
  for (const { center } of rows) {
    if (known.some(({ id }) => id === center)) continue;
    const name = await ledger.fact(factOf(center));
    if (name !== null) left.push({ id: center, name, ways: [] });
  }
  return [...known, ...left];
}
