import { LowtideError } from '../model/errors.ts';

const NAME_LENGTH_MAX = 100;

/**
 * A name that people give to a machine or a center: one line that cannot forge output.
 * @throws LowtideError `bad-name`
 */
export function checkDisplayName(name: string, what: string): string {
  const normal = name.normalize('NFC');
  if (
    normal !== normal.trim() ||
    normal === '' ||
    normal.length > NAME_LENGTH_MAX ||
    /[\p{C}\p{Zl}\p{Zp}<>]/u.test(normal)
  ) {
    throw new LowtideError(
      'bad-name',
      `${what} must have 1 to ${NAME_LENGTH_MAX} printable characters, without < and >, and no space around it`,
    );
  }
  return normal;
}
