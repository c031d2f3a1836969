import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import config from '../../oxlint.config.ts';
import { ourFiles, read, tableRows } from './repository.ts';

/** The arrows as the linter enforces them: its message names them, so what it says and what it does are one. */
function enforcedRooms(): Map<string, string> {
  const rooms = new Map<string, string>();
  for (const { files, rules } of config.overrides ?? []) {
    const text = JSON.stringify(rules?.['eslint/no-restricted-imports'] ?? '');
    const match = /Room (\w+) may import only from: ([\w, ]+)\./.exec(text);
    if (match === null) continue;
    assert.deepEqual(files, [`src/${match[1]}/**/*.ts`]);
    rooms.set(match[1]!, match[2]!);
  }
  return rooms;
}

describe('ARCHITECTURE.md', () => {
  it('has the rooms and arrows that the linter enforces', () => {
    const section = read('ARCHITECTURE.md').split('\n## Rooms\n')[1]!.split('\n## ')[0]!;
    const table = new Map(tableRows(section).map(([room, from]) => [room!, from!]));
    assert.deepEqual(table, enforcedRooms());
  });

  it('draws them in layers, with arrows that go down only', () => {
    const drawing = /\n```\n(cli [^`]+)```/.exec(read('ARCHITECTURE.md'))![1]!;
    const layers = drawing
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/#.*/, '').trim().split(/ +/));
    const layerOf = new Map(layers.flatMap((rooms, layer) => rooms.map((room) => [room, layer])));
    const rooms = enforcedRooms();
    assert.deepEqual([...layerOf.keys()].sort(), [...rooms.keys(), 'cli'].sort());
    for (const [room, from] of rooms) {
      for (const other of from === 'nothing' ? [] : from.split(', ')) {
        assert.ok(layerOf.get(other)! > layerOf.get(room)!, `${room} imports ${other}`);
      }
    }
  });

  it('has a room for every folder', () => {
    const folders = new Set(ourFiles().flatMap((path) => /^src\/([^/]+)\//.exec(path)?.[1] ?? []));
    assert.deepEqual([...folders].sort(), [...enforcedRooms().keys(), 'cli'].sort());
  });

  it('stays short enough to be read', () => {
    assert.ok(read('ARCHITECTURE.md').split('\n').length <= 250);
  });
});
