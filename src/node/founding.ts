import { type Authority, createAuthority, loadAuthority } from '../identity/authority.ts';
import { checkDisplayName } from '../identity/names.ts';
import { isLowtideError } from '../model/errors.ts';
import type { CenterFace } from '../model/exchange.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { World } from '../world/ports.ts';
import type { CollectingSettings } from './settings/collecting-settings.ts';

/** What a center and a relay are made of. */
export interface Founding extends Pick<CenterFace, 'kind' | 'name'> {
  readonly paths: { readonly identity: string; readonly store: string; readonly config: string };
  readonly settings: Pick<CollectingSettings, 'conditions'>;
  readonly createStore: () => Promise<void>;
  /** Nothing that is there is replaced. */
  readonly createSettings: () => Promise<void>;
}

/**
 * Makes a node that others join: store, ledger, settings, keys. The keys come last, so that an interrupted call can be
 * repeated.
 * @throws LowtideError `node-exists`, `depot-exists`, `bad-name`, `bad-schedule`, `bad-zone`
 */
export async function foundNode(world: World, founding: Founding): Promise<Authority> {
  const { kind, name, paths, settings } = founding;
  checkDisplayName(name, `the name of a ${kind}`);
  parseWindows(settings.conditions.windows, settings.conditions.zone);
  if (!(await hasAuthority(world, paths.identity, kind))) await world.disk.remove(paths.config);
  if ((await world.disk.stat(`${paths.store}/config`)) === null) await founding.createStore();
  await founding.createSettings();
  return await createAuthority(world, paths.identity, { name, kind });
}

async function hasAuthority(world: World, directory: string, kind: CenterFace['kind']): Promise<boolean> {
  try {
    await loadAuthority(world, directory, kind);
    return true;
  } catch (error) {
    if (isLowtideError(error, 'not-a-node')) return false;
    throw error;
  }
}
