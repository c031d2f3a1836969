import { LowtideError } from '../../model/errors.ts';
import { displayPath, type PathKey } from '../../model/paths.ts';
import { errnoName, errnoWords } from '../system/errno.ts';
import { BrokenPath } from '../system/paths-by-handle.ts';

/** What kept a name of the user's from being looked at: `not-found` or `source-unreadable`. */
export function sourceError(error: unknown, path: PathKey): LowtideError {
  if (error instanceof LowtideError) return error;
  const options = { cause: error };
  if (error instanceof BrokenPath) {
    return new LowtideError(
      error.kind === 'missing' ? 'not-found' : 'source-unreadable',
      error.message,
      options,
    );
  }
  const shown = displayPath(path);
  if (errnoName(error) === 'ENOENT') return new LowtideError('not-found', `${shown} does not exist`, options);
  return new LowtideError('source-unreadable', `${shown} cannot be read: ${errnoWords(error)}`, options);
}
