/** Every kind of disk takes past the page cache what begins and ends, in the file and in memory, at multiples of this. */
export const DISK_PAGE_BYTES = 4096;
