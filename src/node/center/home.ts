import { socketIn } from '../socket-path.ts';
import { type Authority, loadAuthority } from '../../identity/authority.ts';
import { Enrollment } from '../../identity/enrollment.ts';
import type { World } from '../../world/ports.ts';
import { Center } from './center.ts';
import { createCenterSettings, readCenterSettings } from '../settings/center-settings.ts';
import type { CollectingSettings } from '../settings/collecting-settings.ts';
import { foundNode } from '../founding.ts';

export const centerPaths = (data: string) => ({
  identity: `${data}/identity`,
  ledger: `${data}/ledger.db`,
  store: `${data}/store`,
  config: `${data}/center.yaml`,
  socket: socketIn(data),
});

/** A center's data folder, opened as its one writer. */
export interface CenterHome {
  readonly data: string;
  readonly authority: Authority;
  /** As they were when it was opened. */
  readonly settings: CollectingSettings;
  readonly node: Center;
  readonly enrollment: Enrollment;
}

/** Makes a center. @throws LowtideError as `foundNode` */
export async function createCenterHome(
  world: World,
  data: string,
  name: string,
  settings: CollectingSettings,
): Promise<Authority> {
  const paths = centerPaths(data);
  return await foundNode(world, {
    kind: 'center',
    name,
    paths,
    settings,
    createStore: () => Center.create(world, data),
    createSettings: () => createCenterSettings(world, paths.config, settings),
  });
}

/** @throws LowtideError `not-a-node`, `bad-config`, `forbidden`, `wrong-key`, `locked` */
export async function openCenterHome(world: World, data: string): Promise<CenterHome> {
  const paths = centerPaths(data);
  const authority = await loadAuthority(world, paths.identity, 'center');
  const settings = await readCenterSettings(world, paths.config);
  const { face, receiptKey } = authority;
  const options = { path: data, face, receiptKey, conditions: settings.conditions };
  const node = await Center.open(world, options);
  return { data, authority, settings, node, enrollment: new Enrollment(world, node.ledger, authority) };
}
