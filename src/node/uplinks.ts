import { idsOf, type UplinkParts } from '../uplink/parts.ts';
import { Routes } from '../uplink/routes.ts';
import { Uplink } from '../uplink/uplink.ts';
import { bestFirst, type Upstream } from './agent/parts.ts';

/** One for each node above, in the order of `upstreams`. */
export function makeUplinks(
  upstreams: readonly Upstream[],
  parts: Omit<UplinkParts, 'upstream' | 'joined' | 'centers' | 'route' | 'connect'>,
): readonly Uplink[] {
  const routes = new Routes();
  const uplinks = new Map<Upstream, Uplink>();
  const joined = idsOf(upstreams.map(({ face }) => face));
  for (const upstream of bestFirst(upstreams)) {
    const { face, centers, connect } = upstream;
    const route = routes.add(face.id, idsOf(centers), () => uplinks.get(upstream)?.wake());
    uplinks.set(upstream, new Uplink({ ...parts, upstream: face, joined, centers, route, connect }));
  }
  return upstreams.map((upstream) => uplinks.get(upstream)!);
}
