import { HOUR_MS, MINUTE_MS, SECOND_MS } from './time.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Every bound of the system. The simulator runs the same code on `tinyLimits`, so that rare paths run often. */
export interface Limits {
  /** Chunk sizes are part of a domain's suite (format F11): changing them ends deduplication with what is stored. */
  readonly chunk_bytes_min: number;
  /** A power of two. */
  readonly chunk_bytes_average: number;
  readonly chunk_bytes_max: number;
  /** A run of small chunks is closed before it would exceed this. */
  readonly block_plain_bytes: number;
  /** Mean length of a closed run of small chunks is about this. */
  readonly block_run_bytes_average: number;
  /** No reader accepts a block (of any type) larger than this, sealed or plain. */
  readonly block_bytes_max: number;
  readonly inline_bytes_max: number;
  /** Names and values of all extended attributes of one entry; what is beyond is left out and told. */
  readonly xattr_bytes_max: number;
  /** Extents that one tree entry carries before a continuation entry starts. */
  readonly entry_extents_max: number;
  /** A leaf or inner page ends with probability 1/this at each key. */
  readonly tree_page_entries_average: number;
  readonly tree_page_entries_max: number;
  readonly tree_page_bytes_max: number;
  readonly refs_page_entries_average: number;
  readonly refs_page_entries_max: number;
  readonly pack_bytes: number;
  /**
   * Blocks are made durable in groups of about this many bytes, one fsync a group; a writer holds two of them in memory.
   */
  readonly flush_bytes: number;
  /** What all writers of a depot together fill before they make smaller groups durable; as much again is being made so. */
  readonly unflushed_bytes: number;
  readonly manifest_bytes_max: number;
  readonly keyring_bytes_max: number;
  /** Ids in one `missing` message. */
  readonly ids_per_message: number;
  readonly page_rows: number;
  /** argon2id (RFC 9106): the second recommended profile in production. */
  readonly argon2_memory_KiB: number;
  readonly argon2_passes: number;
  readonly argon2_lanes: number;
  /** What a reader accepts from a keyring at most: a hostile one must not force more. */
  readonly argon2_memory_KiB_max: number;
  readonly argon2_passes_max: number;
  readonly argon2_lanes_max: number;
  /** A file read within this time of its own mtime or ctime is unsettled. */
  readonly unsettled_ms: number;
  readonly file_read_bytes: number;
  readonly torn_read_attempts: number;
  readonly spool_bytes_default: number;
  readonly heartbeat_ms: number;
  /** Reconnect back-off of an uplink. */
  readonly retry_ms_min: number;
  readonly retry_ms_max: number;
  /** What a node above thinks of what waits there may change without a word; it is asked again after this. */
  readonly ask_ms: number;
  /** The collector looks at its plan at least this often. */
  readonly plan_interval_ms: number;
  /** What a node tells of when turns will come is not foreseen anew before it is so old. */
  readonly foresee_ms: number;
  /** After it has kept up with what is new, or freed, a node rests so long: what comes meanwhile is done in one go. */
  readonly gather_ms: number;
  /** An order without a byte for this long is given to somebody else. */
  readonly order_idle_ms: number;
  readonly token_lifetime_ms: number;
}

export const limits: Limits = {
  chunk_bytes_min: 256 * KiB,
  chunk_bytes_average: MiB,
  chunk_bytes_max: 4 * MiB,
  block_plain_bytes: MiB,
  block_run_bytes_average: 512 * KiB,
  block_bytes_max: 8 * MiB,
  inline_bytes_max: 64,
  xattr_bytes_max: MiB,
  entry_extents_max: 64,
  tree_page_entries_average: 200,
  tree_page_entries_max: 1600,
  tree_page_bytes_max: 2 * MiB,
  refs_page_entries_average: 224,
  refs_page_entries_max: 1792,
  pack_bytes: 64 * MiB,
  flush_bytes: 8 * MiB,
  unflushed_bytes: 20 * MiB,
  manifest_bytes_max: 64 * KiB,
  keyring_bytes_max: 256 * KiB,
  ids_per_message: 65_536,
  page_rows: 1000,
  argon2_memory_KiB: 64 * KiB,
  argon2_passes: 3,
  argon2_lanes: 4,
  argon2_memory_KiB_max: 1024 * KiB,
  argon2_passes_max: 16,
  argon2_lanes_max: 16,
  unsettled_ms: 2 * SECOND_MS,
  file_read_bytes: 4 * MiB,
  torn_read_attempts: 3,
  spool_bytes_default: 20 * 1024 * MiB,
  heartbeat_ms: 15 * SECOND_MS,
  retry_ms_min: SECOND_MS,
  retry_ms_max: 5 * MINUTE_MS,
  ask_ms: HOUR_MS,
  plan_interval_ms: MINUTE_MS,
  foresee_ms: SECOND_MS,
  gather_ms: SECOND_MS / 4,
  order_idle_ms: 2 * MINUTE_MS,
  token_lifetime_ms: HOUR_MS,
};

/** 4 KiB blocks, weak key derivation: a night in milliseconds. */
export const tinyLimits: Limits = {
  ...limits,
  chunk_bytes_min: KiB,
  chunk_bytes_average: 4 * KiB,
  chunk_bytes_max: 16 * KiB,
  block_plain_bytes: 4 * KiB,
  block_run_bytes_average: 2 * KiB,
  block_bytes_max: 256 * KiB,
  inline_bytes_max: 16,
  xattr_bytes_max: 4 * KiB,
  entry_extents_max: 4,
  tree_page_entries_average: 4,
  tree_page_entries_max: 32,
  tree_page_bytes_max: 64 * KiB,
  refs_page_entries_average: 4,
  refs_page_entries_max: 32,
  pack_bytes: 64 * KiB,
  flush_bytes: 16 * KiB,
  unflushed_bytes: 64 * KiB,
  ids_per_message: 16,
  page_rows: 5,
  argon2_memory_KiB: 8,
  argon2_passes: 1,
  argon2_lanes: 1,
  file_read_bytes: 16 * KiB,
  spool_bytes_default: 4 * MiB,
};
