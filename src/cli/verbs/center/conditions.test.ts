import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingTexts } from './conditions.ts';

test('a setting that is a list is told entry by entry, as people would say it', () => {
  const lines = [
    { name: 'kyoto', rate: '2 MB/s', clients: ['10.7.0.0/16', 'kyoto-relay'] },
    { name: 'oslo' },
  ];
  assert.deepEqual(settingTexts(JSON.stringify(lines)), [
    'name kyoto, rate 2 MB/s, clients 10.7.0.0/16 kyoto-relay',
    'name oslo',
  ]);
  assert.deepEqual(settingTexts('[["/usr/bin/pgrep","-x","ffmpeg"]]'), ['/usr/bin/pgrep -x ffmpeg']);
  assert.deepEqual(settingTexts('["/usr/bin/"]'), ['/usr/bin/']);
  assert.deepEqual(
    [settingTexts('[]'), settingTexts(''), settingTexts('22:00-08:00')],
    [[], [], ['22:00-08:00']],
  );
});
