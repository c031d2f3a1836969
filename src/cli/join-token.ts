import { createInterface } from 'node:readline/promises';
import { connectLocal } from '../http/local-client.ts';
import { formatAddress } from '../identity/addresses.ts';
import type { JoinedCenter } from '../identity/client-identity.ts';
import { LowtideError } from '../model/errors.ts';
import type { Context } from './context.ts';
import { readText } from './place.ts';

/** The token that was given, or read from stdin, or asked for. @throws LowtideError `token-bad` if there is none */
export async function tokenText(given: string | undefined): Promise<string> {
  const text = await tokenFrom(given);
  if (text.trim() !== '') return text;
  throw new LowtideError(
    'token-bad',
    "no token was given: put it behind the verb, or '-' and give it on stdin",
  );
}

async function tokenFrom(given: string | undefined): Promise<string> {
  if (given !== undefined && given !== '-') return given;
  if (given === '-' || !process.stdin.isTTY) return await readText('-', 'the token');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question('Token: ');
  } finally {
    lines.close();
  }
}

/** Tells what was joined, and where backups go from there. */
export function tellJoined({ output }: Context, joined: JoinedCenter, facts: Record<string, unknown>): void {
  const { face, centers, addresses, name } = joined;
  const names = centers.map((center) => center.name);
  output.message({
    message_type: 'joined',
    center: face.id,
    center_name: face.name,
    kind: face.kind,
    centers: centers.map((center) => ({ id: center.id, name: center.name })),
    name,
    ...facts,
  });
  output.line(
    `Joined the ${face.kind} ${face.name} (${addresses.map(formatAddress).join(', ')}) as ${name}.`,
  );
  if (face.kind === 'relay') output.line(`It is a relay: backups go on from it to ${names.join(' and ')}.`);
}

/** Has the node that runs over this data folder, if one does, look at it anew. True if one does. */
export async function reloadRunning({ stop }: Context, socket: string): Promise<boolean> {
  const running = await connectLocal<never>(socket);
  if (running !== null) await running.ask('reload' as never, {} as never, stop);
  return running !== null;
}
