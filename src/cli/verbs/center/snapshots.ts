import type { Command } from 'commander';
import { LowtideError } from '../../../model/errors.ts';
import { type CenterId, shortId } from '../../../model/ids.ts';
import { Ledger } from '../../../ledger/ledger.ts';
import { loadAuthority } from '../../../identity/authority.ts';
import { loadClientIdentity } from '../../../identity/client-identity.ts';
import { centerPaths } from '../../../node/center/home.ts';
import { relayPaths } from '../../../node/relay/home.ts';
import { withLeftCenters } from '../../../node/left-names.ts';
import { catalog, type CatalogRow, historyLines, type HistoryLine } from '../../../node/center/view.ts';
import { type Context, dataFolder } from '../../context.ts';
import { copyText } from '../../copy-text.ts';
import { bytesText } from '../../../model/bytes-text.ts';
import { asIs, pairLines, plural, secondText, timeText } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { type NodeOptions, type NodeRole, withNodeData } from './options.ts';

interface CatalogOptions extends NodeOptions {
  readonly client?: string;
  readonly job?: string;
}

/** Of a center and of a relay. */
export function snapshotsVerb(role: NodeRole): Command {
  const verb = newVerb('snapshots', {
    summary: `List the backups that this ${role} has, ${role === 'relay' ? 'has passed on, ' : ''}or is to have`,
    about:
      'When a backup was taken and when it arrived are two facts; both are shown. Sizes and times are all that ' +
      `the ${role} can see: content and, for private jobs, paths are sealed.`,
    examples: [
      [`lowtide ${role} snapshots`, 'newest first'],
      [`lowtide ${role} snapshots --client ann-laptop --job documents`, 'of one computer and job'],
    ],
  });
  return withChoice(verb, role).action(
    action((context: Context, options: CatalogOptions) => snapshots(context, role, options)),
  );
}

/** Of a center and of a relay. */
export function ledgerVerb(role: NodeRole): Command {
  const verb = newVerb('ledger', {
    summary: 'Show what happened to each backup: address, files, times and transfer history',
    about:
      `The management table of the ${role}: from which address, which files, when taken, and every step of its ` +
      'way here with bytes and reasons.',
    examples: [
      [`lowtide ${role} ledger --client ann-laptop`, 'everything of one computer, newest first'],
      [`lowtide ${role} ledger 3f2a91`, 'one snapshot'],
    ],
  });
  return withChoice(verb, role)
    .argument('[SNAPSHOT]', 'the first digits of an id; all without')
    .action(
      action((context: Context, text: string | undefined, options: CatalogOptions) =>
        ledger(context, role, text, options),
      ),
    );
}

const withChoice = (verb: Command, role: NodeRole): Command =>
  withNodeData(verb, role)
    .option('--client <NAME>', 'of this computer only')
    .option('--job <NAME>', 'of this job only');

/** Of the centers above a relay. */
type CenterNames = ReadonlyMap<CenterId, string>;

/** Reads beside the running node. */
async function withLedger<T>(
  { world }: Context,
  role: NodeRole,
  options: CatalogOptions,
  work: (ledger: Ledger, rows: readonly CatalogRow[], names: CenterNames) => Promise<T>,
): Promise<T> {
  const data = dataFolder(role, options.data);
  const paths = role === 'center' ? centerPaths(data) : relayPaths(data);
  const { face } = await loadAuthority(world, paths.identity, role);
  const ledger = await Ledger.openReadOnly(world, paths.ledger);
  try {
    const { client, job } = options;
    const query = {
      center: face.id,
      ...(client !== undefined && { client }),
      ...(job !== undefined && { job }),
    };
    const above = role === 'relay' ? (await loadClientIdentity(world, paths.identity)).centers : [];
    const known = above
      .flatMap(({ face, centers }) => [face, ...centers])
      .map(({ id, name }) => ({ id, name, ways: [] }));
    const centers = role === 'relay' ? await withLeftCenters(ledger, known) : [];
    const names = new Map(centers.map(({ id, name }) => [id, name]));
    return await work(ledger, await catalog(ledger.db, query), names);
  } finally {
    await ledger.close();
  }
}

const jsonOf = ({ takenAt, arrivedAt, ...row }: CatalogRow) => ({
  ...row,
  taken_at: takenAt,
  arrived_at: arrivedAt,
});

async function snapshots(context: Context, role: NodeRole, options: CatalogOptions): Promise<void> {
  const { output, world } = context;
  const { zone } = world.clock;
  const now = world.clock.now();
  await withLedger(context, role, options, async (_ledger, rows) => {
    output.table(
      'snapshot',
      rows.map(jsonOf),
      [
        { title: 'Snapshot', text: ({ id }) => shortId(id) },
        { title: 'Computer', text: ({ clientName }) => clientName },
        { title: 'Job', text: ({ job }) => job },
        { title: `Taken (${zone})`, text: ({ taken_at }) => timeText(taken_at, zone) },
        {
          title: `Arrived (${zone})`,
          text: ({ arrived_at }) => (arrived_at === null ? '-' : timeText(arrived_at, zone)),
        },
        { title: 'Size', align: 'right', text: ({ bytes }) => bytesText(bytes) },
        { title: 'State', text: (row) => stateText(row, role, zone, now), below: asIs },
        { title: 'Files', text: ({ files }) => plural(files, 'file'), below: asIs },
        { title: 'On the line', text: lineText, below: asIs },
        { title: 'Paths', text: ({ paths }) => paths ?? '(private)', below: asIs },
      ],
      'There is no backup yet.',
    );
    if (rows.length > 0) output.line(`${plural(rows.length, 'snapshot')}.`);
  });
}

/** What had to travel, and from where. */
function lineText({
  newBytes,
  arrived_at,
  address,
  via,
}: Pick<CatalogRow, 'newBytes' | 'address' | 'via'> & { readonly arrived_at: number | null }): string {
  const from = address === null ? '' : ` from ${address}`;
  const by = via.length === 0 ? '' : ` by ${wayText(via)}`;
  return `${bytesText(newBytes)} ${arrived_at === null ? 'to travel' : 'travelled'}${by}${from}`;
}

/** Relays, the nearest to the computer first. */
const wayText = (via: readonly string[]): string => via.join(', then ');

function stateText(
  row: Pick<CatalogRow, 'phase' | 'code' | 'until' | 'complete' | 'kept'>,
  role: NodeRole,
  zone: string,
  now: number,
): string {
  const state = hereText(row) ?? copyText(row, `this ${role}`, zone, now, 'node');
  return row.complete ? state : `${state} (partial)`;
}

/** A relay's own copy is held for ever, whether the blocks are still here or not. */
function hereText({ phase, code, kept }: Pick<CatalogRow, 'phase' | 'code' | 'kept'>): string | null {
  // Why it waits is known to the running node's planner alone.
  if (phase === 'waiting' && code === '') return 'offered, not here yet';
  if (phase === 'safe') return 'here';
  if (phase === 'held') return kept ? 'in custody here' : 'passed on';
  return null;
}

async function ledger(
  context: Context,
  role: NodeRole,
  text: string | undefined,
  options: CatalogOptions,
): Promise<void> {
  const { output } = context;
  await withLedger(context, role, options, async (ledger, rows, names) => {
    const wanted = text === undefined ? rows : [rowNamed(rows, role, text)];
    if (wanted.length === 0) output.line('There is no backup yet.');
    for (const row of wanted) showRow(context, row, await historyLines(ledger.db, row.id), names);
  });
}

function rowNamed(rows: readonly CatalogRow[], role: NodeRole, text: string): CatalogRow {
  const matches = text === '' ? [] : rows.filter(({ id }) => id.startsWith(text.toLowerCase()));
  const [match] = matches;
  if (match !== undefined && matches.length === 1) return match;
  if (match !== undefined) {
    throw new LowtideError(
      'ambiguous-snapshot',
      `${matches.length} snapshots start with ${text}: give more digits`,
    );
  }
  throw new LowtideError(
    'no-such-snapshot',
    `there is no snapshot ${text}: 'lowtide ${role} snapshots' lists them`,
  );
}

/** Of a pulled one nobody is noted: the history says so. */
function broughtText({ via, address }: Pick<CatalogRow, 'via' | 'address'>): string {
  if (via.length === 0) return address === null ? '-' : 'the computer itself';
  return `${via.length === 1 ? 'relay' : 'relays'} ${wayText(via)}`;
}

function showRow(
  { output, world }: Context,
  row: CatalogRow,
  history: readonly HistoryLine[],
  names: CenterNames,
): void {
  const { zone } = world.clock;
  output.message({ message_type: 'snapshot', ...jsonOf(row), history });
  const facts = [
    ['computer', `${row.clientName} (${row.client.slice(0, 12)})`],
    [row.arrivedAt === null ? 'offered by' : 'brought by', broughtText(row)],
    ['address', row.address ?? '-'],
    ['job', row.job],
    ['paths', row.paths ?? '(private)'],
    [
      'content',
      `${plural(row.files, 'file')}, ${bytesText(row.bytes)}; ${bytesText(row.newBytes)} to travel`,
    ],
    ['taken', `${secondText(row.takenAt, zone)} ${zone}`],
    ['arrived', row.arrivedAt === null ? 'not yet' : `${secondText(row.arrivedAt, zone)} ${zone}`],
  ] as const;
  output.result(`Snapshot ${row.id}${row.complete ? '' : ' (partial)'}`);
  for (const line of pairLines(facts)) output.result('  ' + line);
  for (const { at, what, center, by, address, bytes, code } of history) {
    const from = [
      ...(by === null || by === row.clientName ? [] : [by]),
      ...(address === null ? [] : [address]),
    ];
    const details = [
      ...(center !== null && names.has(center) ? [names.get(center)!] : []),
      ...(bytes > 0 ? [bytesText(bytes)] : []),
      ...(from.length === 0 ? [] : [`from ${from.join(' at ')}`]),
      ...(code === '' ? [] : [code]),
    ];
    output.result(`    ${secondText(at, zone)}  ${what.padEnd(9)}  ${details.join(', ')}`.trimEnd());
  }
  output.result('');
}
