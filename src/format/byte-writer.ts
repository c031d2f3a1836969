const NOT_BYTES = /[^\0-\xff]/;

/** A growing buffer for page payloads. Integers are big-endian; varints are LEB128 (format F20). */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 1 << 16) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#bytes.writeUInt8(value, at);
  }

  u16(value: number): void {
    const at = this.#reserve(2);
    this.#bytes.writeUInt16BE(value, at);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#bytes.writeUInt32BE(value, at);
  }

  /** A whole number up to 2^53 - 1. */
  safe64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`${value} is not a length or a count`);
    const at = this.#reserve(8);
    this.#bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
    this.#bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
  }

  u64(value: bigint): void {
    const at = this.#reserve(8);
    this.#bytes.writeBigUInt64BE(value, at);
  }

  i64(value: bigint): void {
    const at = this.#reserve(8);
    this.#bytes.writeBigInt64BE(value, at);
  }

  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`${value} is not a length or a count`);
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.u8(rest);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** @param count bytes that it must be */
  hex(digits: string, count = digits.length / 2): void {
    const at = this.#reserve(count);
    if (digits.length !== count * 2 || this.#bytes.write(digits, at, count, 'hex') !== count) {
      throw new TypeError(`${JSON.stringify(digits)} is not ${count} bytes in hexadecimal`);
    }
  }

  /** One byte a character (0-255). */
  latin1(text: string): void {
    if (NOT_BYTES.test(text)) throw new TypeError(`${JSON.stringify(text)} is not made of bytes`);
    const at = this.#reserve(text.length);
    this.#bytes.write(text, at, 'latin1');
  }

  /** A copy of what was written since `start`. */
  slice(start = 0): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(start, this.#length));
  }

  reset(): void {
    this.#length = 0;
  }

  /** May replace the buffer: call it before naming `#bytes` in the same expression. */
  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}
