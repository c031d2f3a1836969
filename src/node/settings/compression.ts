/** How hard to compress, as people say it, and the zstd level that it means; 0 is not at all. */
export const COMPRESSION_LEVELS = { off: 0, fast: 1, default: 3, max: 15 } as const;

export type Compression = keyof typeof COMPRESSION_LEVELS;
