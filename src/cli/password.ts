import { readFile } from 'node:fs/promises';
import { LowtideError, messageOf } from '../model/errors.ts';

/**
 * From LOWTIDE_PASSWORD, the file that LOWTIDE_PASSWORD_FILE names, or a prompt. Never from the command line, where
 * everybody on the machine could read it.
 * @param confirm ask twice: for a new password
 */
export async function readPassword(question: string, confirm = false): Promise<string> {
  return await passwordNamed('LOWTIDE_PASSWORD', question, confirm);
}

/** A further password, beside the one that opens: from LOWTIDE_NEW_PASSWORD, LOWTIDE_NEW_PASSWORD_FILE, or a prompt. */
export async function readNewPassword(question: string): Promise<string> {
  return await passwordNamed('LOWTIDE_NEW_PASSWORD', question, true);
}

async function passwordNamed(variable: string, question: string, confirm: boolean): Promise<string> {
  const direct = process.env[variable];
  const file = process.env[`${variable}_FILE`];
  if (direct !== undefined && direct !== '') return direct;
  if (file !== undefined && file !== '') return await passwordFromFile(file);
  if (!process.stdin.isTTY) {
    throw new LowtideError(
      'no-password',
      `no password: set ${variable}_FILE or ${variable}, or run in a terminal`,
    );
  }
  const password = await ask(`${question}: `);
  if (password === '') throw new LowtideError('no-password', 'an empty password protects nothing');
  if (confirm && (await ask('Once more: ')) !== password) {
    throw new LowtideError('wrong-password', 'the two passwords differ');
  }
  return password;
}

async function passwordFromFile(path: string): Promise<string> {
  try {
    const password = (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
    if (password !== '') return password;
  } catch (error) {
    throw new LowtideError('no-password', `the password file ${path} cannot be read: ${messageOf(error)}`);
  }
  throw new LowtideError('no-password', `the password file ${path} is empty`);
}

/** The question is shown, what is typed is not. */
async function ask(question: string): Promise<string> {
  const { createInterface } = await import('node:readline');
  const { Writable } = await import('node:stream');
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await new Promise((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('SIGINT', () => reject(new LowtideError('interrupted', 'interrupted')));
      lines.once('close', () => reject(new LowtideError('no-password', 'no password was given')));
    });
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
