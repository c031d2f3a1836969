import type { PathKey } from '../../model/paths.ts';
import type { UnixMillis } from '../../model/time.ts';
import {
  DEVICE_AT,
  type EntryReader,
  HEAD_BYTES,
  LINKS_AT,
  NAME_AT,
  NAME_LENGTH_AT,
  TARGET_LENGTH_AT,
} from '../../world/source/packed-entries.ts';
import { type BaseCursor, PathBytes } from './cursor.ts';
import type { FileSystems } from '../read/hard-links.ts';
import type { Renewal } from '../blocks/sparse-blocks.ts';

const FILE = 1;
const DIRECTORY = 2;
const SYMLINK = 3;
const CHARACTER_DEVICE = 6;
const CTIME_AT = 32;
const DEVICE_BYTES = 8;
const NODE_AT = 84;
const TWO_TO_32 = 2 ** 32;

/**
 * Compares what the walk found with the base, bytes with bytes. Says yes only where the entry that would be stored is
 * the one that the base has, to the byte; what it says no to is looked at again, as an object.
 */
export class SameEntries {
  readonly #cursor: BaseCursor;
  readonly #fileSystems: FileSystems;
  readonly #renewal: Renewal;
  readonly #settledBefore: UnixMillis;
  readonly #path = new PathBytes();
  /** Of the directory's path, with what parts it from a name. */
  #prefix = 0;
  readonly #device = Buffer.alloc(DEVICE_BYTES);
  #fileSystem = -1;

  /** @param settledBefore what is no file and has not changed since then has the attributes that the base says */
  constructor(cursor: BaseCursor, fileSystems: FileSystems, renewal: Renewal, settledBefore: UnixMillis) {
    this.#cursor = cursor;
    this.#fileSystems = fileSystems;
    this.#renewal = renewal;
    this.#settledBefore = settledBefore;
  }

  /** Whether the base has anything under the path that `find` was asked last. */
  get isKnown(): boolean {
    return this.#cursor.isAt(this.#path);
  }

  /** Number of the file system of what `find` was asked last. */
  get fileSystem(): number {
    return this.#fileSystem;
  }

  /** What `find` is asked next is in this directory. */
  enter(directory: PathKey): void {
    this.#path.set(directory);
    this.#prefix = this.#path.length;
    if (directory !== '') this.#path.bytes[this.#prefix++] = 0;
  }

  /** Whether the base has it as it is; then the cursor stands at it. A promise if a page must be read first. */
  find(entries: EntryReader, number: number): boolean | Promise<boolean> {
    const { bytes, packed } = entries;
    const at = packed.starts[number]!;
    const name = at + NAME_AT;
    this.#path.replace(this.#prefix, bytes, name, name + bytes.readUInt16BE(at + NAME_LENGTH_AT));
    this.#meet(bytes, at);
    const loading = this.#cursor.seekBytes(this.#path);
    return loading === undefined ? this.#isSame(bytes, at) : loading.then(() => this.#isSame(bytes, at));
  }

  /** Numbers file systems in the order of the walk. */
  #meet(bytes: Buffer, at: number): void {
    const known = this.#device;
    let isKnown = this.#fileSystem >= 0;
    for (let byte = 0; byte < DEVICE_BYTES && isKnown; byte++)
      isKnown = bytes[at + DEVICE_AT + byte] === known[byte];
    if (isKnown) return;
    bytes.copy(known, 0, at + DEVICE_AT, at + DEVICE_AT + DEVICE_BYTES);
    this.#fileSystem = this.#fileSystems.numberOf(known.readBigUInt64BE());
  }

  #isSame(bytes: Buffer, at: number): boolean {
    const cursor = this.#cursor;
    const { page } = cursor;
    if (page?.sealed === undefined || page.sealed === null || !cursor.isAt(this.#path)) return false;
    const { view } = page;
    const body = view.bodies[cursor.at]!;
    if (!isSameHead(bytes, at, view.payload, body) || !view.isWhole(cursor.at)) return false;
    const type = bytes[at]!;
    const isLinked = type !== DIRECTORY && bytes.readUInt32BE(at + LINKS_AT) > 1;
    if (view.linkAt(cursor.at) !== (isLinked ? this.#fileSystem : -1)) return false;
    if (type === FILE) return !this.#renewal.mayWant(view, cursor.at);
    return this.#isSettled(bytes, at) && this.#isSameKind(bytes, at, type);
  }

  #isSettled(bytes: Buffer, at: number): boolean {
    const seconds = bytes.readInt32BE(at + CTIME_AT) * TWO_TO_32 + bytes.readUInt32BE(at + CTIME_AT + 4);
    return seconds * 1000 + bytes.readUInt32BE(at + CTIME_AT + 8) / 1e6 < this.#settledBefore;
  }

  /** The target of a link, the numbers of a device. */
  #isSameKind(bytes: Buffer, at: number, type: number): boolean {
    const { page, at: number } = this.#cursor;
    const { payload } = page!.view;
    if (type >= CHARACTER_DEVICE) {
      const numbers = page!.view.specificAt(number);
      return bytes.compare(payload, numbers, numbers + 8, at + NODE_AT, at + NODE_AT + 8) === 0;
    }
    if (type !== SYMLINK) return true;
    const target = at + NAME_AT + bytes.readUInt16BE(at + NAME_LENGTH_AT);
    const length = bytes.readUInt16BE(at + TARGET_LENGTH_AT);
    const stored = page!.view.targetAt(number);
    return (
      stored.end - stored.start === length &&
      bytes.compare(payload, stored.start, stored.end, target, target + length) === 0
    );
  }
}

/** All but the second byte, which says what only the base knows. */
function isSameHead(bytes: Buffer, at: number, payload: Buffer, body: number): boolean {
  if (bytes[at] !== payload[body]) return false;
  for (let byte = 2; byte < HEAD_BYTES; byte++) {
    if (bytes[at + byte] !== payload[body + byte]) return false;
  }
  return true;
}
