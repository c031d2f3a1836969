import { type CenterConnection, connectCenter } from '../http/center-client.ts';
import { pinOf, renewPass } from '../http/join.ts';
import { type ClientIdentity, clientCredentials, type JoinedCenter } from '../identity/client-identity.ts';
import { passNeedsRenewal } from '../identity/joining.ts';
import { isLowtideError } from '../model/errors.ts';
import type { CenterId } from '../model/ids.ts';
import type { Connector } from '../node/agent/home.ts';
import type { World } from '../world/ports.ts';

interface Known {
  readonly center: JoinedCenter;
  readonly connection: CenterConnection;
}

/**
 * Centers over HTTPS, one connection object for each. A certificate that grows old is renewed first.
 * @param directory of the identity
 */
export function httpsConnector(world: World, directory: string): Connector {
  const known = new Map<CenterId, Known>();
  const open = (identity: ClientIdentity, center: JoinedCenter): CenterConnection =>
    connectCenter({
      pin: pinOf(center),
      ca: center.ca,
      credentials: clientCredentials(identity, center),
      limits: world.limits,
    });
  return {
    connect: async (identity, joined) => {
      const { id } = joined.face;
      const before = known.get(id);
      let center = before?.center ?? joined;
      const old = passNeedsRenewal(center, world.clock.now());
      if (before !== undefined && !old) return before.connection;
      if (old) center = await renewed(world, directory, identity, center);
      before?.connection.close();
      const connection = open(identity, center);
      known.set(id, { center, connection });
      return connection;
    },
    close: () => {
      for (const { connection } of known.values()) connection.close();
      known.clear();
    },
  };
}

/** The old certificate is good for months yet: failing to renew it must not keep a machine from its center. */
async function renewed(
  world: World,
  directory: string,
  identity: ClientIdentity,
  center: JoinedCenter,
): Promise<JoinedCenter> {
  try {
    return (await renewPass(world, directory, identity, center)).center;
  } catch (error) {
    if (!isLowtideError(error)) throw error;
    const message = `the certificate for ${center.face.name} could not be renewed: ${error.message}`;
    world.monitor.event({ kind: 'alarm', code: error.code, message });
    return center;
  }
}
