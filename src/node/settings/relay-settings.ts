import { z } from 'zod';
import type { CenterFace } from '../../model/exchange.ts';
import type { World } from '../../world/ports.ts';
import { parseSize } from './agent-settings.ts';
import { centerNamed } from '../center-names.ts';
import { checkedAt } from './checked-at.ts';
import {
  checkHours,
  collectingKeys,
  type CollectingSettings,
  collectingSettings,
  collectingText,
} from './collecting-settings.ts';
import type { RelaySettings } from '../relay/parts.ts';
import { YamlFile } from './yaml-file.ts';

/** What the operator of a relay decides: `relay.yaml` in its data folder. */
export interface RelayConfig
  extends
    CollectingSettings,
    Pick<RelaySettings, 'transfer' | 'yield' | 'storeBytes' | 'cacheBytes' | 'centers'> {}

/** A new file, as people write it. */
export interface NewRelayConfig extends CollectingSettings {
  readonly transfer: RelaySettings['transfer'];
  /** Sizes such as `200 GiB`. */
  readonly store: string;
  readonly cache: string;
}

export const DEFAULT_STORE = '200 GiB';
export const DEFAULT_CACHE = '20 GiB';

const size = (usual: string) =>
  z.union([z.string(), z.number()], 'expected a size such as 20 GiB').default(usual);
const shape = z.strictObject({
  ...collectingKeys,
  transfer: z.string().default('any'),
  transferZone: z.string(),
  yield: z.boolean().default(false),
  store: size(DEFAULT_STORE),
  cache: size(DEFAULT_CACHE),
  centers: z.array(z.string()).default([]),
});

const fileOf = (world: World, path: string): YamlFile<z.infer<typeof shape>> =>
  new YamlFile(world, path, shape, () => Object.keys(shape.shape));

/**
 * @param reached the centers that this relay leads to: the file may call them by name
 * @throws LowtideError `bad-config` with file, line, column and what was expected; `not-found`
 */
export async function readRelayConfig(
  world: World,
  path: string,
  reached: readonly CenterFace[],
): Promise<RelayConfig> {
  const read = await fileOf(world, path).read();
  const { transfer, transferZone, store, cache, centers, yield: yields } = read.value;
  checkHours(read, 'transfer', transfer, 'transferZone', transferZone);
  const storeBytes = checkedAt(read, ['store'], () => parseSize(String(store)));
  const cacheBytes = checkedAt(read, ['cache'], () => parseSize(String(cache)));
  if (cacheBytes > storeBytes)
    throw read.bad(['cache'], 'the cache is a part of the store and cannot be more');
  return {
    ...collectingSettings(read),
    transfer: { windows: transfer, zone: transferZone },
    yield: yields,
    storeBytes,
    cacheBytes,
    centers: centers.map((text, at) => checkedAt(read, ['centers', at], () => centerNamed(reached, text).id)),
  };
}

/** Writes the file with comments, unless it is there. */
export async function createRelayConfig(world: World, path: string, config: NewRelayConfig): Promise<void> {
  const { transfer, store, cache } = config;
  await fileOf(world, path)
    .create(`# What suits this relay. A running relay sees changes within a minute; listen and addresses count from its next start.

${collectingText(config)}
# When it may send on, in the same grammar as windows; what is above decides within that.
transfer: ${JSON.stringify(transfer.windows)}
transferZone: ${JSON.stringify(transfer.zone)}
# Whether it gives way to everything else on the line upwards.
yield: false
# How much it may hold, custody and cache together. What it could not pass on yet is never dropped: what has no room beside
# that waits. One backup that is larger than all of this comes when there is nothing else.
store: ${store}
# How much of that may be what it has passed on already: restores below find it near.
cache: ${cache}
# Centers, by name or id, that everything which comes here is owed to, and that it keeps it for until all of them have it.
# Empty: every center that it leads to.
centers: []
`);
}
