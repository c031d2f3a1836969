import { closeSync, constants, openSync } from 'node:fs';
import { APPEND_ONLY_FLAG, type ExtendedAttribute, IMMUTABLE_FLAG, KEPT_FLAGS } from '../../model/entries.ts';
import { equalBytes } from '../../model/bytes.ts';
import { errnoName, errnoWords } from '../system/errno.ts';
import type { Native } from '../system/native.ts';
import type { AttributeHolder, NativeAttributes } from '../system/native-attributes.ts';
import { ofDescriptor } from '../system/paths-by-handle.ts';

/** What a directory with a default list gives to all that is made in it, asked or not. */
const DEFAULT_LIST = 'system.posix_acl_default';
const INHERITED = ['system.posix_acl_access', DEFAULT_LIST];

/** Whether what is made in this directory (O_PATH will do) may get an access control list unasked. */
export function hasDefaultList(directory: number, native: Native | null): boolean {
  if (native === null) return true;
  const path = Buffer.from(ofDescriptor(directory));
  try {
    return native.attributes.get({ path, lastLink: 'follow' }, DEFAULT_LIST) !== null;
  } catch (error) {
    return !['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS'].includes(errnoName(error));
  }
}

/** Gives exactly these, but for what the system itself adds to every file. Answers why not, or null if it has them all. */
export function setXattrs(
  native: NativeAttributes,
  holder: AttributeHolder,
  wanted: readonly ExtendedAttribute[],
): string | null {
  const failed: { readonly name: string; readonly error: unknown }[] = [];
  for (const { name, value } of wanted) {
    try {
      native.set(holder, name, value);
    } catch (error) {
      if (!has(native, holder, name, value)) failed.push({ name, error });
    }
  }
  for (const name of unwanted(native, holder, wanted)) {
    try {
      native.remove(holder, name);
    } catch (error) {
      failed.push({ name, error });
    }
  }
  if (failed.length === 0) return null;
  return `${failed.map(({ name }) => name).join(', ')}: ${errnoWords(failed[0]!.error)}`;
}

function has(native: NativeAttributes, holder: AttributeHolder, name: string, value: Uint8Array): boolean {
  try {
    const kept = native.get(holder, name);
    return kept !== null && equalBytes(kept, value);
  } catch {
    return false;
  }
}

function unwanted(
  native: NativeAttributes,
  holder: AttributeHolder,
  wanted: readonly ExtendedAttribute[],
): string[] {
  try {
    return native
      .list(holder)
      .filter((name) => INHERITED.includes(name) && !wanted.some((xattr) => xattr.name === name));
  } catch {
    return []; // What cannot be listed was not set either, and that is told.
  }
}

/** The letters of chattr, for people. */
const LETTERS: readonly (readonly [flag: number, letter: string])[] = [
  [0x1, 's'],
  [0x2, 'u'],
  [0x4, 'c'],
  [0x8, 'S'],
  [0x40, 'd'],
  [0x80, 'A'],
  [0x4000, 'j'],
  [0x8000, 't'],
  [0x1_0000, 'D'],
  [0x2_0000, 'T'],
  [0x80_0000, 'C'],
  [0x200_0000, 'x'],
  [0x2000_0000, 'P'],
  [APPEND_ONLY_FLAG, 'a'],
  [IMMUTABLE_FLAG, 'i'],
];

/**
 * Sets the flags of what a descriptor (O_PATH will do) names; one by one if the file system takes some only. Answers
 * why not, or null.
 */
export function setFlagsOf(native: NativeAttributes, named: number, wanted: number): string | null {
  const { O_RDONLY, O_NONBLOCK } = constants;
  const descriptor = openSync(ofDescriptor(named), O_RDONLY | O_NONBLOCK);
  try {
    const before = native.flags(descriptor);
    if (before === null) return `${lettersOf(wanted)}: this file system has none`;
    if ((before & KEPT_FLAGS) === wanted) return null;
    let error: unknown;
    try {
      native.setFlags(descriptor, (before & ~KEPT_FLAGS) | wanted);
    } catch (reason) {
      error = reason;
      setOneByOne(native, descriptor, wanted);
    }
    const missing = wanted & ~native.flags(descriptor)!;
    if (missing === 0) return null;
    return `${lettersOf(missing)}: ${error === undefined ? 'this file system does not keep it' : errnoWords(error)}`;
  } finally {
    closeSync(descriptor);
  }
}

function setOneByOne(native: NativeAttributes, descriptor: number, wanted: number): void {
  for (const [flag] of LETTERS) {
    if ((wanted & flag) === 0) continue;
    try {
      native.setFlags(descriptor, native.flags(descriptor)! | flag);
    } catch {
      // The look afterwards tells which are missing.
    }
  }
}

function lettersOf(flags: number): string {
  return LETTERS.filter(([flag]) => (flags & flag) !== 0)
    .map(([, letter]) => letter)
    .join('');
}
