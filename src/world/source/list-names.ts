import { closeSync, constants as fsConstants, openSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { type ByteName, joinPath, type PathKey } from '../../model/paths.ts';
import { EntryPacker, packEntry } from './packed-entries.ts';
import { ofDescriptor, openNamed } from '../system/paths-by-handle.ts';
import type { Kernels, PackedEntries, Task } from '../ports.ts';
import { sourceError } from './error.ts';
import { lookAt } from '../system/stats.ts';
import { callError, STATX, type SystemCalls } from '../system/system-calls.ts';

/** Names in one directory that are looked at in one task. */
export const WINDOW_NAMES = 2048;
/** Names of one directory that are in memory at once: what follows them is found by reading it again. */
const NAMES_MAX = 200_000;
/** Of names that wait for being looked at, in what one task answers. */
const WAITING_BYTES_MAX = 1 << 20;
/** No name has it, and a string passes between threads faster than a list of them. */
const BETWEEN = '/';
const DIRENT_LENGTH_AT = 16;
const DIRENT_NAME_AT = 19;
const ALLOCATION_UNIT = 512;
/** Numbers of ENTRY_TYPES by the first four bits of a mode. */
const TYPE_NUMBERS = [0, 4, 6, 0, 2, 0, 7, 0, 1, 0, 3, 0, 5, 0, 0, 0];
const SYMLINK = 3;
const FILE = 1;
const { O_DIRECTORY, O_NOATIME, O_RDONLY } = fsConstants;

export interface ListInput {
  readonly joinedPaths: string;
  /** Only names after this one, of each. */
  readonly after: ByteName | null;
  /** See NAMES_MAX. */
  readonly most?: number;
}

/** One directory, or its beginning. */
export interface Listed {
  readonly packed: PackedEntries;
  /** Names that follow and were not looked at, joined. */
  readonly rest: string;
  /** The last of all these names, if there are others after it; else null. */
  readonly last: ByteName | null;
}

export type ListedPart =
  | Listed
  | { readonly code: 'not-found' | 'source-unreadable'; readonly message: string };

export const joined = (parts: readonly string[]): string => parts.join(BETWEEN);

/** The first `count` of joined names, and the others. */
export function splitNames(names: string, count: number): { readonly some: string; readonly rest: string } {
  let at = -1;
  for (let found = 0; found < count; found++) {
    at = names.indexOf(BETWEEN, at + 1);
    if (at < 0) return { some: names, rest: '' };
  }
  return { some: names.slice(0, at), rest: names.slice(at + 1) };
}

/** Lists directories, until large ones leave too many names to wait, and looks at what is in them. */
export function listDirectories(
  { joinedPaths, after, most = NAMES_MAX }: ListInput,
  kernels: Kernels,
): ListedPart[] {
  const system = kernels.system?.() ?? null;
  const parts: ListedPart[] = [];
  let waiting = 0;
  for (const path of joinedPaths.split(BETWEEN) as PathKey[]) {
    if (waiting > WAITING_BYTES_MAX) break;
    try {
      const part = listOne(path, after, most, system);
      waiting += part.rest.length;
      parts.push(part);
    } catch (error) {
      parts.push(refusal(error, path));
    }
  }
  return parts;
}

export interface LookInput {
  readonly path: PathKey;
  readonly joinedNames: string;
}

/** Looks at names of one directory. */
export function lookAtNames({ path, joinedNames }: LookInput, kernels: Kernels): ListedPart {
  try {
    const directory = openNamed(path, 'directory');
    try {
      const names = joinedNames.split(BETWEEN) as ByteName[];
      const packed = lookAtAll(directory, path, names, kernels.system?.() ?? null);
      return { packed, rest: '', last: null };
    } finally {
      closeSync(directory);
    }
  } catch (error) {
    return refusal(error, path);
  }
}

function refusal(error: unknown, path: PathKey): ListedPart {
  const { code, message } = sourceError(error, path);
  return { code: code === 'not-found' ? 'not-found' : 'source-unreadable', message };
}

function listOne(path: PathKey, after: ByteName | null, most: number, system: SystemCalls | null): Listed {
  const directory = openNamed(path, 'directory');
  try {
    const { names, more } = namesIn(directory, after, most, system);
    const packed = lookAtAll(directory, path, names.slice(0, WINDOW_NAMES), system);
    const last = more ? (names.at(-1) ?? null) : null;
    return { packed, rest: joined(names.slice(WINDOW_NAMES)), last };
  } finally {
    closeSync(directory);
  }
}

interface Names {
  readonly names: ByteName[];
  readonly more: boolean;
}

/** The least names after `after`, in order: at most `most` of them, and never many more in memory. */
function namesIn(directory: number, after: ByteName | null, most: number, system: SystemCalls | null): Names {
  let names: ByteName[] = [];
  let before: ByteName | null = null;
  let more = false;
  const add = (name: ByteName): void => {
    if (after !== null && name <= after) return;
    if (before !== null && name >= before) {
      more = true;
      return;
    }
    names.push(name);
    if (names.length < 2 * most) return;
    names = names.sort().slice(0, most);
    before = names.at(-1)!;
    more = true;
  };
  if (system === null) for (const name of readAllNames(directory)) add(name);
  else eachName(directory, system, add);
  names.sort();
  if (names.length <= most) return { names, more };
  return { names: names.slice(0, most), more: true };
}

function readAllNames(directory: number): ByteName[] {
  return readdirSync(ofDescriptor(directory), { encoding: 'latin1' }) as ByteName[];
}

function eachName(named: number, system: SystemCalls, add: (name: ByteName) => void): void {
  const directory = openListed(named);
  try {
    const { names } = system;
    for (;;) {
      const length = system.listNext(directory);
      if (length < 0) throw callError(length, 'getdents64');
      if (length === 0) return;
      for (let at = 0; at < length; at += names[at + DIRENT_LENGTH_AT]! + 256 * names[at + 17]!) {
        const start = at + DIRENT_NAME_AT;
        let end = start;
        while (names[end] !== 0) end++;
        const name = names.toString('latin1', start, end);
        if (name !== '.' && name !== '..') add(name as ByteName);
      }
    }
  } finally {
    closeSync(directory);
  }
}

/** Leaves the access time alone where that is permitted. */
function openListed(named: number): number {
  try {
    return openSync(ofDescriptor(named), O_RDONLY | O_DIRECTORY | O_NOATIME);
  } catch {
    return openSync(ofDescriptor(named), O_RDONLY | O_DIRECTORY);
  }
}

function lookAtAll(
  directory: number,
  path: PathKey,
  names: readonly ByteName[],
  system: SystemCalls | null,
): PackedEntries {
  const packer = new EntryPacker(names.length);
  const problems: { name: ByteName; code: string; message: string }[] = [];
  for (const name of names) {
    try {
      if (system === null) packSlowly(packer, directory, name);
      else packOne(packer, directory, name, system);
    } catch (error) {
      const { code, message } = sourceError(error, joinPath(path, name));
      if (code !== 'not-found') problems.push({ name, code, message });
    }
  }
  return packer.take(problems);
}

function packSlowly(packer: EntryPacker, directory: number, name: ByteName): void {
  const entry = lookAt(directory, name);
  if (entry !== null) packEntry(packer, entry);
}

function packOne(packer: EntryPacker, directory: number, name: ByteName, system: SystemCalls): void {
  const found = system.look(directory, name);
  if (found === -constants.errno.ENOENT) return;
  if (found < 0) throw callError(found, 'statx');
  const { stat } = system;
  const type = TYPE_NUMBERS[stat[STATX.mode + 1]! >> 4]!;
  // Its target must be of the same moment.
  if (type === SYMLINK || type === 0) return packSlowly(packer, directory, name);
  const { bytes, at } = packer.begin();
  bytes[at] = type;
  bytes[at + 1] = 0;
  bytes[at + 2] = stat[STATX.mode + 1]! & 0x0f;
  bytes[at + 3] = stat[STATX.mode]!;
  turn(stat, STATX.uid, bytes, at + 4, 4);
  turn(stat, STATX.gid, bytes, at + 8, 4);
  if (type === FILE) turn(stat, STATX.size, bytes, at + 12, 8);
  else bytes.fill(0, at + 12, at + 20);
  turnTime(stat, STATX.modified, bytes, at + 20);
  turnTime(stat, STATX.changed, bytes, at + 32);
  turn(stat, STATX.inode, bytes, at + 44, 8);
  turn(stat, STATX.links, bytes, at + 52, 4);
  packDevice(stat.readUInt32LE(STATX.deviceMajor), stat.readUInt32LE(STATX.deviceMinor), bytes, at + 56);
  packAllocated(stat, bytes, at + 64);
  turnTime(stat, STATX.birth, bytes, at + 72);
  turn(stat, STATX.nodeMajor, bytes, at + 84, 4);
  turn(stat, STATX.nodeMinor, bytes, at + 88, 4);
  packer.end(name, '');
}

/** From the machine's order of bytes into that of the tree. */
function turn(from: Buffer, start: number, into: Buffer, at: number, count: number): void {
  for (let byte = 0; byte < count; byte++) into[at + byte] = from[start + count - 1 - byte]!;
}

function turnTime(from: Buffer, start: number, into: Buffer, at: number): void {
  turn(from, start, into, at, 8);
  turn(from, start + 8, into, at + 8, 4);
}

/** As makedev(3) does. */
function packDevice(major: number, minor: number, into: Buffer, at: number): void {
  into.writeUInt32BE(((major & 0xfffff000) | (minor >>> 20)) >>> 0, at);
  into.writeUInt32BE((((minor & 0xfff00) << 12) | ((major & 0xfff) << 8) | (minor & 0xff)) >>> 0, at + 4);
}

function packAllocated(stat: Buffer, into: Buffer, at: number): void {
  const blocks = stat.readUInt32LE(STATX.blocks) + stat.readUInt32LE(STATX.blocks + 4) * 0x1_0000_0000;
  const allocated = blocks * ALLOCATION_UNIT;
  into.writeUInt32BE(Math.floor(allocated / 0x1_0000_0000), at);
  into.writeUInt32BE(allocated % 0x1_0000_0000, at + 4);
}

const task = <Input, Output>(name: string, run: Task<Input, Output>['run']): Task<Input, Output> => ({
  module: import.meta.url,
  name,
  run,
});

export const listTask = task('listDirectories', listDirectories);
export const lookTask = task('lookAtNames', lookAtNames);
