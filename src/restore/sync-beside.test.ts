import assert from 'node:assert/strict';
import { buildSnapshot } from '../../test/support/build-snapshot.ts';
import { inPlace, restoreIn, simulatedPlace } from '../../test/support/restore-places.ts';
import { tinyLimits } from '../model/limits.ts';

inPlace(
  'a large file is made durable beside the work, not all of it at the end',
  simulatedPlace,
  async (place) => {
    const length = 150 * tinyLimits.chunk_bytes_max;
    const content = Buffer.from(Array.from({ length }, (_, at) => (at * at) % 251));
    let writes = 0;
    const syncedAt: number[] = [];
    place.node!.simulation.observe(({ kind }) => {
      if (kind === 'files.write') writes++;
      if (kind === 'files.sync') syncedAt.push(writes);
      return undefined;
    });
    const report = await restoreIn(place, await buildSnapshot([{ path: 'large', content }]));
    assert.equal(report.bytes, length);
    assert.equal(syncedAt.pop(), writes, 'the last sync comes after all writes');
    const beforeTheEnd = syncedAt.at(-1) ?? 0;
    assert.ok(writes > 100 && beforeTheEnd > writes / 2, `${beforeTheEnd} of ${writes} writes`);
  },
);
