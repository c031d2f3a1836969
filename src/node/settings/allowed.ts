/**
 * Whether a machine's owner lets a program be run: `allow` has its path, or a folder with a slash at its end that it is
 * in. Whatever else it is called by, is not.
 */
export function isAllowed(allow: readonly string[], program: string): boolean {
  const plain = program.startsWith('/') && !program.split('/').includes('..');
  return plain && allow.some((line) => (line.endsWith('/') ? program.startsWith(line) : program === line));
}
