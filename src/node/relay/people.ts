import { z } from 'zod';
import { begunTransfers, bytesLeft } from '../../ledger/offers.ts';
import { centersReached } from '../agent/parts.ts';
import { type CenterPeople, centerPeople } from '../center/people.ts';
import { checked } from '../people.ts';
import { type Left, leaveNode, type LeavingDesk, type ReleasedCenter, releaseFrom } from '../leaving.ts';
import { askAbove } from '../asking.ts';
import { type RelayHome, relayPaths } from './home.ts';
import { relayUsage } from './store.ts';
import { heldSnapshots, type RelayStatus } from './view.ts';
import { withLeftCenters } from '../left-names.ts';
import { joinedNodes, knownCenters, upstreamStatus } from '../upstream-view.ts';

/** What people may ask of a relay: what they may ask of a center, and what is about the nodes above. */
export interface RelayPeople extends CenterPeople {
  status(ask: object): Promise<RelayStatus>;
  /** Forgets a node above. */
  leave(ask: { readonly node: string }): Promise<Left>;
  /** Nothing is owed to a center any more. */
  release(ask: { readonly center: string }): Promise<ReleasedCenter>;
  /** The data folder was changed by somebody else: read it anew. */
  reload(ask: object): Promise<object>;
}

export interface RelayDesk {
  readonly home: RelayHome;
  /** False where a command has opened the data folder itself. */
  readonly running: boolean;
  readonly reload: () => void;
}

const nothing = z.strictObject({});

export function relayPeople(desk: RelayDesk): RelayPeople {
  const { home, running, reload } = desk;
  return {
    ...centerPeople({ ...home, running }),
    status: checked(nothing, () => statusOf(desk)),
    leave: checked(z.strictObject({ node: z.string() }), ({ node }) => leaveNode(leavingDesk(desk), node)),
    release: checked(z.strictObject({ center: z.string() }), ({ center }) =>
      releaseFrom(leavingDesk(desk), center),
    ),
    reload: checked(nothing, async () => {
      reload();
      return {};
    }),
  };
}

function leavingDesk({ home, reload }: RelayDesk): LeavingDesk {
  const { node, client, data } = home;
  return {
    node,
    directory: relayPaths(data).identity,
    client,
    own: home.authority.face.id,
    namedBy: async (center) =>
      (await home.refresh()).centers.includes(center) ? `'centers' in ${relayPaths(data).config}` : null,
    reload,
  };
}

async function statusOf({ home, running }: RelayDesk): Promise<RelayStatus> {
  const { node, authority, client } = home;
  const { world, ledger, parts, uplinks } = node;
  if (running) await askAbove(world.clock, uplinks);
  const { settings, upstreams } = parts;
  const reached = centersReached(upstreams);
  const always = settings.centers;
  const joined = joinedNodes(client);
  return {
    node: authority.face.id,
    name: authority.face.name,
    client: client.client,
    software: settings.software,
    now: world.clock.now(),
    zone: world.clock.zone,
    running,
    transfer: settings.transfer.windows,
    transferZone: settings.transfer.zone,
    upstreams: await Promise.all(
      joined.map((node, at) => upstreamStatus(ledger, node, running ? uplinks[at]!.status : null, 'relay')),
    ),
    centers: await withLeftCenters(ledger, knownCenters(joined)),
    owed: reached
      .filter(({ id }) => always.length === 0 || always.includes(id))
      .map(({ id, name }) => ({ id, name })),
    store: {
      ...(await relayUsage(parts)),
      coming: bytesLeft(await begunTransfers(ledger.db, [])),
      quota: settings.storeBytes,
      cacheQuota: settings.cacheBytes,
    },
    readings: running ? node.collector.readings : [],
    held: await heldSnapshots(ledger, authority.face),
  };
}
