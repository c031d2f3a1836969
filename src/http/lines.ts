import { type ErrorCode, LowtideError } from '../model/errors.ts';

const NEW_LINE = 0x0a;

/**
 * The lines of a stream, whose chunks come several at once, without their ends. What follows the last line end is no line: it was cut.
 * @param tooLong the code of the error for a line of more than `bytesMax`
 */
export async function* readLines(
  source: AsyncIterable<readonly Uint8Array[]>,
  bytesMax: number,
  tooLong: ErrorCode,
): AsyncGenerator<Uint8Array> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunks of source) {
    held = Buffer.concat([held, ...chunks]);
    let start = 0;
    for (let end = held.indexOf(NEW_LINE); end !== -1; end = held.indexOf(NEW_LINE, start)) {
      yield held.subarray(start, end);
      start = end + 1;
    }
    held = held.subarray(start);
    if (held.length > bytesMax) throw new LowtideError(tooLong, `a line has more than ${bytesMax} bytes`);
  }
}
