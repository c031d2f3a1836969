import { writeFile } from 'node:fs/promises';
import { type Command } from 'commander';
import type { SlotSpec } from '../../format/keyring-slots.ts';
import { printDomainSheet, printRecoverySheet } from '../../format/recovery-sheet.ts';
import { bytesOfHex, hexOf } from '../../model/bytes.ts';
import { LowtideError, messageOf } from '../../model/errors.ts';
import type { ClientId } from '../../model/ids.ts';
import { openAlone, signerOf } from '../../node/alone/alone.ts';
import { addKey, type KeyLine, keyLines, removeKey, shareDomain } from '../../node/keys.ts';
import { absolute, type Context } from '../context.ts';
import { readNewPassword } from '../password.ts';
import { depotOf, type PlaceOptions, readSecret, withPlace } from '../place.ts';
import { timeText } from '../text.ts';
import { action, newGroup, newVerb } from '../verb.ts';

const KINDS = ['passphrase', 'recovery', 'organisation'] as const;

export function keyGroup(): Command {
  return newGroup('key', 'What opens the backups: passwords, recovery sheets, an organisation', [
    listVerb(),
    addVerb(),
    removeVerb(),
    shareVerb(),
  ]);
}

interface KeyAddOptions extends PlaceOptions {
  readonly label?: string;
}

/** The verbs over one keyring, wherever it is. */
interface KeyRoom {
  readonly client: ClientId;
  /** SHA-256 of the root of the center that was joined first, if there is one. */
  readonly caHash: string | null;
  /** Whether centers have a copy of the keyring. */
  readonly enrolled: boolean;
  list(): Promise<readonly KeyLine[]>;
  add(spec: SlotSpec): Promise<KeyLine>;
  remove(id: string): Promise<KeyLine>;
  domainKey(): Promise<Uint8Array>;
}

function listVerb(): Command {
  const verb = newVerb('list', {
    summary: 'List what opens the backups',
    examples: [
      ['lowtide key list --depot /mnt/disk/backups', 'of a depot'],
      ['lowtide key list', 'of this machine'],
    ],
  });
  return withPlace(verb).action(action(list));
}

function addVerb(): Command {
  const verb = newVerb('add', {
    summary: 'Add a password, a recovery sheet, or an organisation’s key',
    about:
      "'passphrase' asks for a new password (or takes it from LOWTIDE_NEW_PASSWORD_FILE or LOWTIDE_NEW_PASSWORD). " +
      "'recovery' makes a recovery sheet and shows it, once. 'organisation' takes a public key of 64 hex digits, " +
      'whose private half is kept offline; whoever has that can read the backups.',
    examples: [
      ['lowtide key add recovery --depot /mnt/disk/backups', 'a page to print and put away'],
      ['lowtide key add passphrase --label "Bob" --depot /mnt/disk/backups', 'a second password'],
    ],
  });
  return withPlace(verb)
    .argument('<KIND>', KINDS.join(', '))
    .argument('[PUBLIC-KEY]', 'for organisation')
    .option('--label <TEXT>', 'to know it by in the list')
    .action(action(add));
}

function removeVerb(): Command {
  const verb = newVerb('remove', {
    summary: 'Take away one way to open the backups',
    about:
      'It opens no newer version of the keyring. Whoever kept an older copy of the keyring, and what it opens, ' +
      'still can; what was backed up before cannot be taken back.',
    examples: [['lowtide key remove 8c1f --depot /mnt/disk/backups', 'by the first digits of its id']],
  });
  return withPlace(verb).argument('<ID>', "from 'lowtide key list'").action(action(remove));
}

function shareVerb(): Command {
  const verb = newVerb('share', {
    summary: 'Write the domain key of this machine, so that others of yours share what it stores',
    about:
      'Machines that join with the file store and send once what they have in common. Each keeps its own name, keys and ' +
      'snapshots at the centers. But whoever has the file, or the keys of one of the machines, can read the backups of ' +
      'all of them: use it for machines of one owner only, and delete the file when they have joined.',
    examples: [
      [
        'lowtide key share shop.key',
        'then on the other machine: lowtide agent join TOKEN --keys-of shop.key',
      ],
    ],
  });
  return withPlace(verb).argument('<FILE>', 'a new file for the key').action(action(share));
}

async function share(context: Context, file: string, options: PlaceOptions): Promise<void> {
  const { output, world } = context;
  const path = absolute(file);
  await withKeys(context, options, 'write', async (room) => {
    const { zone } = world.clock;
    const made = `${timeText(world.clock.now(), zone)} ${zone}`;
    await writeSecret(path, printDomainSheet(await room.domainKey(), { Made: made }));
    output.message({ message_type: 'domain_key', file: path });
    output.line(
      `The domain key is in ${path}. On the other machine: 'lowtide agent join TOKEN --keys-of FILE'.`,
    );
    output.line('Whoever has it can read the backups of all machines that share it: delete it then.');
    if (room.enrolled)
      output.line('Centers let others share once they have collected a backup of this machine.');
  });
}

/** Never over a file that is there. */
async function writeSecret(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    throw new LowtideError('disk-failed', `the domain key cannot be written (${messageOf(error)})`);
  }
}

async function list(context: Context, options: PlaceOptions): Promise<void> {
  const { output, world } = context;
  const { zone } = world.clock;
  const lines = await withKeys(context, options, 'read', (room) => room.list());
  output.table(
    'key',
    lines.map(jsonOf),
    [
      { title: 'Key', text: ({ id }) => id },
      { title: 'Kind', text: ({ kind }) => kind },
      { title: `Made (${zone})`, text: ({ created_at }) => timeText(created_at, zone) },
      { title: 'Label', text: ({ label }) => label },
    ],
    'Nothing opens this keyring.',
  );
}

const jsonOf = ({ createdAt, ...line }: KeyLine) => ({ ...line, created_at: createdAt });

async function add(
  context: Context,
  kind: string,
  publicKey: string | undefined,
  options: KeyAddOptions,
): Promise<void> {
  const { output, world } = context;
  const wanted = KINDS.find((known) => known === kind);
  if (wanted === undefined) {
    throw new LowtideError('bad-request', `${kind} is no kind of key: choose ${KINDS.join(', ')}`);
  }
  await withKeys(context, options, 'write', async (room) => {
    const spec = await specFor(context, wanted, publicKey, options.label);
    const line = await room.add(spec);
    output.message({ message_type: 'key_added', ...jsonOf(line) });
    output.line(`Added ${line.kind} key ${line.id} (${line.label}).`);
    if (room.enrolled) output.line('Centers learn of it with the next backup that they collect.');
    if (spec.kind !== 'recovery') return;
    const { zone } = world.clock;
    const made = `${timeText(world.clock.now(), zone)} ${zone}`;
    const text = printRecoverySheet(
      { client: room.client, secret: spec.secret, center: null },
      { Made: made },
    );
    output.message({ message_type: 'recovery_sheet', text });
    output.line('This is shown once: write it down or print it now.');
    output.line('');
    output.result(text);
  });
}

async function specFor(
  { world }: Context,
  kind: (typeof KINDS)[number],
  publicKey: string | undefined,
  label: string | undefined,
): Promise<SlotSpec> {
  if (kind === 'passphrase') {
    return { kind, label: label ?? 'password', passphrase: await readNewPassword('New password') };
  }
  if (kind === 'recovery') return { kind, label: label ?? 'recovery sheet', secret: world.random.bytes(32) };
  if (publicKey === undefined || !/^[0-9a-fA-F]{64}$/.test(publicKey)) {
    throw new LowtideError('wrong-key', "an organisation's public key is written as 64 hex digits");
  }
  const bytes = new Uint8Array(bytesOfHex(publicKey.toLowerCase()));
  return { kind, label: label ?? 'organisation', publicKey: bytes };
}

async function remove(context: Context, id: string, options: PlaceOptions): Promise<void> {
  const { output } = context;
  const line = await withKeys(context, options, 'write', (room) => room.remove(id));
  output.message({ message_type: 'key_removed', ...jsonOf(line) });
  output.line(`Removed ${line.kind} key ${line.id} (${line.label}).`);
  output.line('Whoever kept an older copy of the keyring can still open what was backed up until now.');
}

async function withKeys<T>(
  context: Context,
  options: PlaceOptions,
  access: 'read' | 'write',
  work: (room: KeyRoom) => Promise<T>,
): Promise<T> {
  if (options.depot !== undefined && options.depot !== '')
    return await withDepotKeys(context, options, access, work);
  const { withAgent } = await import('../reach.ts');
  return await withAgent(context, options, async ({ people }) => {
    const { client, caHash } = await people.keys({});
    return await work({
      client,
      caHash,
      enrolled: true,
      list: async () => (await people.keys({})).keys,
      add: (spec) => people.addKey(plainSpec(spec)),
      remove: (key) => people.removeKey({ key }),
      domainKey: async () => new Uint8Array(bytesOfHex((await people.shareDomain({})).domainKey)),
    });
  });
}

/** As it travels to the running agent: over a socket that only its owner can open. */
function plainSpec(spec: SlotSpec) {
  const { label } = spec;
  if (spec.kind === 'passphrase') return { kind: spec.kind, label, passphrase: spec.passphrase };
  if (spec.kind === 'organisation') return { kind: spec.kind, label, publicKey: hexOf(spec.publicKey) };
  if (spec.kind === 'recovery') return { kind: spec.kind, label, secret: hexOf(spec.secret) };
  throw new TypeError('a device key is never added by hand');
}

async function withDepotKeys<T>(
  { world }: Context,
  options: PlaceOptions,
  access: 'read' | 'write',
  work: (room: KeyRoom) => Promise<T>,
): Promise<T> {
  const { depot, keyring } = await openAlone(world, depotOf(options), await readSecret(options), access);
  const desk = () => ({ world, depot, keyring, signingKey: signerOf(keyring) });
  try {
    return await work({
      client: keyring.signed.keyring.client,
      caHash: null,
      enrolled: false,
      list: async () => keyLines(keyring),
      add: async (spec) => (await addKey(desk(), spec)).line,
      remove: async (id) => (await removeKey(desk(), id)).line,
      domainKey: async () => await shareDomain(desk()),
    });
  } finally {
    await depot.close();
  }
}
