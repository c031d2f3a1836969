import assert from 'node:assert/strict';
import { buildSnapshot, type EntrySpec, pathKey } from '../../test/support/build-snapshot.ts';
import {
  inPlace,
  ownerIn,
  restoreIn,
  type RestorePlace,
  simulatedPlace,
  targetOf,
} from '../../test/support/restore-places.ts';
import { encodeAttributes } from '../format/attributes.ts';
import { type Attributes, IMMUTABLE_FLAG } from '../model/entries.ts';

const extra = (attributes: Partial<Attributes>): Uint8Array =>
  encodeAttributes({ xattrs: [], flags: 0, ...attributes });
const COMMENT = [{ name: 'user.comment', value: Buffer.from('kept') }];

const tree = (place: RestorePlace): EntrySpec[] => [
  {
    path: 'd',
    type: 'directory',
    ...ownerIn(place),
    extra: extra({ xattrs: COMMENT, flags: IMMUTABLE_FLAG }),
  },
  { path: 'd/a', content: 'x', ...ownerIn(place), extra: extra({ xattrs: COMMENT }) },
  {
    path: 'd/b',
    content: 'linked',
    inode: 5n,
    link: { fileSystem: 0, inode: 5n },
    ...ownerIn(place),
    extra: extra({ flags: IMMUTABLE_FLAG }),
  },
  {
    path: 'e',
    content: 'linked',
    inode: 5n,
    link: { fileSystem: 0, inode: 5n },
    ...ownerIn(place),
    extra: extra({ flags: IMMUTABLE_FLAG }),
  },
  { path: 'l', type: 'symlink', target: 'e', ...ownerIn(place), extra: extra({ xattrs: COMMENT }) },
];

inPlace(
  'attributes and flags are restored, immutable ones when all else is done',
  simulatedPlace,
  async (place) => {
    const order: string[] = [];
    place.node!.simulation.observe(({ kind }) => void order.push(kind));
    const report = await restoreIn(place, await buildSnapshot(tree(place)));
    assert.deepEqual([report.problems, report.notes], [[], []]);
    const listed = place
      .node!.files.tree('/place/target')
      .map(({ path, xattrs, flags }) => [path, xattrs, flags]);
    assert.deepEqual(listed, [
      ['/', undefined, undefined],
      ['/d', 'user.comment=kept', IMMUTABLE_FLAG],
      ['/d/a', 'user.comment=kept', undefined],
      ['/d/b', undefined, IMMUTABLE_FLAG],
      ['/e', undefined, IMMUTABLE_FLAG],
      ['/l', 'user.comment=kept', undefined],
    ]);
    const first = order.indexOf('files.flags');
    assert.ok(first > 0);
    assert.deepEqual([...new Set(order.slice(first))], ['files.flags', 'files.sync']);
  },
);

inPlace(
  'a target without attributes gets the rest, and one line a kind says what is missing',
  simulatedPlace,
  async (place) => {
    place.node!.files.keepsAttributes = false;
    const report = await restoreIn(place, await buildSnapshot(tree(place)));
    assert.deepEqual([report.problems, report.complete, report.files], [[], true, 3]);
    assert.deepEqual(
      report.notes.map(({ code, path, message }) => [code, path, message.split(':')[0]]),
      [
        [
          'not-taken',
          '/l',
          'the extended attributes of 3 restored names could not be set, of this one first',
        ],
        ['not-taken', '/d', 'the flags of 2 restored names could not be set, of this one first'],
      ],
    );
  },
);

inPlace(
  'owners by name get the numbers that the names have here, and unknown names keep theirs',
  simulatedPlace,
  async (place) => {
    const { accounts } = place.node!.files;
    accounts.set(2001, 'ann');
    accounts.set(2002, 'users');
    const specs: EntrySpec[] = [
      { path: 'a', content: '', uid: 1001, gid: 1002, extra: extra({ owner: 'ann', group: 'users' }) },
      { path: 'b', content: '', uid: 1001, gid: 1002, extra: extra({ owner: 'bob', group: 'users' }) },
      { path: 'c', content: '', uid: 1001, gid: 1002 },
      { path: 'd', type: 'directory', uid: 1001, gid: 0, extra: extra({ owner: 'ann' }) },
    ];
    const owners = (): (string | number)[][] =>
      place
        .node!.files.tree('/place/target')
        .slice(1)
        .map(({ path, uid, gid }) => [path, uid, gid]);
    const report = await restoreIn(place, await buildSnapshot(specs), { owners: 'names' });
    assert.deepEqual(owners(), [
      ['/a', 2001, 2002],
      ['/b', 1001, 2002],
      ['/c', 1001, 1002],
      ['/d', 2001, 0],
    ]);
    assert.deepEqual([report.problems, report.notes.length], [[], 1]);
    assert.match(
      report.notes[0]!.message,
      /the owner names of one restored name could not be set: bob is not known/,
    );
    await restoreIn(place, await buildSnapshot(specs), { overwrite: 'always' });
    assert.deepEqual(owners()[0], ['/a', 1001, 1002]);
  },
);

inPlace('attributes that cannot be read cost the entry nothing else', simulatedPlace, async (place) => {
  const snapshot = await buildSnapshot([{ path: 'a', content: 'x', extra: Uint8Array.of(0x80) }]);
  const report = await restoreIn(place, snapshot);
  assert.equal(report.files, 1);
  assert.match(
    report.problems[0]!.message,
    /the attributes of one restored name could not be set: attributes of/,
  );
  const there = await place.world.files.lstat(`${targetOf(place)}\0${pathKey('a')}` as never);
  assert.equal(there?.size, 1);
});
