import { createHash } from 'node:crypto';
import { signManifest, type Manifest, type SignedManifest } from '../../src/format/manifest.ts';
import { clientIdOf, instanceIdOf, type SigningKey, signingKeyFromSeed } from '../../src/format/signing.ts';
import { markSafe, oweCopy, setPhase } from '../../src/ledger/copies.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { addSnapshot, type SnapshotFacts } from '../../src/ledger/snapshots.ts';
import type { CopyPhase } from '../../src/model/exchange.ts';
import type { BlockId, CenterId, KeyringHash, SnapshotId } from '../../src/model/ids.ts';
import { SimulatedNode } from '../../src/sim/node.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { SqlConnection, SqlValue, World } from '../../src/world/ports.ts';

export const PATH = '/ledger.db';
export const OSLO = '11'.repeat(16) as CenterId;
export const ROME = '22'.repeat(16) as CenterId;

export const keyOf = (name: string): SigningKey =>
  signingKeyFromSeed(createHash('sha256').update(name).digest());
const ANN = keyOf('ann');
export const ANNS_INSTANCE = instanceIdOf(ANN.publicKey);
export const ANNS_CLIENT = clientIdOf(ANN.publicKey);

export function newMachine(seed = 1): SimulatedNode {
  return new SimulatedNode(new Simulation({ seed, interleave: 0 }), { name: 'node' });
}

export async function newLedger(): Promise<Ledger> {
  return await Ledger.open(newMachine().boot(), PATH);
}

/** A signed manifest that is like any other but for these fields. */
export function manifestOf(fields: Partial<Manifest> = {}, key: SigningKey = ANN): SignedManifest {
  return signManifest(
    {
      client: clientIdOf(key.publicKey),
      instance: instanceIdOf(key.publicKey),
      job: 'home',
      sequence: 1,
      previous: null,
      base: null,
      takenAt: 1_000_000,
      refs: { id: 'aa'.repeat(32) as BlockId, length: 10, blocks: 1, bytes: 10 },
      tree: { id: 'bb'.repeat(32) as BlockId, length: 10, entries: 1, bytes: 10 },
      keyring: 'cc'.repeat(32) as KeyringHash,
      complete: true,
      counts: { files: 1, directories: 1, others: 0, bytes: 10, problems: 0 },
      labels: { roots: ['/home/ann', '/srv'] },
      sealed: new Uint8Array(40),
      ...fields,
    },
    key,
  );
}

export interface RowSpec extends Partial<Manifest> {
  readonly key?: SigningKey;
  readonly facts?: Partial<SnapshotFacts>;
  /** Phase of the copy at each center. */
  readonly at?: Readonly<Record<CenterId, CopyPhase>>;
}

/** Puts a snapshot with its copies into the ledger. */
export async function addRow(
  ledger: Ledger,
  { key, facts, at = {}, ...fields }: RowSpec,
): Promise<SnapshotId> {
  const signed = manifestOf(fields, key);
  const { db } = ledger;
  await addSnapshot(db, signed, { newBytes: 10, newBlocks: 1, packGroup: null, knownAt: 1, ...facts });
  for (const [id, phase] of Object.entries(at)) {
    const copy = { snapshot: signed.id, center: id as CenterId };
    await oweCopy(db, copy.snapshot, copy.center, 1);
    if (phase === 'safe') await markSafe(db, { ...copy, receipt: new Uint8Array(3), arrivedAt: 2 }, 2);
    else await setPhase(db, { ...copy, phase, code: '', until: null }, 2);
  }
  return signed.id;
}

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
}

/** The same World, telling of every statement that is run. */
export function recordingWorld(world: World, statements: Statement[]): World {
  const recording = (connection: SqlConnection): SqlConnection => ({
    execute: (sql, parameters) => {
      statements.push({ sql, parameters });
      return connection.execute(sql, parameters);
    },
    close: () => connection.close(),
  });
  const databases: World['databases'] = {
    open: async (path) => recording(await world.databases.open(path)),
    openReadOnly: async (path) => recording(await world.databases.openReadOnly(path)),
  };
  return { ...world, databases };
}
