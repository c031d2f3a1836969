import { crc32 } from 'node:zlib';
import { bytesOfHex, hexOf } from '../../model/bytes.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { BlockId, ChunkDigest } from '../../model/ids.ts';
import type { SqlConnection, SqlValue, World } from '../../world/ports.ts';
import { transactionOn } from '../../world/sql/sql.ts';
import { ChunkBuffer } from './chunk-buffer.ts';
import type { PlacedChunk } from './sequencer.ts';

/** Where a chunk is, or was once: whether the block can still be had is for the caller to find out. */
export interface IndexedPlace {
  readonly block: BlockId;
  /** Bytes of the whole block. */
  readonly blockLength: number;
  readonly offset: number;
  readonly length: number;
}

export interface IndexedBlock {
  readonly id: BlockId;
  readonly length: number;
  readonly chunks: readonly PlacedChunk[];
}

const FORMAT = 1;
const INSERT_ROWS = 64;
const COLUMNS = 5;
/** Chunks in one transaction, in memory until then: each one may touch most pages of the table. */
const BUFFERED = 1 << 18;

const SCHEMA = [
  'CREATE TABLE format (version INTEGER NOT NULL)',
  `INSERT INTO format VALUES (${FORMAT})`,
  'CREATE TABLE blocks (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, length INTEGER NOT NULL)',
  `CREATE TABLE chunks (digest BLOB PRIMARY KEY, block INTEGER NOT NULL, start INTEGER NOT NULL,
    length INTEGER NOT NULL, mark INTEGER NOT NULL) WITHOUT ROWID`,
  'CREATE TABLE covered (tree BLOB PRIMARY KEY) WITHOUT ROWID',
];

const marks = (count: number, one: string): string => Array<string>(count).fill(one).join(', ');
/** By how many digests one looks up: few for what is asked one file at a time. */
const LOOKUPS = [1, 16, 128].map((rows) => ({
  rows,
  sql: `SELECT c.digest, c.start, c.length, c.mark, b.id, b.length AS size FROM chunks c
  JOIN blocks b ON b.number = c.block WHERE c.digest IN (${marks(rows, '?')})`,
}));
const WIDEST = LOOKUPS.at(-1)!;
const insertSql = (rows: number): string =>
  `INSERT OR REPLACE INTO chunks (digest, block, start, length, mark) VALUES ${marks(rows, '(?, ?, ?, ?, ?)')}`;

/**
 * digest -> place, on disk: a cache beside the depot that can be deleted at any time. What a row says stays true for
 * ever, as blocks are named by their content; a row that was damaged fails its checksum and is no answer.
 */
export class ChunkIndex {
  readonly #connection: SqlConnection;
  readonly #buffered: number;
  readonly #waiting = new ChunkBuffer();
  /** Null: not asked yet. */
  #isEmpty: boolean | null = null;
  #waitingBlocks: Pick<IndexedBlock, 'id' | 'length'>[] = [];

  private constructor(connection: SqlConnection, buffered: number) {
    this.#connection = connection;
    this.#buffered = buffered;
  }

  /** Opens it, or makes it anew if there is none or it is no good. */
  static async open(world: World, path: string, buffered = BUFFERED): Promise<ChunkIndex> {
    try {
      return await connect(world, path, (connection) => new ChunkIndex(connection, buffered));
    } catch (error) {
      if (isLowtideError(error) && !isLowtideError(error, 'disk-failed')) throw error;
      await ChunkIndex.remove(world, path);
      return await connect(world, path, (connection) => new ChunkIndex(connection, buffered));
    }
  }

  static async remove(world: World, path: string): Promise<void> {
    for (const ending of ['', '-wal', '-shm', '-journal']) await world.disk.remove(path + ending);
  }

  /** Whether every chunk of this tree is in the index. */
  async covers(tree: BlockId): Promise<boolean> {
    const { rows } = await this.#connection.execute('SELECT 1 FROM covered WHERE tree = ?', [
      bytesOfHex(tree),
    ]);
    return rows.length > 0;
  }

  /** Says that from now on every chunk of these trees is in the index, and nothing of others; durable. */
  async cover(trees: readonly BlockId[]): Promise<void> {
    await this.flush();
    await transactionOn(this.#connection, async () => {
      await this.#connection.execute('DELETE FROM covered', []);
      for (const tree of new Set(trees)) await this.#addCovered(tree);
    });
  }

  async alsoCover(tree: BlockId): Promise<void> {
    await this.flush();
    await this.#addCovered(tree);
  }

  /** What was put is found after the next `flush`. */
  async lookup(digests: readonly ChunkDigest[]): Promise<Map<ChunkDigest, IndexedPlace>> {
    const found = new Map<ChunkDigest, IndexedPlace>();
    this.#isEmpty ??= await this.#hasNothing();
    if (this.#isEmpty) return found;
    const sorted = [...digests].sort();
    for (let at = 0; at < sorted.length; at += WIDEST.rows) {
      const some = sorted.slice(at, at + WIDEST.rows).map(bytesOfHex);
      const lookup = LOOKUPS.find(({ rows }) => rows >= some.length) ?? WIDEST;
      while (some.length < lookup.rows) some.push(some[0]!);
      const { rows } = await this.#connection.execute(lookup.sql, some);
      for (const row of rows) {
        const place = placeOf(row);
        if (place !== null) found.set(hexOf(row['digest'] as Uint8Array) as ChunkDigest, place);
      }
    }
    return found;
  }

  /** Adds what is known of a block; the newest place of a chunk counts. Durable after `flush` or `cover`. */
  async put({ id, length, chunks }: IndexedBlock): Promise<void> {
    const block = this.#waitingBlocks.push({ id, length }) - 1;
    for (const chunk of chunks) this.#waiting.add(block, chunk);
    if (this.#waiting.size >= this.#buffered) await this.flush();
  }

  async flush(): Promise<void> {
    const blocks = this.#waitingBlocks;
    if (blocks.length === 0) return;
    await transactionOn(this.#connection, async () => {
      const known: { readonly number: number; readonly length: number; readonly id: Uint8Array }[] = [];
      for (const block of blocks) {
        const { id, length } = block;
        known.push({ number: await this.#numberOf(block), length, id: bytesOfHex(id) });
      }
      let rows: SqlValue[] = [];
      for (const { digest, block, offset, length } of this.#waiting.sorted()) {
        const { number, id, length: blockLength } = known[block]!;
        rows.push(digest, number, offset, length, checksum(digest, id, blockLength, offset, length));
        if (rows.length < INSERT_ROWS * COLUMNS) continue;
        await this.#connection.execute(insertSql(INSERT_ROWS), rows);
        rows = [];
      }
      for (let at = 0; at < rows.length; at += COLUMNS) {
        await this.#connection.execute(insertSql(1), rows.slice(at, at + COLUMNS));
      }
    });
    this.#waiting.clear();
    this.#waitingBlocks = [];
    this.#isEmpty = null;
  }

  async #hasNothing(): Promise<boolean> {
    const { rows } = await this.#connection.execute('SELECT 1 FROM chunks LIMIT 1', []);
    return rows.length === 0;
  }

  async blocks(): Promise<number> {
    const { rows } = await this.#connection.execute('SELECT count(*) AS blocks FROM blocks', []);
    return Number(rows[0]!['blocks']);
  }

  async close(): Promise<void> {
    this.#waiting.clear();
    this.#waitingBlocks = [];
    await this.#connection.close();
  }

  async #numberOf({ id, length }: Pick<IndexedBlock, 'id' | 'length'>): Promise<number> {
    const sql = `INSERT INTO blocks (id, length) VALUES (?, ?)
      ON CONFLICT (id) DO UPDATE SET length = excluded.length RETURNING number`;
    const { rows } = await this.#connection.execute(sql, [bytesOfHex(id), length]);
    return Number(rows[0]!['number']);
  }

  async #addCovered(tree: BlockId): Promise<void> {
    await this.#connection.execute('INSERT OR IGNORE INTO covered (tree) VALUES (?)', [bytesOfHex(tree)]);
  }
}

async function connect<T>(world: World, path: string, make: (connection: SqlConnection) => T): Promise<T> {
  const connection = await world.databases.open(path);
  try {
    const { rows } = await connection.execute(
      "SELECT count(*) AS tables FROM sqlite_schema WHERE type = 'table'",
      [],
    );
    if (Number(rows[0]!['tables']) === 0) {
      await transactionOn(connection, async () => {
        for (const sql of SCHEMA) await connection.execute(sql, []);
      });
    }
    const format = await connection.execute('SELECT version FROM format', []);
    if (format.rows[0]?.['version'] !== FORMAT) throw new Error('a chunk index of another version');
    return make(connection);
  } catch (error) {
    await connection.close().catch(() => undefined);
    throw error;
  }
}

function placeOf(row: Readonly<Record<string, SqlValue>>): IndexedPlace | null {
  const { digest, id } = row;
  if (!(digest instanceof Uint8Array) || !(id instanceof Uint8Array)) return null;
  const [blockLength, offset, length] = [Number(row['size']), Number(row['start']), Number(row['length'])];
  if (row['mark'] !== checksum(digest, id, blockLength, offset, length)) return null;
  return { block: hexOf(id) as BlockId, blockLength, offset, length };
}

function checksum(digest: Uint8Array, block: Uint8Array, ...numbers: readonly number[]): number {
  return crc32(numbers.join(' '), crc32(block, crc32(digest)));
}
