/** One stage of a backup, done alone for a while: what a thread of bench/stages.ts runs. */
import { createCipheriv, createHash, createHmac } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { constants, zstdCompressSync } from 'node:zlib';
import { freeAtOnce } from '../src/model/bytes.ts';
import { loadKernels } from '../src/world/threads/kernels.ts';
import { randomBytes, seeded, TextMaker } from '../scripts/trees/seeded.ts';

const MB = 1_000_000;
const BLOCK_BYTES = 1 << 20;
const LEAST_MS = 700;

interface Stage {
  readonly what: string;
  readonly unit: string;
  /** Does it once, and says how much that was. */
  prepare(place: string, number: number): () => number;
}

const blocks =
  (run: (block: Uint8Array) => void, content = noise): Stage['prepare'] =>
  () => {
    const block = content();
    return () => {
      run(block);
      return block.length / MB;
    };
  };

function shared(bytes: Uint8Array): Uint8Array {
  const block = new Uint8Array(new SharedArrayBuffer(bytes.length));
  block.set(bytes);
  return block;
}

function noise(): Uint8Array {
  return shared(randomBytes(seeded('stage'), BLOCK_BYTES));
}

function prose(): Uint8Array {
  return shared(new TextMaker(seeded('stage')).make(BLOCK_BYTES));
}

const key = Buffer.alloc(32, 7);

function compress(level: number): (block: Uint8Array) => void {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  return (block) => {
    freeAtOnce(zstdCompressSync(block, { chunkSize: block.length + (block.length >>> 8) + 128, params }));
  };
}

function encrypt(block: Uint8Array): void {
  freeAtOnce(createCipheriv('aes-256-gcm', key, Buffer.alloc(12)).update(block));
}

function treeFiles(place: string): string[] {
  return readdirSync(join(place, 'tree'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function eachFile(run: (path: string, into: Uint8Array) => void): Stage['prepare'] {
  return (place) => {
    const files = treeFiles(place);
    const into = new Uint8Array(new SharedArrayBuffer(BLOCK_BYTES));
    return () => {
      for (const path of files) run(path, into);
      return files.length;
    };
  };
}

function readWhole(path: string, into: Uint8Array): void {
  const file = openSync(path, 'r');
  const { size } = fstatSync(file, { bigint: true });
  readSync(file, into, 0, Number(size), 0);
  fstatSync(file, { bigint: true });
  closeSync(file);
}

/** A file of 64 MB, written and made durable in groups as a pack is; removed when the thread ends. */
function writePack(place: string, number: number): () => number {
  const block = noise();
  return () => {
    const path = join(place, `pack-${number}`);
    const file = openSync(path, 'w');
    for (let written = 1; written <= 64; written++) {
      writeSync(file, block);
      if (written % 16 === 0) fsyncSync(file);
    }
    closeSync(file);
    unlinkSync(path);
    return (64 * BLOCK_BYTES) / MB;
  };
}

function readPack(place: string, number: number): () => number {
  const block = noise();
  const file = openSync(join(place, `read-${number}`), 'w+');
  for (let written = 0; written < 64; written++) writeSync(file, block);
  return () => {
    for (let at = 0; at < 64; at++) readSync(file, block, 0, block.length, at * block.length);
    return (64 * BLOCK_BYTES) / MB;
  };
}

export const STAGES: Readonly<Record<string, Stage>> = {
  lstat: {
    what: 'lstat of small files',
    unit: 'files/s',
    prepare: eachFile((path) => void lstatSync(path, { bigint: true })),
  },
  open: {
    what: 'open, fstat, read, fstat, close of small files',
    unit: 'files/s',
    prepare: eachFile(readWhole),
  },
  read: { what: 'read of a large file, page cache warm', unit: 'MB/s', prepare: readPack },
  cut: {
    what: 'candidates of the chunker, compiled',
    unit: 'MB/s',
    prepare: blocks((block) => void KERNELS.gear.find(block, 0, GEAR, { looseShift: 14, strictShift: 10 })),
  },
  digest: {
    what: 'HMAC-SHA-256',
    unit: 'MB/s',
    prepare: blocks((block) => createHmac('sha256', key).update(block).digest()),
  },
  fast: { what: 'zstd 1, text', unit: 'MB/s', prepare: blocks(compress(1), prose) },
  default: { what: 'zstd 3, text', unit: 'MB/s', prepare: blocks(compress(3), prose) },
  incompressible: { what: 'zstd 3, incompressible', unit: 'MB/s', prepare: blocks(compress(3)) },
  encrypt: { what: 'AES-256-GCM', unit: 'MB/s', prepare: blocks(encrypt) },
  hash: {
    what: 'SHA-256',
    unit: 'MB/s',
    prepare: blocks((block) => createHash('sha256').update(block).digest()),
  },
  write: { what: 'write of a pack, fsync every 16 MiB', unit: 'MB/s', prepare: writePack },
};

const KERNELS = loadKernels();
const GEAR = Uint32Array.from({ length: 256 }, (_, at) =>
  createHash('sha256').update(`${at}`).digest().readUInt32LE(),
);

function timed(once: () => number): { amount: number; ms: number } {
  once();
  const started = performance.now();
  let amount = 0;
  while (performance.now() - started < LEAST_MS) amount += once();
  return { amount, ms: performance.now() - started };
}

if (parentPort !== null) {
  const { name, place, number } = workerData as { name: string; place: string; number: number };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  parentPort.postMessage(timed(STAGES[name]!.prepare(place, number)));
}
