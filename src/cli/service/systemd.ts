import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LowtideError, messageOf } from '../../model/errors.ts';
import { isRoot } from '../context.ts';

/** The machine's systemd, or the user's own: root has the first, everybody else the second. */
export class Systemd {
  readonly isSystem: boolean;
  readonly #folder: string;

  /** @throws LowtideError `wrong-state` where another program starts the machine */
  constructor() {
    // As sd_booted(3) says.
    if (!existsSync('/run/systemd/system')) {
      const message =
        "systemd does not run this machine: give what does the command line that 'lowtide service print' shows";
      throw new LowtideError('wrong-state', message);
    }
    this.isSystem = isRoot();
    this.#folder = this.isSystem
      ? '/etc/systemd/system'
      : join(process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'systemd', 'user');
  }

  pathOf(unit: string): string {
    return join(this.#folder, unit);
  }

  /** Null if there is none. */
  async read(unit: string): Promise<string | null> {
    return await readFile(this.pathOf(unit), 'utf8').catch(() => null);
  }

  /** @throws LowtideError `disk-failed` */
  async write(unit: string, text: string): Promise<void> {
    const path = this.pathOf(unit);
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(`${path}.tmp`, text, { mode: 0o644, flush: true });
      await rename(`${path}.tmp`, path);
    } catch (error) {
      throw new LowtideError('disk-failed', `${path} cannot be written: ${messageOf(error)}`);
    }
    await this.control('daemon-reload');
  }

  async remove(unit: string): Promise<void> {
    await rm(this.pathOf(unit), { force: true });
    await this.control('daemon-reload');
  }

  async isActive(unit: string): Promise<boolean> {
    return await this.control('is-active', '--quiet', unit).then(
      () => true,
      () => false,
    );
  }

  /** @throws LowtideError `command-failed` */
  async control(...words: readonly string[]): Promise<void> {
    const all = this.isSystem ? words : ['--user', ...words];
    try {
      await promisify(execFile)('systemctl', all);
    } catch (error) {
      const said =
        error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : messageOf(error);
      throw new LowtideError('command-failed', `systemctl ${all.join(' ')} failed: ${said}`);
    }
  }
}
