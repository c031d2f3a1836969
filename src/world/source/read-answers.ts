/** What Files.readSmall says of a file. Its bytes are in place, and its stat was the expected one before and after. */
export const READ = 1;
/** The same, and it has no extended attributes and no flags that are kept. */
export const READ_AND_BARE = 2;
