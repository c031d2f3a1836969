import { bufferOf } from '../model/bytes.ts';
import { type ErrorCode, LowtideError } from '../model/errors.ts';

/** A view of bytes costs more than they do. */
const COPIED_BY_HAND = 64;

/** Reads what ByteWriter wrote, and refuses everything that does not fit. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #code: ErrorCode;
  readonly #what: string;
  #at = 0;
  /** Of hexAgain, and where it is. */
  #last = '';
  #lastAt = 0;

  constructor(bytes: Uint8Array, code: ErrorCode, what: string) {
    this.#bytes = bufferOf(bytes);
    this.#code = code;
    this.#what = what;
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  /** A u64 that must be at most 2^53 - 1. */
  safe64(): number {
    const at = this.#take(8);
    const high = this.#bytes.readUInt32BE(at);
    if (high > 0x1f_ffff) throw this.damaged('a number above 2^53');
    return high * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4);
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  i64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw this.damaged('a number above 2^53');
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw this.damaged('a number that is not in its shortest form');
        return value;
      }
      scale *= 0x80;
    }
  }

  raw(length: number): Uint8Array {
    const at = this.#take(length);
    if (length > COPIED_BY_HAND) return new Uint8Array(this.#bytes.subarray(at, at + length));
    const copy = new Uint8Array(length);
    for (let i = 0; i < length; i++) copy[i] = this.#bytes[at + i]!;
    return copy;
  }

  hex(bytes: number): string {
    const at = this.#take(bytes);
    return this.#bytes.toString('hex', at, at + bytes);
  }

  /** The same, and the same string again if it is what the last call gave: of many in turn that are alike only one is made. */
  hexAgain(bytes: number): string {
    if (this.#sameAsLast(bytes)) this.#at += bytes;
    else {
      const at = this.#at;
      this.#last = this.hex(bytes);
      this.#lastAt = at;
    }
    return this.#last;
  }

  #sameAsLast(bytes: number): boolean {
    if (this.#last.length !== 2 * bytes || this.#at + bytes > this.#bytes.length) return false;
    for (let i = 0; i < bytes; i++)
      if (this.#bytes[this.#at + i] !== this.#bytes[this.#lastAt + i]) return false;
    return true;
  }

  latin1(length: number): string {
    const at = this.#take(length);
    return this.#bytes.toString('latin1', at, at + length);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw this.damaged('bytes after its end');
  }

  damaged(why: string): LowtideError {
    return new LowtideError(this.#code, `${this.#what} is damaged: ${why} at byte ${this.#at}`);
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw this.damaged('it ends too early');
    this.#at = at + count;
    return at;
  }
}
