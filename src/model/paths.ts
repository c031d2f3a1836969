import { LowtideError } from './errors.ts';
import type { Brand } from './ids.ts';

/**
 * An absolute path as bytes: one character (0-255) a byte, components joined by NUL, no leading slash. The empty
 * string is `/`. Plain string comparison of two keys is the tree's order: component by component, in bytes
 * (format F21), so a directory's content follows it at once. A string, because strings compare, hash and concatenate
 * faster than buffers.
 */
export type PathKey = Brand<string, 'PathKey'>;
/** One file name as bytes, one character (0-255) a byte: never empty, without NUL and slash. */
export type ByteName = Brand<string, 'ByteName'>;

const SEPARATOR = '\0';
/** No page holds a longer path (format F21): a tree nested without end must not make pages that nobody accepts. */
export const PATH_BYTES_MAX = 32_767;

export const ROOT_PATH = '' as PathKey;

export function byteNameFrom(bytes: Uint8Array): ByteName {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as ByteName;
}

export function byteNameToBytes(name: ByteName): Buffer {
  return Buffer.from(name, 'latin1');
}

/** Whether it may be a component of a restored path: nothing that would leave its directory (faults 48). */
export function isName(name: string): name is ByteName {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name) && name.length <= 255;
}

/** @throws LowtideError `bad-name` if it is not `isName` */
export function checkName(name: string): ByteName {
  if (!isName(name)) {
    throw new LowtideError(
      'bad-name',
      `the name ${JSON.stringify(displayBytes(name))} cannot be part of a path`,
    );
  }
  return name;
}

export function joinPath(parent: PathKey, name: ByteName): PathKey {
  return (parent === '' ? name : parent + SEPARATOR + name) as PathKey;
}

export function pathComponents(path: PathKey): ByteName[] {
  return (path === '' ? [] : path.split(SEPARATOR)) as ByteName[];
}

export function baseName(path: PathKey): ByteName {
  return path.slice(path.lastIndexOf(SEPARATOR) + 1) as ByteName;
}

export function parentPath(path: PathKey): PathKey {
  const cut = path.lastIndexOf(SEPARATOR);
  return (cut === -1 ? '' : path.slice(0, cut)) as PathKey;
}

/** True for `ancestor` itself too. */
export function isWithin(path: PathKey, ancestor: PathKey): boolean {
  return ancestor === '' || path === ancestor || path.startsWith(ancestor + SEPARATOR);
}

/** The least key greater than every key within `path`. */
export function afterSubtree(path: PathKey): PathKey {
  return (path === '' ? '\u{100}' : path + '\u0001') as PathKey;
}

/** An absolute path as people type it (UTF-8, `/a/b`) to its key; `.` and `..` are resolved textually, never on disk. */
export function pathKeyOf(absolute: string): PathKey {
  if (!absolute.startsWith('/')) throw new LowtideError('bad-path', `the path ${absolute} is not absolute`);
  const components: string[] = [];
  for (const part of absolute.split('/')) {
    if (part === '..') components.pop();
    else if (part !== '' && part !== '.') components.push(Buffer.from(part, 'utf8').toString('latin1'));
  }
  return components.join(SEPARATOR) as PathKey;
}

/** The bytes that the operating system wants for an absolute path. */
export function pathToBytes(path: PathKey): Buffer {
  return Buffer.from('/' + path.replaceAll(SEPARATOR, '/'), 'latin1');
}

export function displayPath(path: PathKey): string {
  return '/' + pathComponents(path).map(displayBytes).join('/');
}

/** Bytes for a terminal: valid printable UTF-8 as it is, everything else as \xNN, so that no name can forge output. */
export function displayBytes(name: string): string {
  const bytes = Buffer.from(name, 'latin1');
  const text = bytes.toString('utf8');
  if (Buffer.compare(Buffer.from(text, 'utf8'), bytes) === 0 && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/u.test(text)) {
    return text;
  }
  let shown = '';
  for (const character of text) {
    const printable = character !== '\ufffd' && character !== '\\' && !/[\p{C}\p{Zl}\p{Zp}]/u.test(character);
    shown += printable ? character : escapeBytes(Buffer.from(character, 'utf8'));
  }
  return text.includes('\ufffd') ? escapeUnlessAscii(bytes) : shown;
}

function escapeBytes(bytes: Buffer): string {
  return [...bytes].map((byte) => '\\x' + byte.toString(16).padStart(2, '0')).join('');
}

function escapeUnlessAscii(bytes: Buffer): string {
  return [...bytes]
    .map((byte) =>
      byte > 31 && byte < 127 && byte !== 92 ? String.fromCharCode(byte) : escapeBytes(Buffer.of(byte)),
    )
    .join('');
}
