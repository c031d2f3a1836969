import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jobOf, SmallFleet } from '../../../test/support/fleet-kit.ts';
import { deriveDomainKeys, KeyStore } from '../../format/domain-keys.ts';
import { openManifestDetails } from '../../format/manifest.ts';
import { displayPath } from '../../model/paths.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import { chainName } from './chain-name.ts';

const SECRET = 'divorce-papers';

/** Everything that the center keeps, as one text a byte a character. */
function allOf(small: SmallFleet): string {
  const { disk } = small.center.node;
  return disk
    .paths()
    .map((path) => path + Buffer.from(disk.bytesOf(path)).toString('latin1'))
    .join('\n');
}

describe('a private job', () => {
  it('shows the center neither its name nor its paths; its owner sees both', async () => {
    const small = await SmallFleet.make({ conditions: { windows: '22:00-06:00' } });
    const { files } = small.agent.node;
    files.makeDirectory(`/home/ann/${SECRET}`);
    files.write(`/home/ann/${SECRET}/letter`, { seed: 'x', size: 9000 });
    small.agent.jobs = [jobOf({ name: SECRET, paths: [`/home/ann/${SECRET}`], private: true })];
    const id = await small.take(SECRET);
    await small.pass(MINUTE_MS);
    const queued = await small.finish(
      small.center.running!.ledger.db.selectFrom('snapshots').selectAll().execute(),
    );
    assert.match(queued[0]!.job, /^private-[0-9a-f]{32}$/);
    assert.equal(queued[0]!.label, null);
    assert.ok(!allOf(small).includes(SECRET), 'while it waits');
    await small.pass(12 * HOUR_MS);
    assert.deepEqual(await small.states(), [`${SECRET}#1 oslo: safe`]);
    assert.ok(!allOf(small).includes(SECRET), 'and for ever');
    const { depot, identity } = small.parts;
    const { manifest } = await small.finish(depot.manifest(id));
    assert.deepEqual(manifest.labels, {});
    const details = openManifestDetails(identity.keyring.keys, manifest);
    assert.deepEqual(details.roots.map(displayPath), [`/home/ann/${SECRET}`]);
    const [row] = await small.rows();
    assert.deepEqual([row?.job, row?.label], [SECRET, `/home/ann/${SECRET}`]);
  });

  it('has a name that stays the same when a key is added, and that says nothing', () => {
    const [one, other] = [1, 2].map((byte) => deriveDomainKeys(Buffer.alloc(32, byte)));
    const job = { name: SECRET, private: true };
    const before = chainName(new KeyStore([one!]), job);
    assert.equal(chainName(new KeyStore([one!, other!]), job), before);
    assert.notEqual(chainName(new KeyStore([other!]), job), before);
    assert.notEqual(chainName(new KeyStore([one!]), { ...job, name: 'other' }), before);
    assert.equal(chainName(new KeyStore([one!]), { ...job, private: false }), SECRET);
  });

  it('that ceases to be, or becomes, private begins a chain that does not lean on the other', async () => {
    const small = await SmallFleet.make();
    for (const isPrivate of [false, true, true, false]) {
      small.agent.jobs = [jobOf({ private: isPrivate })];
      small.write('a', 20_000 + (await small.rows()).length);
      await small.take();
      await small.pass(HOUR_MS);
    }
    const rows = await small.rows();
    assert.deepEqual(
      rows.map(({ sequence, base, previous }) => [sequence, base !== null, previous !== null]),
      [
        [1, false, false],
        [2, false, false],
        [3, true, true],
        [4, false, false],
      ],
    );
    assert.ok((await small.states()).every((line) => line.endsWith('safe')));
    assert.equal(await small.spooled(), 0);
    assert.deepEqual(small.alarmCodes('oslo'), []);
  });
});
