import { messageOf } from '../../model/errors.ts';
import type { Place, ReadYaml } from './yaml-file.ts';

/** What `work` complains of is told with its place in the file. */
export function checkedAt<T>(read: ReadYaml<unknown>, place: Place, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw read.bad(place, messageOf(error));
  }
}
