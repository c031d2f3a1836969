import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Accounts } from '../ports.ts';

/** A directory service that does not answer must not hold a backup up. */
const ASK_MS = 5000;

type Database = 'passwd' | 'group';

/**
 * Users and groups from /etc/passwd and /etc/group; who is in neither is asked of `getent`, which knows directory
 * services. Each answer is kept for as long as this lives.
 */
export function realAccounts(): Accounts {
  const users = new AccountTable('passwd');
  const groups = new AccountTable('group');
  return {
    userName: (uid) => users.nameOf(uid),
    groupName: (gid) => groups.nameOf(gid),
    userId: (name) => users.idOf(name),
    groupId: (name) => groups.idOf(name),
  };
}

class AccountTable {
  readonly #database: Database;
  #loading: Promise<void> | null = null;
  readonly #names = new Map<number, string | null>();
  readonly #ids = new Map<string, number | null>();

  constructor(database: Database) {
    this.#database = database;
  }

  async nameOf(id: number): Promise<string | null> {
    await this.#load();
    if (!this.#names.has(id)) this.#names.set(id, (await this.#ask(String(id)))?.name ?? null);
    return this.#names.get(id) ?? null;
  }

  async idOf(name: string): Promise<number | null> {
    await this.#load();
    // A name made of digits would be taken for a number.
    if (!this.#ids.has(name))
      this.#ids.set(name, /^\d*$/.test(name) ? null : ((await this.#ask(name))?.id ?? null));
    return this.#ids.get(name) ?? null;
  }

  #load(): Promise<void> {
    return (this.#loading ??= this.#readFile());
  }

  /** The first line of a number or a name counts, as it does for the system. */
  async #readFile(): Promise<void> {
    const text = await readFile(`/etc/${this.#database}`, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      const account = accountIn(line);
      if (account === null) continue;
      if (!this.#names.has(account.id)) this.#names.set(account.id, account.name);
      if (!this.#ids.has(account.name)) this.#ids.set(account.name, account.id);
    }
  }

  async #ask(key: string): Promise<{ readonly name: string; readonly id: number } | null> {
    try {
      const words = ['--', this.#database, key];
      const { stdout } = await promisify(execFile)('getent', words, { timeout: ASK_MS });
      return accountIn(stdout.split('\n')[0]!);
    } catch {
      return null;
    }
  }
}

function accountIn(line: string): { readonly name: string; readonly id: number } | null {
  const [name, , id] = line.split(':');
  return name !== undefined && name !== '' && id !== undefined && /^\d+$/.test(id)
    ? { name, id: Number(id) }
    : null;
}
