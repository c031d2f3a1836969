import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';

/** Its names are durable when it resolves. Errors: what Node says. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
