import { type Authority, createAuthority, loadAuthority } from '../identity/authority.ts';
import { Enrollment } from '../identity/enrollment.ts';
import { checkDisplayName } from '../identity/names.ts';
import { isLowtideError } from '../model/errors.ts';
import { parseWindows } from '../schedule/windows.ts';
import type { World } from '../world/ports.ts';
import { Center } from './center.ts';
import { type CenterSettings, createCenterSettings, readCenterSettings } from './center-settings.ts';

export const centerPaths = (data: string) => ({
  identity: `${data}/identity`,
  ledger: `${data}/ledger.db`,
  store: `${data}/store`,
  config: `${data}/center.yaml`,
  socket: `${data}/socket`,
});

/** A center's data folder, opened as its one writer. */
export interface CenterHome {
  readonly data: string;
  readonly authority: Authority;
  /** As they were when it was opened. */
  readonly settings: CenterSettings;
  readonly center: Center;
  readonly enrollment: Enrollment;
}

/**
 * Makes a center: keys, store, ledger, settings. The keys come last, so that an interrupted call can be repeated.
 * @throws LowtideError `node-exists`, `depot-exists`, `bad-name`, `bad-schedule`, `bad-zone`
 */
export async function createCenterHome(
  world: World,
  data: string,
  name: string,
  settings: CenterSettings,
): Promise<Authority> {
  checkDisplayName(name, 'the name of a center');
  parseWindows(settings.conditions.windows, settings.conditions.zone);
  const paths = centerPaths(data);
  if (!(await hasAuthority(world, paths.identity))) await world.disk.remove(paths.config);
  if ((await world.disk.stat(`${paths.store}/config`)) === null) await Center.create(world, data);
  await createCenterSettings(world, paths.config, settings);
  return await createAuthority(world, paths.identity, { name, kind: 'center' });
}

async function hasAuthority(world: World, directory: string): Promise<boolean> {
  try {
    await loadAuthority(world, directory, 'center');
    return true;
  } catch (error) {
    if (isLowtideError(error, 'not-a-node')) return false;
    throw error;
  }
}

/** @throws LowtideError `not-a-node`, `bad-config`, `forbidden`, `wrong-key`, `locked` */
export async function openCenterHome(world: World, data: string): Promise<CenterHome> {
  const paths = centerPaths(data);
  const authority = await loadAuthority(world, paths.identity, 'center');
  const settings = await readCenterSettings(world, paths.config);
  const { face, receiptKey } = authority;
  const options = { path: data, face, receiptKey, conditions: settings.conditions };
  const center = await Center.open(world, options);
  return { data, authority, settings, center, enrollment: new Enrollment(world, center.ledger, authority) };
}
