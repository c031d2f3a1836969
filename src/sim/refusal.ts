import { systemError } from '../world/system/errno.ts';

const numbers = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  EACCES: 13,
  EEXIST: 17,
  ENOTDIR: 20,
  EISDIR: 21,
  ENOSPC: 28,
  EROFS: 30,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EDQUOT: 122,
};

export type Refusal = keyof typeof numbers;

/** The error of a system call, as the real ports get it from the kernel. */
export function refusal(name: Refusal, what: string): Error {
  return systemError(name, numbers[name], what);
}
