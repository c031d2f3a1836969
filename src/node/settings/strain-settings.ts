import { z } from 'zod';
import type { Conditions } from '../../collect/parts.ts';
import { isAllowed } from './allowed.ts';
import type { ReadYaml } from './yaml-file.ts';

/** A program's path, or with its arguments as a list. No shell reads it. */
export const wordsShape = z
  .union([z.string(), z.array(z.string()).min(1)], 'expected a program, or a list of it and its arguments')
  .transform((words) => (typeof words === 'string' ? [words] : words));

export const allowShape = z.array(z.string().startsWith('/', 'expected an absolute path')).default([]);

/** What else the machine does and when that is too much (SEED 222), in center.yaml and relay.yaml. */
export const strainKeys = {
  load: z.number().positive('expected a load above 0').optional(),
  diskPressure: z.number().positive('expected a part from 0 to 1').max(1).optional(),
  notWhile: z.array(wordsShape).default([]),
  allow: allowShape,
};
const shape = z.strictObject(strainKeys);

/** @throws LowtideError `bad-config` with file, line, column and what was expected */
export function strainSettings(
  read: ReadYaml<z.infer<typeof shape>>,
): Pick<Conditions, 'ceilings' | 'notWhile'> {
  const { load, diskPressure, notWhile } = read.value;
  checkNotWhile(read);
  return { ceilings: { load: load ?? null, disk: diskPressure ?? null }, notWhile };
}

/** Only what the same file allows is run. */
export function checkNotWhile(read: ReadYaml<Pick<z.infer<typeof shape>, 'notWhile' | 'allow'>>): void {
  const { notWhile, allow } = read.value;
  for (const [at, [program = '']] of notWhile.entries()) {
    if (isAllowed(allow, program)) continue;
    throw read.bad(
      ['notWhile', at],
      `${JSON.stringify(program)} is not allowed: give the whole path of the program, and name it in 'allow'`,
    );
  }
}

/** The part of a new file that these settings are. */
export const STRAIN_TEXT = `# Above this load for each processor nothing new is started; and while this part of the time something waits for a disk.
# load: 1.5
# diskPressure: 0.4
# Programs that say whether something else must not be disturbed: while one ends with status 0, nothing is collected.
# What is run has to be named in 'allow', by its path or by a folder with a slash at its end.
# notWhile:
#   - [/usr/bin/pgrep, -x, ffmpeg]
# allow: [/usr/bin/pgrep]
`;
