/**
 * What every Files must do.
 *
 *   filesConformance(name, make, { owners, devices, holes, longPaths, futureTimes, attributes })
 *
 * `make()` gives a Files and the path of a directory that exists and is empty. `meddle` is what somebody else does to
 * the tree meanwhile: `rename` replaces nothing, `remove` takes whole trees. `dispose` is called after the test. The
 * trees are built through the port's own RestoreTarget. The options say what an implementation (or the user it runs
 * as) can do; all default to true.
 */
import { describe, test } from 'node:test';
import type { PathKey } from '../../src/model/paths.ts';
import type { Files } from '../../src/world/ports.ts';
import { attributesConformance } from './files-attributes.ts';
import { metadataConformance } from './files-metadata.ts';
import { sourceConformance } from './files-source.ts';
import { targetConformance } from './files-target.ts';

export interface FilesUnderTest {
  readonly files: Files;
  readonly root: PathKey;
  readonly meddle: {
    rename(from: PathKey, to: PathKey): Promise<void>;
    remove(path: PathKey): Promise<void>;
  };
  dispose?(): Promise<void>;
}

export interface FilesOptions {
  /** May give files to others (root). */
  readonly owners?: boolean;
  /** May make device nodes (root). */
  readonly devices?: boolean;
  /** Tells holes from data. */
  readonly holes?: boolean;
  /** Reaches paths of more than 4096 bytes. */
  readonly longPaths?: boolean;
  /** Keeps times after 2038. */
  readonly futureTimes?: boolean;
  /** Its file system has extended attributes and inode flags. */
  readonly attributes?: boolean;
}

export type OnFiles = (
  what: string,
  run: (files: Files, root: PathKey, meddle: FilesUnderTest['meddle']) => Promise<void>,
) => void;

export function filesConformance(
  name: string,
  make: () => Promise<FilesUnderTest>,
  options: FilesOptions = {},
): void {
  const can = {
    owners: true,
    devices: true,
    holes: true,
    longPaths: true,
    futureTimes: true,
    attributes: true,
    ...options,
  };
  const on: OnFiles = (what, run) => {
    test(what, async () => {
      const made = await make();
      try {
        await run(made.files, made.root, made.meddle);
      } finally {
        await made.dispose?.();
      }
    });
  };
  describe(`Files: ${name}`, () => {
    sourceConformance(on, can);
    targetConformance(on, can);
    metadataConformance(on, can);
    attributesConformance(on, can);
  });
}
