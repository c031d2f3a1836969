import type { Command } from 'commander';
import { nativeLoader } from '../../world/system/native.ts';
import { absolute, type CommonOptions, type Context } from '../context.ts';
import { examine, fileSystemOf, type Result } from '../doctor/examine.ts';
import { action, newVerb } from '../verb.ts';

const WORDS: Readonly<Record<Result, string>> = {
  kept: 'kept',
  'not supported': 'not supported by this file system',
  'needs root': 'needs root',
  'not kept': 'NOT KEPT',
};

export function doctorVerb(): Command {
  return newVerb('doctor', {
    summary: 'Show what a backup of a file system keeps',
    about:
      'Makes one of everything that a file system may have in a new folder below PATH: odd names, links, holes, times, ' +
      'owners, attributes, flags. Backs it up, restores it beside, compares, and removes everything. The table says of ' +
      'each kind whether it came back; the exit code is 3 if anything was lost. What only root may make or give ' +
      'back is tried by root only. Nothing else below PATH is touched.',
    examples: [
      ['lowtide doctor ~', 'the file system of your home folder'],
      ['sudo lowtide doctor /srv --json', 'all that root may have, one JSON object a line'],
    ],
  })
    .argument('<PATH>', 'a folder that you may write to, on the file system in question')
    .action(action(doctor));
}

async function doctor(context: Context, path: string, _options: CommonOptions): Promise<number> {
  const { world, output, stop } = context;
  const folder = absolute(path);
  const fileSystem = fileSystemOf(folder);
  const findings = await examine(world, nativeLoader()().attributes, folder, stop);
  const root = process.geteuid!() === 0;
  output.line(`${folder}: ${fileSystem}, examined ${root ? 'by root' : 'by an ordinary user'}.`);
  output.line('');
  output.table(
    'kind',
    findings,
    [
      { title: 'OF', text: ({ group }) => group },
      { title: 'KIND', text: ({ name }) => name },
      { title: 'RESULT', text: ({ result, detail }) => resultText(result, detail) },
    ],
    '',
  );
  const count = (result: Result): number => findings.filter((finding) => finding.result === result).length;
  const [kept, lost, lacking, rights] = [
    count('kept'),
    count('not kept'),
    count('not supported'),
    count('needs root'),
  ];
  output.message({
    message_type: 'summary',
    path: folder,
    file_system: fileSystem,
    root,
    kept,
    not_kept: lost,
    not_supported: lacking,
    needs_root: rights,
  });
  output.line('');
  output.line(summaryLine(kept, lost, lacking, rights));
  return lost === 0 ? 0 : 3;
}

function resultText(result: Result, detail: string): string {
  return detail === '' ? WORDS[result] : `${WORDS[result]}: ${detail}`;
}

function summaryLine(kept: number, lost: number, lacking: number, rights: number): string {
  const parts = [`${kept} kept`];
  if (lacking > 0) parts.push(`${lacking} that this file system does not have`);
  if (rights > 0) parts.push(`${rights} that only root may make (run it as root to examine them)`);
  parts.push(lost === 0 ? 'nothing lost' : `${lost} LOST`);
  return `${parts.join(', ')}.`;
}
