import { z } from 'zod';
import type { World } from '../../world/ports.ts';
import {
  collectingKeys,
  type CollectingSettings,
  collectingSettings,
  collectingText,
} from './collecting-settings.ts';
import { YamlFile } from './yaml-file.ts';

const shape = z.strictObject(collectingKeys);

/** `center.yaml` in the data folder of a center. */
const fileOf = (world: World, path: string): YamlFile<z.infer<typeof shape>> =>
  new YamlFile(world, path, shape, () => Object.keys(shape.shape));

/** @throws LowtideError `bad-config` with file, line, column and what was expected; `not-found` */
export async function readCenterSettings(world: World, path: string): Promise<CollectingSettings> {
  return collectingSettings(await fileOf(world, path).read());
}

/** Writes the file with comments, unless it is there. */
export async function createCenterSettings(
  world: World,
  path: string,
  settings: CollectingSettings,
): Promise<void> {
  await fileOf(world, path)
    .create(`# What suits this center. A running center sees changes of windows, zone and streams within a minute;
# listen and addresses count from its next start.

${collectingText(settings)}`);
}
