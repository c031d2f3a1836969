import { bufferOf } from '../../model/bytes.ts';

const KEY_BYTES = 32;
const KEY_WORDS = KEY_BYTES / 4;
const SLOTS_AT_FIRST = 256;
/** Slots are doubled when this share of them is taken. */
const FULL = 0.75;

/**
 * A set of 32-byte keys (block ids, digests) that numbers them in order of arrival: about 40 bytes a key, where a Set
 * of strings takes 150. Open addressing; keys are hashes already, so their first bytes choose the slot.
 */
export class PackedKeys {
  #keys = new Uint32Array((SLOTS_AT_FIRST / 2) * KEY_WORDS);
  #slots = new Uint32Array(SLOTS_AT_FIRST);
  #size = 0;
  readonly #sought = new Uint32Array(KEY_WORDS);
  readonly #soughtBytes = bufferOf(new Uint8Array(this.#sought.buffer));

  get size(): number {
    return this.#size;
  }

  /** The number of a key (64 hex digits); -1 if it is not there. */
  find(key: string): number {
    this.#soughtBytes.write(key, 'hex');
    return this.#slots[this.#probe()]! - 1;
  }

  /** The same of 32 bytes. */
  findBytes(bytes: Uint8Array, at: number): number {
    for (let byte = 0; byte < KEY_BYTES; byte++) this.#soughtBytes[byte] = bytes[at + byte]!;
    return this.#slots[this.#probe()]! - 1;
  }

  has(key: string): boolean {
    return this.find(key) >= 0;
  }

  /** The number of a key, which is added if need be: it is new if that is the size before. */
  add(key: string): number {
    this.#soughtBytes.write(key, 'hex');
    const slot = this.#probe();
    const found = this.#slots[slot]!;
    if (found > 0) return found - 1;
    const number = this.#size++;
    if (this.#size * KEY_WORDS > this.#keys.length) this.#keys = doubled(this.#keys);
    this.#keys.set(this.#sought, number * KEY_WORDS);
    this.#slots[slot] = number + 1;
    if (this.#size > this.#slots.length * FULL) this.#rehash();
    return number;
  }

  keyAt(number: number): string {
    if (number >= this.#size) throw new RangeError(`no key has the number ${number}`);
    return Buffer.from(this.#keys.buffer, number * KEY_BYTES, KEY_BYTES).toString('hex');
  }

  clear(): void {
    this.#slots.fill(0);
    this.#size = 0;
  }

  /** The slot of the sought key, or the free one where it belongs. */
  #probe(): number {
    const mask = this.#slots.length - 1;
    for (let slot = this.#sought[0]! & mask; ; slot = (slot + 1) & mask) {
      const found = this.#slots[slot]!;
      if (found === 0 || this.#isSought(found - 1)) return slot;
    }
  }

  #isSought(number: number): boolean {
    const at = number * KEY_WORDS;
    for (let word = 0; word < KEY_WORDS; word++) {
      if (this.#keys[at + word] !== this.#sought[word]) return false;
    }
    return true;
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let number = 0; number < this.#size; number++) {
      let slot = this.#keys[number * KEY_WORDS]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = number + 1;
    }
    this.#slots = slots;
  }
}

/** Numbers from 0 to 2^32 - 1, one for each key of a PackedKeys. */
export class Column {
  #values = new Uint32Array(SLOTS_AT_FIRST);

  get(index: number): number {
    return this.#values[index] ?? 0;
  }

  set(index: number, value: number): void {
    while (index >= this.#values.length) this.#values = doubled(this.#values);
    this.#values[index] = value;
  }

  clear(): void {
    this.#values.fill(0);
  }
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}
