import type { Entry } from '../model/entries.ts';
import type { MetadataRefusal } from '../world/ports.ts';
import type { FileInode } from './file-inode.ts';
import type { SimulatedFiles } from './file-system.ts';

const SET_ID_BITS = 0o6000;

/** RestoreTarget.applyMetadata on one inode, refusing what the real one refuses to who is not root. */
export function applyMetadata(
  files: SimulatedFiles,
  inode: FileInode,
  shown: string,
  entry: Entry,
): MetadataRefusal[] {
  if (inode.type !== entry.type) {
    const message = `${shown} is a ${inode.type}, not a ${entry.type}`;
    return (['owner', 'mode', 'times'] as const).map((what) => ({ what, message }));
  }
  const refused: MetadataRefusal[] = [];
  const foreign = inode.uid !== entry.uid || inode.gid !== entry.gid;
  if (!foreign || files.superuser) {
    inode.uid = entry.uid;
    inode.gid = entry.gid;
  } else {
    refused.push({ what: 'owner', message: `${shown}: owner not set: only root may give files away` });
  }
  const ownerless = refused.length > 0;
  if (inode.type !== 'symlink') {
    inode.mode = ownerless ? entry.mode & ~SET_ID_BITS : entry.mode;
    if (inode.mode !== entry.mode) {
      refused.push({ what: 'mode', message: `${shown}: mode not set: without its owner no set-id bits` });
    }
  }
  inode.mtime = entry.mtime;
  inode.ctime = files.time();
  return refused;
}
