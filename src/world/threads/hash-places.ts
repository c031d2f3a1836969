/** How a HashThread and its thread count. Apart from both: who imports the thread's file becomes one. */
export const DIGEST_BYTES = 32;
/** Numbers that say where a part is: which buffer, offset, length. */
export const PLACE = 3;
