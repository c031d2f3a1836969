import { LowtideError } from '../model/errors.ts';
import type { CenterFace } from '../model/exchange.ts';
import { type CenterId, parseCenterId } from '../model/ids.ts';

export type NamedCenter = Pick<CenterFace, 'id' | 'name'>;

/**
 * The center that people name: by its name, its id, or the first digits of that. One that is not known has only an id.
 * @throws LowtideError `no-route` if there is none of that name, or more than one
 */
export function centerNamed(known: readonly NamedCenter[], text: string): NamedCenter {
  const id = text.toLowerCase();
  const digits = /^[0-9a-f]{8,32}$/.test(id);
  const found = known.filter((center) => center.name === text || (digits && center.id.startsWith(id)));
  const [center] = found;
  if (center !== undefined && found.length === 1) return center;
  if (center !== undefined) {
    throw new LowtideError('no-route', `there are ${found.length} called ${text}: write the id instead`);
  }
  if (digits && id.length === 32) return unnamedCenter(parseCenterId(id));
  const names = known.map(({ name }) => name).join(', ');
  const others = names === '' ? 'none is known' : `known: ${names}`;
  throw new LowtideError('no-route', `no way leads to a center ${text}; ${others}`);
}

/** One that only its id is known of. */
export const unnamedCenter = (id: CenterId): NamedCenter => ({ id, name: id.slice(0, 12) });
