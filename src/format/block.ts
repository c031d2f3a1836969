import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { bufferOf, equalBytes, freeAtOnce, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { BlockId, ChunkDigest, DomainKeyId } from '../model/ids.ts';
import { chunkDigest, type DomainKeys, type KeyStore } from './domain-keys.ts';
import { deriveKey } from './siv-box.ts';

/** Sealed bytes with the name that anybody can check without a key: id = SHA-256(bytes) (format F3). */
export interface SealedBlock {
  readonly id: BlockId;
  readonly bytes: Uint8Array;
}

export type BlockType = 'data' | 'tree' | 'keyring' | 'refs';
/** `chunk`: raw, and exactly one chunk, whose digest stands for it in the siv (format F8). */
export type BlockCodec = 'raw' | 'zstd' | 'chunk';

export interface BlockHeader {
  readonly type: BlockType;
  readonly codec: BlockCodec;
  readonly domain: DomainKeyId;
  /** Bytes of the payload before compression. */
  readonly plainLength: number;
  /** Bytes that follow the header. */
  readonly sealedLength: number;
  readonly siv: Uint8Array;
}

export const HEADER_BYTES = 64;
const MAGIC = Buffer.from('LTB1', 'latin1');
const VERSION = 1;
const SUITE_CLEAR = 0;
const SUITE_1 = 1;
const SIV_AT = 32;
const TAG_BYTES = 16;
const PADDING_FIELD_BYTES = 4;
const ZERO_NONCE = Buffer.alloc(12);

const TYPES: readonly (BlockType | undefined)[] = [undefined, 'data', 'tree', 'keyring', 'refs'];
const CODECS: readonly BlockCodec[] = ['raw', 'zstd', 'chunk'];
/** A payload is stored raw unless zstd makes it smaller than this share: decoding must be worth its time. */
const WORTH_COMPRESSING = 15 / 16;
/** 8 MiB, the length of the largest block: no frame needs a larger window (format F9). */
const ZSTD_WINDOW_LOG_MAX = 23;
/** Node takes no smaller pieces. */
const ZSTD_CHUNK_MIN = 64;

export interface SealOptions {
  readonly type: 'data' | 'tree' | 'keyring';
  /** zstd level; 0 stores raw. */
  readonly level: number;
  /** Set when the payload is exactly one chunk: its digest. Saves a pass over the bytes if it is stored raw. */
  readonly chunk?: ChunkDigest;
}

/** What sealing adds to a payload at most: header, padding length, tag. */
export const SEAL_BYTES = HEADER_BYTES + PADDING_FIELD_BYTES + TAG_BYTES;

/** Deterministic sealing (format F7, F8): same payload, keys and level give the same bytes. */
export function sealBlock(keys: DomainKeys, payload: Uint8Array, options: SealOptions): SealedBlock {
  const encoded = encodePayload(payload, options);
  const bytes = Buffer.allocUnsafe(SEAL_BYTES + encoded.body.length);
  return { id: sealEncoded(keys, payload, encoded, options, bytes), bytes };
}

/**
 * The same into memory of the caller, which has room for `SEAL_BYTES` more than the payload.
 * @returns the block's id and how many bytes it has
 */
export function sealBlockInto(
  keys: DomainKeys,
  payload: Uint8Array,
  options: SealOptions,
  target: Uint8Array,
): { readonly id: BlockId; readonly length: number } {
  const encoded = encodePayload(payload, options);
  const bytes = bufferOf(target.subarray(0, SEAL_BYTES + encoded.body.length));
  const id = sealEncoded(keys, payload, encoded, options, bytes);
  if (encoded.codec === 'zstd') freeAtOnce(encoded.body);
  return { id, length: bytes.length };
}

/** Ciphertext comes in pieces of this length, each freed before the next is made: no call makes a large buffer. */
const SEALED_PIECE_BYTES = 256 * 1024;
/** After this much of it all others begin at a whole word: V8 copies to shared memory byte by byte what does not, in nine times the time. */
const FIRST_PIECE_BYTES = HEADER_BYTES - PADDING_FIELD_BYTES;

function sealEncoded(
  keys: DomainKeys,
  payload: Uint8Array,
  { codec, body }: Encoded,
  options: SealOptions,
  bytes: Buffer,
): BlockId {
  const sealedLength = PADDING_FIELD_BYTES + body.length + TAG_BYTES;
  bytes.fill(0, 0, HEADER_BYTES);
  writeHeader(bytes, {
    type: options.type,
    codec,
    suite: SUITE_1,
    plainLength: payload.length,
    sealedLength,
  });
  bytes.set(keys.idBytes, 8);
  const padding = Buffer.alloc(PADDING_FIELD_BYTES);
  const siv = blockSiv(keys, bytes.subarray(0, SIV_AT), padding, codec === 'chunk' ? options.chunk! : body);
  bytes.set(siv, SIV_AT);
  const cipher = createCipheriv('aes-256-gcm', deriveKey(keys.seal, siv, 'lowtide/1/block'), ZERO_NONCE, {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(bytes.subarray(0, HEADER_BYTES));
  bytes.set(cipher.update(padding), HEADER_BYTES);
  let at = HEADER_BYTES + PADDING_FIELD_BYTES;
  for (let from = 0; from < body.length;) {
    const end = from + (from === 0 ? FIRST_PIECE_BYTES : SEALED_PIECE_BYTES);
    const piece = cipher.update(body.subarray(from, end));
    bytes.set(piece, at);
    at += piece.length;
    freeAtOnce(piece);
    from = end;
  }
  cipher.final();
  bytes.set(cipher.getAuthTag(), at);
  return blockIdOf(bytes);
}

/**
 * The payload of a whole refs block; needs no key.
 * @throws LowtideError `damaged-block`, `newer-format`
 */
export function openClearBlock(bytes: Uint8Array, maxBytes: number): Uint8Array {
  wholeHeader(bytes, 'refs', maxBytes);
  return bytes.subarray(HEADER_BYTES);
}

/** A refs page: clear, so that completeness needs no key, but of a domain like every block (format F30). */
export function clearBlock(domain: DomainKeyId, payload: Uint8Array): SealedBlock {
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  writeHeader(bytes, {
    type: 'refs',
    codec: 'raw',
    suite: SUITE_CLEAR,
    plainLength: payload.length,
    sealedLength: payload.length,
  });
  bytes.write(domain, 8, 'hex');
  bytes.set(payload, HEADER_BYTES);
  return { id: blockIdOf(bytes), bytes };
}

export function blockIdOf(bytes: Uint8Array): BlockId {
  return createHash('sha256').update(bytes).digest('hex') as BlockId;
}

/** Hashes beside what the caller does, if it can be: of the port Work, whose rules for memory these are. */
export interface Hashing {
  sha256(parts: readonly Uint8Array[]): Promise<readonly { bytes: Uint8Array; digest: Uint8Array }[]>;
}

/** Those of these blocks that hash to their ids, in memory that comes back; null for others. */
export async function checkBlockIds(
  hashing: Hashing,
  blocks: readonly SealedBlock[],
): Promise<(SealedBlock | null)[]> {
  const hashed = await hashing.sha256(blocks.map(({ bytes }) => bytes));
  return hashed.map(({ bytes, digest }, at) => {
    const { id } = blocks[at]!;
    return hexOf(digest) === id ? { id, bytes } : null;
  });
}

/** As `checkBlockIds` of one. @throws LowtideError `hash-mismatch` */
export async function checkBlockId(hashing: Hashing, block: SealedBlock): Promise<SealedBlock> {
  const [checked] = await checkBlockIds(hashing, [block]);
  if (checked) return checked;
  throw mislabelled(block);
}

/** Its bytes are not what its id says. */
export function mislabelled({ id }: SealedBlock): LowtideError {
  return new LowtideError('hash-mismatch', `block ${id.slice(0, 12)} does not hash to its id`);
}

/**
 * Reads a header from at least 64 bytes; says nothing about what follows it.
 * @throws LowtideError `damaged-block`, or `newer-format` for a version or suite that this program does not know
 */
export function parseBlockHeader(bytes: Uint8Array, maxBytes: number): BlockHeader {
  if (bytes.length < HEADER_BYTES || !equalBytes(bytes.subarray(0, 4), MAGIC)) {
    throw new LowtideError('damaged-block', 'these bytes do not start with a block header');
  }
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const type = TYPES[view[6]!];
  const codec = CODECS[view[7]!];
  const suite = view[5]!;
  if (view[4] !== VERSION || suite > SUITE_1) {
    throw new LowtideError(
      'newer-format',
      `a block has format ${view[4]}, suite ${suite}: update Lowtide to read it`,
    );
  }
  if (type !== undefined && codec !== undefined) {
    const header = {
      type,
      codec,
      plainLength: view.readUInt32BE(24),
      sealedLength: view.readUInt32BE(28),
      domain: view.toString('hex', 8, 24) as DomainKeyId,
      siv: view.subarray(SIV_AT, HEADER_BYTES),
    };
    if (plausible(header, suite, maxBytes)) return header;
  }
  throw new LowtideError('damaged-block', 'a block header has fields that no writer writes');
}

export interface OpenedBlock {
  readonly payload: Uint8Array;
  /** Its digest, if the payload is stored as exactly one chunk: what opening has found out anyway. */
  readonly chunk: ChunkDigest | null;
}

/** The payload of a whole block. Errors as `openWhole`. */
export function openBlock(keys: KeyStore, bytes: Uint8Array, type: BlockType, maxBytes: number): Uint8Array {
  return openWhole(keys, bytes, type, maxBytes).payload;
}

/** @throws LowtideError `damaged-block`, `no-key`, `newer-format` */
export function openWhole(keys: KeyStore, bytes: Uint8Array, type: BlockType, maxBytes: number): OpenedBlock {
  const header = wholeHeader(bytes, type, maxBytes);
  if (type === 'refs') return { payload: bytes.subarray(HEADER_BYTES), chunk: null };
  const domain = keys.find(header.domain);
  const { padding, body } = decrypt(domain, header, bytes);
  const payload = header.codec === 'zstd' ? decompress(body, header.plainLength) : body;
  if (payload.length !== header.plainLength) throw damaged(type);
  const chunk = header.codec === 'chunk' ? chunkDigest(domain, payload) : null;
  const siv = blockSiv(domain, bytes.subarray(0, SIV_AT), padding, chunk ?? body);
  if (payload !== body) freeAtOnce(body);
  if (!equalBytes(siv, header.siv)) throw damaged(type);
  return { payload, chunk };
}

/** The header of bytes that must be exactly one block of this type. */
function wholeHeader(bytes: Uint8Array, type: BlockType, maxBytes: number): BlockHeader {
  const header = parseBlockHeader(bytes, maxBytes);
  if (header.type !== type)
    throw new LowtideError('damaged-block', `a ${header.type} block stands where a ${type} block must`);
  if (bytes.length !== HEADER_BYTES + header.sealedLength) {
    throw new LowtideError(
      'damaged-block',
      `a ${type} block is ${bytes.length} bytes long and says otherwise`,
    );
  }
  return header;
}

const damaged = (type: string): LowtideError =>
  new LowtideError(
    'damaged-block',
    `a ${type} block does not open: a bit of it was changed, or it is another one's`,
  );

interface Encoded {
  readonly codec: BlockCodec;
  readonly body: Uint8Array;
}

/** Up to this level zstd finds out by itself what does not compress, at gigabytes a second. */
const CHEAP_LEVEL = 4;
/** What the first level makes no smaller than this share, a higher one would search for long and in vain. */
const HOPELESS = 0.99;

function isHopeless(payload: Uint8Array): boolean {
  const tried = compress(payload, 1);
  const { length } = tried;
  freeAtOnce(tried);
  return length >= payload.length * HOPELESS;
}

function encodePayload(payload: Uint8Array, options: SealOptions): Encoded {
  if (options.level > 0 && (options.level <= CHEAP_LEVEL || !isHopeless(payload))) {
    const body = compress(payload, options.level);
    if (body.length < payload.length * WORTH_COMPRESSING) return { codec: 'zstd', body };
    freeAtOnce(body);
  }
  return { codec: options.chunk === undefined ? 'raw' : 'chunk', body: payload };
}

/** Into a buffer that is long enough at once: then zstd needs no buffers of its own, and bytes are copied less. */
function compress(payload: Uint8Array, level: number): Uint8Array {
  return zstdCompressSync(payload, {
    chunkSize: payload.length + (payload.length >>> 8) + 128,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_contentSizeFlag]: 1 },
  });
}

interface HeaderFields {
  type: BlockType;
  codec: BlockCodec;
  suite: number;
  plainLength: number;
  sealedLength: number;
}

/** Everything but the domain key id and the siv, which stay as they are. */
function writeHeader(bytes: Buffer, fields: HeaderFields): void {
  bytes.set(MAGIC, 0);
  bytes[4] = VERSION;
  bytes[5] = fields.suite;
  bytes[6] = TYPES.indexOf(fields.type);
  bytes[7] = CODECS.indexOf(fields.codec);
  bytes.writeUInt32BE(fields.plainLength, 24);
  bytes.writeUInt32BE(fields.sealedLength, 28);
}

/** HMAC over the header's first 32 bytes, the padding length and the body; a `chunk` body is covered by its digest. */
function blockSiv(
  keys: DomainKeys,
  head: Uint8Array,
  padding: Uint8Array,
  text: Uint8Array | string,
): Buffer {
  const body = typeof text === 'string' ? Buffer.from(text, 'hex') : text;
  return createHmac('sha256', keys.siv).update(head).update(padding).update(body).digest();
}

/** What every reader checks, with a key or without (format F9). */
function plausible(header: BlockHeader, suite: number, maxBytes: number): boolean {
  const { type, codec, plainLength, sealedLength, siv } = header;
  if (plainLength > maxBytes || sealedLength > maxBytes) return false;
  if (type === 'refs') {
    const clear = suite === SUITE_CLEAR && codec === 'raw' && plainLength === sealedLength;
    return clear && siv.every((byte) => byte === 0);
  }
  if (suite === SUITE_CLEAR || (codec === 'chunk' && type !== 'data')) return false;
  const bodyLength = sealedLength - PADDING_FIELD_BYTES - TAG_BYTES;
  return bodyLength >= (codec === 'zstd' ? 1 : plainLength);
}

function decrypt(
  keys: DomainKeys,
  header: BlockHeader,
  bytes: Uint8Array,
): { padding: Buffer; body: Buffer } {
  const decipher = createDecipheriv(
    'aes-256-gcm',
    deriveKey(keys.seal, header.siv, 'lowtide/1/block'),
    ZERO_NONCE,
    {
      authTagLength: TAG_BYTES,
    },
  );
  decipher.setAAD(bytes.subarray(0, HEADER_BYTES));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  let text: Buffer;
  try {
    text = decipher.update(bytes.subarray(HEADER_BYTES, bytes.length - TAG_BYTES));
    decipher.final();
  } catch {
    throw damaged(header.type);
  }
  const padding = text.subarray(0, PADDING_FIELD_BYTES);
  const paddingLength = padding.readUInt32BE(0);
  const end = text.length - paddingLength;
  if (end < PADDING_FIELD_BYTES || text.subarray(end).some((byte) => byte !== 0)) throw damaged(header.type);
  return { padding, body: text.subarray(PADDING_FIELD_BYTES, end) };
}

/** Stops at the announced length: a bomb costs no more memory than it announces. In one piece, which is never copied. */
function decompress(body: Uint8Array, plainLength: number): Buffer {
  try {
    return zstdDecompressSync(body, {
      chunkSize: Math.max(plainLength + 1, ZSTD_CHUNK_MIN),
      maxOutputLength: Math.max(plainLength, 1),
      params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
    });
  } catch {
    throw new LowtideError('damaged-block', 'a block does not decompress to the length it announces');
  }
}
