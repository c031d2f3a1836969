import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isLowtideError } from '../../model/errors.ts';
import { type Service, unitName, unitText } from './unit.ts';

const PROGRAM = join(import.meta.dirname, '../../../bin/lowtide');

function serviceOf(changes: Partial<Service> = {}): Service {
  const data = '/var/lib/lowtide/center';
  const places = { inHome: false, inTemporary: false };
  return { role: 'center', program: PROGRAM, data, writable: [data], user: 'lowtide', ...places, ...changes };
}

const linesOf = (service: Service): string[] => unitText(service).split('\n');

describe('the unit of a service', () => {
  it('shuts in what others connect to, and leaves it what it needs', () => {
    const lines = linesOf(serviceOf({ writable: ['/var/lib/lowtide/center', '/mnt/disk'] }));
    for (const line of [
      'User=lowtide',
      'NoNewPrivileges=yes',
      'CapabilityBoundingSet=',
      'ProtectSystem=strict',
      'ReadWritePaths=/var/lib/lowtide/center /mnt/disk',
      'ProtectHome=yes',
      'PrivateTmp=yes',
    ])
      assert.ok(lines.includes(line), line);
  });

  it('hides nothing that it lies in itself', () => {
    const lines = linesOf(serviceOf({ inHome: true, inTemporary: true }));
    assert.ok(!lines.some((line) => /^(ProtectHome|PrivateTmp)=/.test(line)));
  });

  it('lets an agent read everything, behind other work', () => {
    const lines = linesOf(serviceOf({ role: 'agent', user: 'root' }));
    assert.ok(lines.includes('Nice=10') && !lines.some((line) => /^(Protect|Private|Restrict)/.test(line)));
  });

  it("says nothing of users and of the machine's network where it is a user's own", () => {
    const lines = linesOf(serviceOf({ role: 'agent', user: null }));
    assert.ok(!lines.some((line) => /^(User|Wants|After)=/.test(line)));
    assert.ok(lines.includes('WantedBy=default.target'));
  });

  it('names any path, or refuses it', () => {
    const data = '/srv/a b/50% "off" $HOME \\';
    const [start = ''] = linesOf(serviceOf({ data })).filter((line) => line.startsWith('ExecStart='));
    assert.ok(start.endsWith(` center run --data "/srv/a b/50%% \\"off\\" $$HOME \\\\"`), start);
    assert.throws(
      () => unitText(serviceOf({ data: '/srv/a\nExecStartPre=/bin/true' })),
      (error) => isLowtideError(error, 'bad-request'),
    );
  });

  it('is understood by systemd', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'lowtide-unit-'));
    t.after(() => rmSync(folder, { recursive: true }));
    try {
      execFileSync('systemd-analyze', ['--version'], { stdio: 'ignore' });
    } catch {
      return t.skip('no systemd-analyze here');
    }
    for (const role of ['agent', 'center', 'relay'] as const) {
      const path = join(folder, unitName(role));
      writeFileSync(path, unitText(serviceOf({ role, user: 'root', data: '/srv/a b/50%' })));
      const said = execFileSync('systemd-analyze', ['verify', '--man=no', path], { stdio: 'pipe' });
      assert.equal(said.toString(), '');
    }
  });
});
