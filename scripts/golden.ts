import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { attributeVectors } from './golden/attributes.ts';
import { blockVectors, boxVectors, keyVectors } from './golden/blocks.ts';
import { chunkVectors, groupVectors } from './golden/chunks.ts';
import { domainProofVectors, keyringVectors, sheetVectors } from './golden/keyrings.ts';
import { refsVectors, treeEndVectors, treePageVectors } from './golden/pages.ts';
import { manifestVectors, receiptVectors, voidCenterVectors, voidVectors } from './golden/records.ts';

/**
 * Writes golden vectors that are missing under test/golden/. It never changes one that is there: what format 1 was, it
 * stays. A new file means new vectors, made by the code of today and from then on binding.
 */
const FILES: Record<string, () => unknown> = {
  keys: keyVectors,
  boxes: boxVectors,
  blocks: blockVectors,
  attributes: attributeVectors,
  'tree-pages': treePageVectors,
  'tree-ends': treeEndVectors,
  refs: refsVectors,
  manifests: manifestVectors,
  voids: voidVectors,
  'void-centers': voidCenterVectors,
  receipts: receiptVectors,
  keyrings: keyringVectors,
  'domain-proofs': domainProofVectors,
  'recovery-sheets': sheetVectors,
  chunks: chunkVectors,
  groups: groupVectors,
};

const folder = fileURLToPath(new URL('../test/golden/', import.meta.url));
mkdirSync(folder, { recursive: true });
for (const [name, make] of Object.entries(FILES)) {
  const path = `${folder}${name}.json`;
  if (existsSync(path)) continue;
  const vectors = await make();
  writeFileSync(path, JSON.stringify(vectors, null, 1) + '\n', { flag: 'wx' });
  console.log(`wrote ${path}`);
}
