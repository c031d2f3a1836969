import { connect } from 'node:net';

/** Somebody at the near end sends so many bytes; answers the milliseconds until the far end had them all. */
export function sendOnce(host: string, port: number, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const socket = connect({ host, port, allowHalfOpen: true }, () => socket.end(Buffer.alloc(bytes)));
    socket.setNoDelay(true);
    socket.resume();
    socket.on('error', reject);
    socket.on('end', () => resolve(performance.now() - began));
  });
}

/** One transfer of people after another, each begun on the beat, for so long; answers how long each took. */
export async function people(
  host: string,
  port: number,
  { bytes, everyMs, forMs }: { readonly bytes: number; readonly everyMs: number; readonly forMs: number },
): Promise<number[]> {
  const transfers: Promise<number>[] = [];
  const ends = performance.now() + forMs;
  for (let next = performance.now(); next < ends; next += everyMs) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
    transfers.push(sendOnce(host, port, bytes));
  }
  return await Promise.all(transfers);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
