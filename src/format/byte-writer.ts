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
    this.#bytes[this.#reserve(1)] = value;
  }

  u16(value: number): void {
    this.#bytes.writeUInt16BE(value, this.#reserve(2));
  }

  u32(value: number): void {
    this.#bytes.writeUInt32BE(value, this.#reserve(4));
  }

  u64(value: number | bigint): void {
    this.#bytes.writeBigUInt64BE(BigInt(value), this.#reserve(8));
  }

  i64(value: bigint): void {
    this.#bytes.writeBigInt64BE(value, this.#reserve(8));
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
    this.#bytes.set(bytes, this.#reserve(bytes.length));
  }

  hex(digits: string): void {
    const count = digits.length / 2;
    const written = this.#bytes.write(digits, this.#reserve(count), 'hex');
    if (written !== count) throw new TypeError(`${JSON.stringify(digits)} is not hexadecimal`);
  }

  /** One byte a character (0-255). */
  latin1(text: string): void {
    this.#bytes.write(text, this.#reserve(text.length), 'latin1');
  }

  /** A copy of what was written since `start`. */
  slice(start = 0): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(start, this.#length));
  }

  reset(): void {
    this.#length = 0;
  }

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
