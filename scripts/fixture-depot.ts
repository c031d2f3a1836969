import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { addSlot, newEpoch } from '../src/format/keyring-edit.ts';
import { signKeyring } from '../src/format/keyring.ts';
import { printRecoverySheet } from '../src/format/recovery-sheet.ts';
import { signVoid } from '../src/format/void-record.ts';
import type { SnapshotId } from '../src/model/ids.ts';
import { pathKeyOf } from '../src/model/paths.ts';
import { initAlone, instanceOf, makingIn, openAlone, signerOf } from '../src/node/alone/alone.ts';
import { takeAlone } from '../src/node/alone/backup.ts';
import { collectingMonitor } from '../test/support/monitor.ts';
import { realWorld } from '../src/world/real-world.ts';
import { type Listed, type Listing, listTree } from '../test/support/list-tree.ts';

/**
 * Makes the fixture depot of format 1 under test/fixtures/depot-v1/, once: a depot that stands there is what an earlier
 * version wrote, and later versions must go on reading it, so this script refuses to touch it. Needs root (owners).
 */
const fixture = fileURLToPath(new URL('../test/fixtures/depot-v1/', import.meta.url));
const work = '/tmp/lowtide-fixture';
const home = `${work}/home`;
const depotPath = `${work}/depot`;
const password = 'low tide at dawn';
const secret = { kind: 'passphrase', passphrase: password } as const;

/** The same bytes at every run. */
const noise = (length: number, key: number): Buffer =>
  createCipheriv('aes-256-ctr', Buffer.alloc(32, key), Buffer.alloc(16)).update(Buffer.alloc(length));

/** Half a bit of news a byte: it has cuts, and compresses well. */
function largeContent(): Buffer {
  const piece = noise(96 * 1024, 1).map((byte) => (byte < 16 ? 0x30 + byte : 0x20));
  const pieces = Array.from({ length: 64 }, (_, n) => {
    const copy = Buffer.from(piece);
    copy.write(`piece ${n} `, 0);
    return copy;
  });
  return Buffer.concat(pieces);
}

const at = (name: string): Buffer => Buffer.from(`${home}/${name}`, 'latin1');
const put = (name: string, content: string | Uint8Array): void => writeFileSync(at(name), content);
const touch = (name: string, time: string): void =>
  void execFileSync('touch', ['-h', '-d', time, `${home}/${name}`]);

function firstTree(): void {
  for (const name of ['', '/empty directory', '/links', '/links/b', '/many', '/odd names'])
    mkdirSync(home + name, { recursive: true });
  put('empty', '');
  put('eleven', 'eleven byte');
  put('sixty-four', 'x'.repeat(64));
  put('sixty-five', 'y'.repeat(65));
  put('letter.txt', 'Dear reader, the tide is low and the line is free.\n'.repeat(100));
  put('noise.bin', noise(20_000, 2));
  put('log.txt', Array.from({ length: 6000 }, (_, n) => `line ${n} of the log: nothing happened\n`).join(''));
  put('large.bin', largeContent());
  sparse('sparse.img');
  put('links/one', 'one file with three names, one of them in another directory\n'.repeat(3));
  linkSync(at('links/one'), at('links/two'));
  linkSync(at('links/one'), at('links/b/three'));
  symlinkSync('../letter.txt', at('links/relative'));
  symlinkSync('/nowhere/at all', at('links/dangling'));
  symlinkSync('b', at('links/to directory'));
  symlinkSync(Buffer.from('caf\u00e9 \u0001', 'latin1'), at('links/bytes'));
  execFileSync('mkfifo', [`${home}/pipe`]);
  for (const name of [
    ' leading',
    'trailing ',
    '-rf',
    'new\nline',
    'tab\t',
    '\u00e9 latin1',
    '\u00ff\u00fe',
    '*?"<>|\\',
  ])
    put(`odd names/${name}`, `named ${name.length}\n`);
  for (const name of ['caf\u00e9', 'cafe\u0301', '\u{1f30a}', 'x'.repeat(255)])
    writeFileSync(`${home}/odd names/${name}`, name);
  for (let n = 0; n < 450; n++) put(`many/file ${String(n).padStart(4, '0')}`, `number ${n}`);
}

/** A megabyte of nothing between two pieces, and a hole at its end. */
function sparse(name: string): void {
  const file = openSync(at(name), 'w');
  writeSync(file, noise(5000, 3), 0, 5000, 0);
  writeSync(file, noise(5000, 4), 0, 5000, 1_500_000);
  ftruncateSync(file, 3_000_000);
  closeSync(file);
}

function firstMetadata(): void {
  chmodSync(at('empty directory'), 0o700);
  chmodSync(at('many'), 0o1777);
  chmodSync(at('eleven'), 0o400);
  chownSync(at('letter.txt'), 1234, 5678);
  chownSync(at('sixty-four'), 1234, 5678);
  chmodSync(at('sixty-four'), 0o4755);
  touch('letter.txt', '2001-02-03T04:05:06.789012345Z');
  touch('eleven', '1969-07-20T20:17:40.000000001Z');
  touch('empty', '2106-02-07T06:28:16Z');
  touch('links/dangling', '1999-12-31T23:59:59.999999999Z');
  touch('empty directory', '2020-02-29T12:00:00.5Z');
  touch('odd names', '2010-10-10T10:10:10.101010101Z');
}

function secondTree(): void {
  const large = largeContent();
  large.write('something new in the middle', 3_000_000);
  put('large.bin', large);
  renameSync(at('noise.bin'), at('renamed.bin'));
  unlinkSync(at('sixty-five'));
  unlinkSync(at('links/two'));
  put('links/two', 'a file of its own now');
  put('many/file 0150', 'changed');
  put('many/file 0150 and a half', 'new');
  rmSync(at('empty directory'), { recursive: true });
  put('empty directory', 'is a file now');
  chmodSync(at('letter.txt'), 0o640);
}

function thirdTree(): void {
  put('letter.txt', 'A new letter under a new key.\n'.repeat(50));
  put('after the new epoch', noise(3000, 5));
}

let lastTree: Listed[] = [];
const world = realWorld({ monitor: collectingMonitor() });
const stop = new AbortController().signal;
const listings: Listing[] = [];

/** Only what differs from the listing before, if that is of the same directory: most of it is the same. */
function listingOf(snapshot: string, root: string, before: Listing | undefined): Listing {
  const tree = listTree(root);
  const known = new Map(before?.root === root ? lastTree.map((entry) => [entry.path, entry]) : []);
  const listed = tree.filter((entry) => JSON.stringify(known.get(entry.path)) !== JSON.stringify(entry));
  const paths = new Set(tree.map((entry) => entry.path));
  lastTree = tree;
  return { snapshot, root, listed, gone: [...known.keys()].filter((path) => !paths.has(path)) };
}

async function backUp(root: string, name: string): Promise<void> {
  // Files are settled when they are a few seconds old.
  await sleep(3000);
  const alone = await openAlone(world, depotPath, secret, 'write');
  try {
    const request = {
      paths: [pathKeyOf(root)],
      name,
      excludes: [],
      excludeCaches: false,
      oneFileSystem: false,
      level: 3,
      host: 'fixture',
      software: 'lowtide 0.1.0',
    };
    const { signed, problems } = await takeAlone(world, alone, request, stop);
    if (problems.length > 0) throw new Error(JSON.stringify(problems));
    listings.push(listingOf(signed.id, root, listings.at(-1)));
    console.log(`${name} ${signed.manifest.sequence}: ${signed.id}`);
  } finally {
    await alone.depot.close();
  }
}

/** A recovery slot and a new epoch in one new version of the keyring. */
async function changeKeys(): Promise<string> {
  const alone = await openAlone(world, depotPath, secret, 'write');
  try {
    const recovery = world.random.bytes(32);
    const making = makingIn(world);
    const draft = addSlot(alone.keyring, { kind: 'recovery', label: 'sheet', secret: recovery }, making);
    const { signed } = signKeyring(newEpoch(draft, making), signerOf(alone.keyring));
    await alone.depot.putKeyring(signed);
    return printRecoverySheet({ client: signed.keyring.client, secret: recovery, center: null });
  } finally {
    await alone.depot.close();
  }
}

/** A void record, of a snapshot that never came. */
async function closeOne(): Promise<void> {
  const alone = await openAlone(world, depotPath, secret, 'write');
  try {
    const key = signerOf(alone.keyring);
    const snapshot = 'ab'.repeat(32) as SnapshotId;
    const { client } = alone.keyring.signed.keyring;
    const record = {
      client,
      instance: instanceOf(alone.keyring),
      snapshot,
      reason: 'for the fixture',
      at: 0,
    };
    await alone.depot.putVoid(snapshot, signVoid(record, key));
  } finally {
    await alone.depot.close();
  }
}

async function make(): Promise<void> {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  await initAlone(world, depotPath, password);
  firstTree();
  firstMetadata();
  await backUp(home, 'home');
  secondTree();
  await backUp(home, 'home');
  const sheet = await changeKeys();
  thirdTree();
  await backUp(home, 'home');
  await backUp(`${home}/links`, 'links');
  await closeOne();
  mkdirSync(fixture, { recursive: true });
  for (const name of ['config', 'config.spare', 'packs', 'manifests', 'keyrings', 'voids'])
    cpSync(`${depotPath}/${name}`, `${fixture}depot/${name}`, { recursive: true });
  const lines = JSON.stringify(listings).replaceAll(/,?\{"(path|snapshot)"/g, '\n$&');
  writeFileSync(`${fixture}listing.json`, lines + '\n');
  writeFileSync(`${fixture}recovery-sheet.txt`, sheet);
  writeFileSync(`${fixture}password`, password + '\n');
}

if (existsSync(fixture)) {
  console.error(`${fixture} is there: a fixture is never made anew`);
  process.exitCode = 1;
} else {
  await make();
}
await world.close();
