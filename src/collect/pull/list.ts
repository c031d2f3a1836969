import { checkManifest, parseManifest, type SignedManifest } from '../../format/manifest.ts';
import { openReceipt } from '../../format/receipt.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import type { CopyRecord } from '../../model/exchange.ts';
import type { CenterId, SnapshotId } from '../../model/ids.ts';
import type { UnixMillis } from '../../model/time.ts';
import { rowsOf } from '../../protocol/pages.ts';
import type { OpenSource, PulledClient, PullWork } from './parts.ts';

/** A snapshot that some source says it has. Small, because a client may have had many. */
export interface Listed {
  readonly id: SnapshotId;
  /** Instance and job. */
  readonly chain: string;
  readonly sequence: number;
  readonly sources: OpenSource[];
  /** Receipts of other centers, checked. */
  readonly receipts: Map<CenterId, OtherReceipt>;
}

export interface OtherReceipt {
  readonly receipt: Uint8Array;
  readonly arrivedAt: UnixMillis;
}

/** The snapshots of one client that the sources have, chain by chain, bases first. */
export async function listSnapshotsOf(work: PullWork, client: PulledClient): Promise<Listed[]> {
  const found = new Map<SnapshotId, Listed>();
  const lost = new Map<SnapshotId, OpenSource>();
  for (const source of work.sources) {
    for await (const row of copiesAt(source, client)) {
      if (work.stop.aborted) return [];
      const known = found.get(row.snapshot) ?? listed(work, client, row);
      if (known === null && row.manifest === null && has(source, row)) lost.set(row.snapshot, source);
      if (known === null) continue;
      found.set(row.snapshot, known);
      if (has(source, row) && !known.sources.includes(source)) known.sources.push(source);
      noteReceipt(work, source, known, row);
    }
  }
  for (const [snapshot, { face }] of lost) {
    // A relay keeps few manifests; a center that receipted a snapshot should have its.
    if (found.has(snapshot) || face.kind === 'relay') continue;
    const message = `${face.name} has lost its manifest`;
    work.problem({ client: client.known.client, snapshot, code: 'damaged-manifest', message });
  }
  return [...found.values()]
    .filter(({ sources }) => sources.length > 0)
    .toSorted((a, b) => compare(a.chain, b.chain) || a.sequence - b.sequence || compare(a.id, b.id));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const copiesAt = ({ api }: OpenSource, { known: { client } }: PulledClient): AsyncGenerator<CopyRecord> =>
  rowsOf((after) => api.copies({ client, manifests: true, ...(after !== null && { after }) }));

/** A center has what it has receipted. A relay may have anything, or get it from above. */
function has({ face }: OpenSource, row: CopyRecord): boolean {
  return face.kind === 'relay' || (row.center === face.id && row.phase === 'safe');
}

/** Null if the row has no manifest of this client that counts. */
function listed(work: PullWork, client: PulledClient, row: CopyRecord): Listed | null {
  if (row.manifest === null) return null;
  try {
    const { id, manifest } = openPulled(client, row.snapshot, row.manifest);
    const { instance, job, sequence } = manifest;
    return { id, chain: `${instance}/${job}`, sequence, sources: [], receipts: new Map() };
  } catch (error) {
    if (!isLowtideError(error)) throw error;
    const { code, message } = error;
    work.problem({ client: client.known.client, snapshot: row.snapshot, code, message });
    return null;
  }
}

/**
 * A manifest is this client's if an instance signed it that the client id names, or that its keyrings name.
 * @throws LowtideError `damaged-manifest`, `wrong-signature`
 */
export function openPulled(client: PulledClient, id: SnapshotId, bytes: Uint8Array): SignedManifest {
  const signed = parseManifest(bytes);
  const { manifest } = signed;
  const key = client.instances.get(manifest.instance);
  if (key === undefined || manifest.client !== client.known.client) {
    throw new LowtideError('wrong-signature', `no key of ${client.known.name} has signed this manifest`);
  }
  checkManifest(signed, key);
  if (signed.id !== id)
    throw new LowtideError('damaged-manifest', 'this is the manifest of another snapshot');
  return signed;
}

/** Kept as information: nothing here depends on it. */
function noteReceipt(
  work: PullWork,
  { centers }: OpenSource,
  known: Listed,
  { center, receipt: bytes }: CopyRecord,
): void {
  const face = centers.find(({ id }) => id === center);
  if (bytes === null || face === undefined || center === work.collector.parts.center.id) return;
  try {
    const receipt = openReceipt(bytes, face.receiptKey);
    if (receipt.snapshot !== known.id || receipt.kind !== 'center') return;
    known.receipts.set(center, { receipt: bytes, arrivedAt: receipt.receivedAt });
  } catch (error) {
    if (!isLowtideError(error)) throw error;
  }
}
