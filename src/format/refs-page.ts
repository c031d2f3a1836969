import type { BlockId } from '../model/ids.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

/** One block that a snapshot needs. */
export interface Ref {
  readonly id: BlockId;
  /** Bytes of the whole block, header included: what it costs to move and to store. */
  readonly length: number;
}

/** A page of refs below another. */
export interface RefsChild extends Ref {
  /** Blocks named below, refs pages not counted. */
  readonly blocks: number;
  /** Sum of their lengths. */
  readonly bytes: number;
}

export type RefsPage =
  | { readonly kind: 'leaf'; readonly refs: readonly Ref[] }
  | { readonly kind: 'inner'; readonly level: number; readonly children: readonly RefsChild[] };

/** The top page of a snapshot's refs, as its manifest names it. */
export type RefsRoot = RefsChild;

const LEAF = 1;
const INNER = 2;
const HASH_BYTES = 32;
/** Far more than any snapshot needs: pages hold two children at least, but for the last of a level. */
const LEVELS_MAX = 16;

export function encodeRefsLeaf(refs: readonly Ref[]): Uint8Array {
  const writer = new ByteWriter(refs.length * 36 + 8);
  writer.u8(LEAF);
  writer.u32(refs.length);
  for (const ref of refs) {
    writer.hex(ref.id, HASH_BYTES);
    writer.u32(ref.length);
  }
  return writer.slice();
}

/** @param level 1 if the children are leaves */
export function encodeRefsInner(level: number, children: readonly RefsChild[]): Uint8Array {
  const writer = new ByteWriter(children.length * 52 + 8);
  writer.u8(INNER);
  writer.u8(level);
  writer.u32(children.length);
  for (const child of children) {
    writer.hex(child.id, HASH_BYTES);
    writer.u32(child.length);
    writer.safe64(child.blocks);
    writer.safe64(child.bytes);
  }
  return writer.slice();
}

/** @throws LowtideError `damaged-page` */
export function decodeRefsPage(payload: Uint8Array): RefsPage {
  const reader = new ByteReader(payload, 'damaged-page', 'a page of refs');
  const kind = reader.u8();
  if (kind === LEAF) {
    const count = reader.u32();
    const refs: Ref[] = [];
    for (let i = 0; i < count; i++)
      refs.push({ id: reader.hex(HASH_BYTES) as BlockId, length: reader.u32() });
    reader.end();
    return { kind: 'leaf', refs };
  }
  if (kind !== INNER) throw reader.damaged('an unknown kind of page');
  const level = reader.u8();
  const count = reader.u32();
  if (level === 0 || level > LEVELS_MAX || count === 0)
    throw reader.damaged('an inner page without children');
  const children: RefsChild[] = [];
  for (let i = 0; i < count; i++) {
    const id = reader.hex(HASH_BYTES) as BlockId;
    children.push({ id, length: reader.u32(), blocks: reader.safe64(), bytes: reader.safe64() });
  }
  reader.end();
  return { kind: 'inner', level, children };
}
