import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { describeTree, makeDifficultTree } from './difficult-tree.ts';
import { Pair } from './pair.ts';
import { lowtide } from './processes.ts';

const WAIT_MS = 30_000;
const PHOTO_BYTES = 200_000;
const HOUR_MS = 3_600_000;

/** `21:00-02:00`, hours from now on in the zone given: the story of the README at any time of the day. */
function hours(zone: string, from: number, to: number): string {
  const clock = (at: number): string =>
    new Date(at).toLocaleTimeString('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit' });
  return `${clock(Date.now() + from * HOUR_MS)}-${clock(Date.now() + to * HOUR_MS)}`;
}

/** Two machines as the README tells it, one story in several parts: each begins where the one before ended. */
const zone = 'Asia/Tokyo';
const OPEN = hours(zone, -2, 3);
let pair: Pair;
let documents: string;
let file: string;

before(async () => {
  pair = await Pair.make('two', ['--windows', OPEN, '--zone', zone]);
  documents = join(pair.folder, 'documents');
  makeDifficultTree(documents);
  file = join(documents, 'thesis.odt');
  writeFileSync(file, 'first draft');
  writeFileSync(join(documents, 'photo.jpg'), randomBytes(PHOTO_BYTES));
});
after(() => pair.close());

const target = (name: string): string => join(pair.folder, name);
const thesisIn = (restored: string): string => readFileSync(join(restored, file), 'utf8');
const takeNow = (...more: string[]) => pair.onAgent('job', 'run', 'documents', ...more);

test('hours that never meet are refused when a job is added, also before the agent ever ran', async () => {
  const never = ['--transfer', hours(zone, 6, 8), '--zone', zone];
  const lines = await pair.askAgent(['job', 'add', 'never', documents, ...never], { exits: [1] });
  assert.equal(lines.find(({ code }) => code !== undefined)?.['code'], 'windows-never-meet');
});

test('two machines: job, agent, backup, collection and restore as the README says', async () => {
  await pair.onAgent(
    'job',
    'add',
    'documents',
    documents,
    '--backup',
    'daily 22:00',
    '--transfer',
    OPEN,
    '--zone',
    zone,
  );
  await pair.startAgent();
  const lines = await takeNow('--wait', '30s');
  assert.ok(lines.some(({ message_type }) => message_type === 'collected'));
  await pair.drained(WAIT_MS);
  const [snapshot] = await pair.snapshots();
  assert.deepEqual(snapshot?.['where'], ['tokyo']);
  const listed = await pair.onAgent('ls', 'latest', documents);
  assert.ok(listed.some(({ path }) => path === file));
  const { complete, from } = await pair.restore(target('first'), 'latest');
  assert.ok(complete && from('center tokyo') > PHOTO_BYTES);
  assert.equal(describeTree(target('first') + documents), describeTree(documents));
});

test('P6: status says that the job is protected, the ledger when it was taken and when it arrived', async () => {
  const { jobs } = await pair.status();
  assert.equal((jobs[0]!['protection'] as { level: string }).level, 'protected');
  const [row] = await pair.onCenter('center', 'ledger', '--client', 'ann-laptop');
  assert.equal(row?.['phase'], 'safe');
  assert.equal(row['address'], '127.0.0.1');
  assert.ok(Number(row['taken_at']) <= Number(row['arrived_at']));
  const history = row['history'] as { what: string }[];
  assert.deepEqual(
    history.map(({ what }) => what),
    ['offered', 'ordered', 'arrived', 'receipted'],
  );
});

test('P2: with the center stopped, a changed file restores from the spool, on the first night and on the second', async () => {
  assert.equal((await pair.center.stop()).code, 0);
  const ids: string[] = [];
  for (const draft of ['second draft', 'third draft, in the second night']) {
    writeFileSync(file, draft);
    await takeNow();
    const newest = (await pair.snapshots()).at(-1);
    assert.deepEqual(newest?.['where'], ['spool']);
    ids.push(String(newest['id']));
    const { complete, from } = await pair.restore(target(draft), 'latest', file);
    assert.ok(complete);
    assert.ok(from('spool') > 0);
    assert.equal(from('center tokyo'), 0);
    assert.equal(thesisIn(target(draft)), draft);
  }
  await pair.restore(target('of the first night'), ids[0]!, file);
  assert.equal(thesisIn(target('of the first night')), 'second draft');
});

test('P6: what is in the spool alone is not called protected, and what the spool lacks is told', async () => {
  const { jobs, spooled } = await pair.status();
  assert.equal(spooled.length, 2);
  const { remarks } = jobs[0]!['protection'] as { remarks: { kind: string; count?: number }[] };
  assert.deepEqual(remarks, [{ kind: 'not-collected', count: 2, held: 0 }]);
  const unchanged = join(documents, 'photo.jpg');
  const { complete, problems } = await pair.restore(target('unchanged'), 'latest', unchanged, file);
  assert.equal(complete, false, 'an unchanged file needs the center');
  const errors = problems.filter(({ severity }) => severity === 'error');
  assert.deepEqual(
    errors.map(({ path }) => path),
    [unchanged],
  );
  assert.match(String(errors[0]?.['message']), /spool lacks it.*center tokyo/);
  assert.equal(thesisIn(target('unchanged')), 'third draft, in the second night', 'the rest is restored');
});

test('the center comes back: both nights are collected, in order, and restore from it', async () => {
  await pair.startCenter();
  await pair.drained(WAIT_MS);
  const rows = (await pair.onCenter('center', 'snapshots')).filter(({ phase }) => phase === 'safe');
  assert.equal(rows.length, 3);
  const { complete, from } = await pair.restore(target('whole'), 'latest');
  assert.ok(complete && from('center tokyo') > PHOTO_BYTES);
  assert.equal(describeTree(target('whole') + documents), describeTree(documents));
});

test('a restore over what is there, with --overwrite always, brings back what was there', async () => {
  const truth = describeTree(documents);
  writeFileSync(file, 'spoiled');
  mkdirSync(join(documents, 'added later'));
  const { complete } = await pair.restore('/', 'latest', documents, '--overwrite', 'always');
  assert.ok(complete);
  assert.equal(readFileSync(file, 'utf8'), 'third draft, in the second night');
  const now = describeTree(documents).split('\n');
  assert.deepEqual(
    truth.split('\n').filter((line) => !now.includes(line)),
    [],
  );
});

test('what both keep is whole and undamaged', async () => {
  await lowtide(['verify', '--read-data', '--depot', join(pair.centerData, 'store')]);
  await lowtide(['verify', '--read-data', '--data', pair.agentData]);
  assert.equal((await pair.agent.stop()).code, 0);
  assert.equal((await pair.center.stop()).code, 0);
});
