import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { examine, type Finding } from '../../src/cli/doctor/examine.ts';
import { nativeLoader } from '../../src/world/system/native.ts';
import type { Metadata, RestoreTarget } from '../../src/world/target/ports.ts';
import { realWorld } from '../../src/world/real-world.ts';
import { tinyLimits } from '../../src/model/limits.ts';
import { collectingMonitor } from '../support/monitor.ts';
import { lowtide } from './kit.ts';

const folder = mkdtempSync(join(tmpdir(), 'lowtide-doctor-test-'));
after(() => rmSync(folder, { recursive: true }));

test('P2: doctor finds nothing lost on this file system, says it of each kind, and leaves nothing behind', async () => {
  writeFileSync(join(folder, 'mine'), 'mine');
  const ran = await lowtide(['doctor', folder, '--json']);
  assert.deepEqual([ran.exit, ran.stderr], [0, '']);
  const kinds = ran.messages.filter(({ message_type }) => message_type === 'kind') as unknown as Finding[];
  assert.ok(kinds.length > 40);
  assert.deepEqual(
    kinds.filter(({ result }) => result === 'not kept'),
    [],
  );
  const kept = kinds.filter(({ result }) => result === 'kept').map(({ group }) => group);
  for (const group of ['content', 'names', 'types', 'links', 'times', 'modes'] as const)
    assert.ok(kept.includes(group), group);
  assert.equal(ran.message('summary')['not_kept'], 0);
  assert.deepEqual(readdirSync(folder), ['mine']);
});

test('doctor refuses what is no folder', async () => {
  const [file, nothing] = [
    await lowtide(['doctor', join(folder, 'mine')]),
    await lowtide(['doctor', join(folder, 'no')]),
  ];
  assert.deepEqual([file.exit, nothing.exit], [1, 1]);
  assert.match(file.stderr, /is no folder/);
  assert.match(nothing.stderr, /no such file/);
});

test('a restore that drops extended attributes and sets no times is found out', async () => {
  const world = realWorld({ monitor: collectingMonitor(), limits: tinyLimits });
  const now = (metadata: Metadata): Metadata => ({ ...metadata, xattrs: [], mtime: 5n });
  const openTarget = async (...root: Parameters<typeof world.files.openTarget>): Promise<RestoreTarget> => {
    const target = await world.files.openTarget(...root);
    const [create, apply] = [target.createFile.bind(target), target.applyMetadata.bind(target)];
    target.applyMetadata = (path, metadata) => apply(path, now(metadata));
    const write = target.writeContent.bind(target);
    target.writeContent = (batch) => {
      const files = batch.files.map((file) => ({ ...file, metadata: now(file.metadata) }));
      return write({ ...batch, files });
    };
    target.createFile = async (path) => {
      const file = await create(path);
      const finish = file.finish.bind(file);
      file.finish = (size, replace, metadata) =>
        finish(size, replace, metadata === null ? null : now(metadata));
      return file;
    };
    return target;
  };
  const native = nativeLoader()().attributes;
  const lossy = { ...world, files: { ...world.files, openTarget } };
  try {
    const findings = await examine(lossy, native, folder, new AbortController().signal);
    const lost = findings.filter(({ result }) => result === 'not kept');
    assert.deepEqual(
      new Set(lost.map(({ group }) => group)),
      new Set(['times', ...(findings.some(attributesWork) ? ['attributes'] : [])]),
    );
    assert.match(
      lost.find(({ group }) => group === 'times')!.detail,
      /^5 ns instead of 1700000000123456789 ns$/,
    );
    assert.deepEqual(readdirSync(folder), ['mine']);
  } finally {
    await world.close();
  }
});

const attributesWork = ({ group, result }: Finding): boolean =>
  group === 'attributes' && result !== 'not supported';
