import { z } from 'zod';

/** What may stand in a scenario file (docs/simulate.md). Texts are read later, so that their mistakes get a place too. */
const share = z.number().min(0, 'expected 0 to 1').max(1, 'expected 0 to 1');

const distributionShape = z.strictObject({
  median: z.string().optional(),
  p95: z.string().optional(),
  least: z.string().optional(),
  most: z.string().optional(),
  pareto: z.number().positive('expected an exponent above 0').optional(),
});

export type SizesYaml = string | readonly string[] | z.infer<typeof distributionShape>;

/** One size, a list, or a distribution: told apart first, so that a mistake in it is named and not the union. */
const sizesShape = z.unknown().transform((value, context): SizesYaml => {
  const shape =
    typeof value === 'string'
      ? z.string()
      : Array.isArray(value)
        ? z.array(z.string()).min(1, 'expected at least one size')
        : distributionShape;
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) context.issues.push({ ...issue, input: value } as never);
  return z.NEVER;
});

const presenceShape = z.strictObject({
  hours: z.string(),
  chance: share.default(1),
  /** Comes and goes up to this much off. */
  jitter: z.string().default('0 s'),
});

const lineShape = z.strictObject({
  capacity: z.string(),
  rate: z.string().optional(),
  into: z.string().optional(),
  foreground: z.string().optional(),
  'foreground-flow': z.string().default('2 Mbit/s'),
});

const groupShape = z.strictObject({
  name: z.string().min(1, 'expected a name'),
  count: z.number().int('expected a whole number').min(1, 'expected 1 or more').max(2_000_000),
  lines: z.array(z.string()).default([]),
  windows: z.string().default('any'),
  zone: z.string().optional(),
  speed: z.string().default('100 Mbit/s'),
  sizes: sizesShape,
  backup: z.union([z.string(), z.array(z.string()).min(1)]).default('20:00'),
  spread: z.string().default('0 s'),
  target: z.string().optional(),
  deadline: z.string().optional(),
  age: z.string().default('24 h'),
  presence: z.array(presenceShape).optional(),
  'breaks-per-hour': z.number().min(0, 'expected 0 or more').default(0),
  mute: share.default(0),
  'size-error': share.default(0),
});

export const scenarioShape = z.strictObject({
  name: z.string().default('scenario'),
  zone: z.string(),
  from: z.string(),
  until: z.string(),
  seed: z.union([z.number(), z.string()]).default(1),
  yields: z.boolean().default(false),
  center: z.strictObject({
    windows: z.string().default('any'),
    streams: z
      .number()
      .int('expected a whole number')
      .min(0, 'expected 0 or more')
      .max(1_000_000)
      .default(1000),
    capacity: z.string().default('1 Gbit/s'),
    rate: z.string().optional(),
    'client-rate': z.string().default('unlimited'),
    'restore-share': z.number().min(0, 'expected 0 to 0.9').max(0.9, 'expected 0 to 0.9').default(0),
    foreground: z.string().optional(),
    'foreground-flow': z.string().default('10 Mbit/s'),
  }),
  lines: z.record(z.string(), lineShape).default({}),
  clients: z.array(groupShape).min(1, 'expected at least one group of clients'),
  outages: z.array(z.strictObject({ from: z.string(), until: z.string() })).default([]),
  restores: z
    .array(
      z.strictObject({ line: z.string().optional(), from: z.string(), until: z.string(), rate: z.string() }),
    )
    .default([]),
});

export type ScenarioYaml = z.infer<typeof scenarioShape>;
export type GroupYaml = z.infer<typeof groupShape>;
export type LineYaml = z.infer<typeof lineShape>;

/** The keys that may stand at a place of the file. */
export function scenarioKeysAt(place: readonly PropertyKey[]): readonly string[] {
  const [section, , part] = place;
  const { shape } = scenarioShape;
  if (section === 'center') return Object.keys(shape.center.shape);
  if (section === 'lines') return Object.keys(lineShape.shape);
  if (section === 'clients' && part === 'sizes') return Object.keys(distributionShape.shape);
  if (section === 'clients' && part === 'presence') return Object.keys(presenceShape.shape);
  if (section === 'clients') return Object.keys(groupShape.shape);
  if (section === 'outages') return ['from', 'until'];
  if (section === 'restores') return ['line', 'from', 'until', 'rate'];
  return Object.keys(shape);
}
