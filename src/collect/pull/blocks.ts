import { checkBlockId, HEADER_BYTES, parseBlockHeader, type SealedBlock } from '../../format/block.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import { type BlockId, type DomainKeyId, shortId, type SnapshotId } from '../../model/ids.ts';
import { untilStopped } from '../../model/stopping.ts';
import type { World } from '../../world/ports.ts';
import type { OpenSource, PullWork } from './parts.ts';
import { isSourceTrouble } from './patience.ts';
import { receiveBlocks } from '../receiving.ts';

export interface Wanted {
  readonly scope: SnapshotId;
  readonly sources: readonly OpenSource[];
  readonly domains: ReadonlySet<DomainKeyId>;
  readonly ids: readonly BlockId[];
}

export interface Fetched {
  /** Durable now. */
  readonly blocks: number;
  readonly bytes: number;
  /** What kept the last source from answering; null if all have said what they have. */
  readonly trouble: LowtideError | null;
  /** What came and was no good, by the first of each source. */
  readonly refused: readonly string[];
}

/** Asks one source after another for what those before did not give. Ends early when the hours of the pull are over. */
export async function fetchBlocks(work: PullWork, wanted: Wanted): Promise<Fetched> {
  const { collector, budget, stop } = work;
  const { world } = collector.parts;
  const hours = budget.open(stop);
  const lacking = new Set(wanted.ids);
  const refused = new Map<OpenSource, string>();
  let trouble: LowtideError | null = null;
  let [blocks, bytes] = [0, 0];
  try {
    for (const source of wanted.sources) {
      if (lacking.size === 0 || hours.signal.aborted) break;
      trouble = null;
      const refuse = (message: string): void => {
        work.note({ refused: 1 });
        if (!refused.has(source)) refused.set(source, `${source.face.name} gave a bad block: ${message}`);
      };
      const from = soundBlocks(work, source, { ...wanted, ids: [...lacking] }, hours.signal, refuse);
      const stored = receiveBlocks(collector.writers, {
        from,
        domains: wanted.domains,
        world,
        stop: hours.signal,
        onBlock: () => {},
        working: (storing) => storing(),
        onDurable: async (durable) => {
          bytes += durable;
          work.note({ bytes: durable });
        },
      });
      try {
        for await (const ids of stored) {
          for (const id of ids) if (lacking.delete(id)) blocks++;
          work.note({ blocks: ids.length });
        }
      } catch (error) {
        if (!isFetchTrouble(error)) throw error;
        trouble = error;
      }
    }
  } finally {
    hours.end();
  }
  return { blocks, bytes, trouble, refused: [...refused.values()] };
}

/** That the source does not have the snapshot any more is no trouble of ours. */
function isFetchTrouble(error: unknown): error is LowtideError {
  if (!isLowtideError(error)) return false;
  return (
    isSourceTrouble(error) ||
    isLowtideError(error, 'no-such-snapshot', 'not-enrolled', 'revoked', 'forbidden')
  );
}

/** Only what was asked for, has the bytes that its id says and is of the client's domains; at the pull's own pace. */
async function* soundBlocks(
  { budget, collector }: PullWork,
  { api }: OpenSource,
  { scope, ids, domains }: Wanted,
  stop: AbortSignal,
  refuse: (message: string) => void,
): AsyncGenerator<SealedBlock> {
  const { world } = collector.parts;
  const { limits } = world;
  const asked = new Set(ids);
  for (let at = 0; at < ids.length && !stop.aborted; at += limits.ids_per_message) {
    const some = ids.slice(at, at + limits.ids_per_message);
    for await (const block of untilStopped(api.fetch(scope, some, stop), stop)) {
      if (!asked.delete(block.id)) continue;
      const { length } = block.bytes;
      let sound: SealedBlock;
      try {
        sound = await checkPulled(block, domains, world);
      } catch (error) {
        if (!isLowtideError(error)) throw error;
        refuse(error.message);
        continue;
      }
      yield sound;
      await budget.spend(length, stop);
    }
  }
}

async function checkPulled(
  pulled: SealedBlock,
  domains: ReadonlySet<DomainKeyId>,
  { work, limits }: World,
): Promise<SealedBlock> {
  const block = await checkBlockId(work, pulled);
  const header = parseBlockHeader(block.bytes, limits.block_bytes_max);
  if (block.bytes.length !== HEADER_BYTES + header.sealedLength) {
    throw new LowtideError(
      'damaged-block',
      `block ${shortId(block.id)} has another length than its header says`,
    );
  }
  if (!domains.has(header.domain)) {
    throw new LowtideError('forbidden', `block ${shortId(block.id)} belongs to another key domain`);
  }
  return block;
}
