/**
 * The gear hash of format F12 over a tile of a file, compiled to WebAssembly. Its plain twin is
 * src/world/threads/gear-kernel.ts#plainGear: both give the same candidates, which a test shows.
 *
 * The hash at a position depends on the 32 bytes up to it alone, so the four quarters of a tile are looked through at
 * once: four chains of additions that do not wait for each other.
 */

/** 256 words: the keyed gear table. */
export const GEAR_AT: usize = 0;
/** Four words: how many candidates each quarter has. */
export const COUNTS_AT: usize = 1024;
/** The tile. Up to 31 bytes that come before it in the file stand before it here. */
export const TILE_AT: usize = 2048;
export const TILE_BYTES: usize = 131072;
/** Candidates as words, ascending, for each quarter in a quarter of this: room for one at every byte. */
export const FOUND_AT: usize = TILE_AT + TILE_BYTES;
export const QUARTER_FOUND_BYTES: usize = TILE_BYTES + 16;

const WINDOW: usize = 32;

// @ts-ignore: decorator
@inline
function step(hash: u32, at: usize): u32 {
  return (hash << 1) + load<u32>(GEAR_AT + ((<usize>load<u8>(at)) << 2));
}

/** The hash of the bytes from `from` up to `at`. */
function warm(from: usize, at: usize): u32 {
  let hash: u32 = 0;
  for (let p = from; p < at; p++) hash = step(hash, p);
  return hash;
}

// @ts-ignore: decorator
@inline
function found(out: usize, at: usize, hash: u32, strict: u32): usize {
  store<u32>(out, (<u32>(at + 1 - TILE_AT) << 1) | <u32>(hash >>> strict == 0));
  return out + 4;
}

// @ts-ignore: decorator
@inline
function count(quarter: usize, out: usize): void {
  const start = FOUND_AT + quarter * QUARTER_FOUND_BYTES;
  store<u32>(COUNTS_AT + (quarter << 2), <u32>((out - start) >>> 2));
}

/**
 * Finds the candidates after each of the first `length` bytes of the tile: twice the number of bytes before the cut,
 * plus 1 if strict.
 * @param known bytes before the tile that count, at most 31
 * @param loose a hash below 2^loose is a candidate
 * @param strict a candidate whose hash has no bit from this one up is strict
 */
export function scan(length: usize, known: usize, loose: u32, strict: u32): void {
  const limit: u32 = 1 << loose;
  const quarter = length >>> 2;
  const a = TILE_AT;
  const b = a + quarter;
  const c = b + quarter;
  const d = c + quarter;
  const first = a - known;
  const before = WINDOW - 1;
  let ha = warm(first, a);
  let hb = warm(b - first < before ? first : b - before, b);
  let hc = warm(c - first < before ? first : c - before, c);
  let hd = warm(d - first < before ? first : d - before, d);
  let oa = FOUND_AT;
  let ob = oa + QUARTER_FOUND_BYTES;
  let oc = ob + QUARTER_FOUND_BYTES;
  let od = oc + QUARTER_FOUND_BYTES;
  for (let i: usize = 0; i < quarter; i++) {
    ha = step(ha, a + i);
    hb = step(hb, b + i);
    hc = step(hc, c + i);
    hd = step(hd, d + i);
    if (ha < limit) oa = found(oa, a + i, ha, strict);
    if (hb < limit) ob = found(ob, b + i, hb, strict);
    if (hc < limit) oc = found(oc, c + i, hc, strict);
    if (hd < limit) od = found(od, d + i, hd, strict);
  }
  const end = a + length;
  for (let p = d + quarter; p < end; p++) {
    hd = step(hd, p);
    if (hd < limit) od = found(od, p, hd, strict);
  }
  count(0, oa);
  count(1, ob);
  count(2, oc);
  count(3, od);
}
