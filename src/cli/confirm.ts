import { createInterface } from 'node:readline/promises';
import { LowtideError } from '../model/errors.ts';

/** @throws LowtideError `bad-request` where nobody can be asked */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new LowtideError('bad-request', 'this cannot be undone: say --yes where nobody can be asked');
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
