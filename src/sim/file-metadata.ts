import type { Metadata, MetadataRefusal } from '../world/target/ports.ts';
import type { FileInode } from './file-inode.ts';
import type { SimulatedFiles } from './file-system.ts';

const SET_ID_BITS = 0o6000;

/** RestoreTarget.applyMetadata on one inode, refusing what the real one refuses to who is not root. */
export function applyMetadata(
  files: SimulatedFiles,
  inode: FileInode,
  shown: string,
  metadata: Metadata,
): MetadataRefusal[] {
  if (inode.type !== metadata.type) {
    const message = `${shown} is a ${inode.type}, not a ${metadata.type}`;
    return (['owner', 'mode', 'times'] as const).map((what) => ({ what, message }));
  }
  const refused: MetadataRefusal[] = [];
  const { uid, gid } = { uid: metadata.uid ?? inode.uid, gid: metadata.gid ?? inode.gid };
  const foreign = inode.uid !== uid || inode.gid !== gid;
  if (!foreign || files.superuser) {
    inode.uid = uid;
    inode.gid = gid;
  } else {
    refused.push({ what: 'owner', message: `${shown}: owner not set: only root may give files away` });
  }
  const ownerless = refused.length > 0;
  if (inode.type !== 'symlink') {
    inode.mode = ownerless ? metadata.mode & ~SET_ID_BITS : metadata.mode;
    if (inode.mode !== metadata.mode) {
      refused.push({ what: 'mode', message: `${shown}: mode not set: without its owner no set-id bits` });
    }
  }
  if (metadata.xattrs !== undefined && files.keepsAttributes) {
    inode.xattrs = new Map(metadata.xattrs.map(({ name, value }) => [name, value]));
  } else if (metadata.xattrs !== undefined && metadata.xattrs.length > 0) {
    const names = metadata.xattrs.map(({ name }) => name).join(', ');
    const message = `${shown}: extended attributes not set: ${names}: not supported (EOPNOTSUPP)`;
    refused.push({ what: 'extended attributes', message });
  }
  inode.mtime = metadata.mtime;
  inode.ctime = files.time();
  return refused;
}

/** RestoreTarget.setFlags on one inode. */
export function setFlags(
  files: SimulatedFiles,
  inode: FileInode,
  shown: string,
  flags: number,
): MetadataRefusal[] {
  if (!files.keepsAttributes && flags !== 0) {
    return [{ what: 'flags', message: `${shown}: flags not set: this file system has none` }];
  }
  inode.flags = flags;
  inode.ctime = files.time();
  return [];
}
