import { defineConfig, type OxlintOverride } from 'oxlint';

/** The rooms and the rooms each may import from. An arrow that is not listed here does not exist. */
const rooms: Record<string, string[]> = {
  model: [],
  format: ['model'],
  schedule: ['model'],
  world: ['model'],
  depot: ['model', 'format', 'world'],
  ledger: ['model', 'format', 'world'],
  backup: ['model', 'format', 'world', 'depot'],
  restore: ['model', 'format', 'world', 'depot'],
  protocol: ['model', 'format'],
  collect: ['model', 'format', 'world', 'protocol', 'depot', 'ledger', 'schedule'],
  uplink: ['model', 'format', 'world', 'protocol', 'depot', 'ledger', 'schedule'],
  identity: ['model', 'format', 'world', 'ledger'],
  simulate: ['model', 'schedule'],
  node: [
    'model',
    'format',
    'schedule',
    'world',
    'depot',
    'ledger',
    'backup',
    'restore',
    'protocol',
    'collect',
    'uplink',
    'identity',
  ],
  http: ['model', 'format', 'world', 'protocol', 'identity', 'node', 'ledger'],
  sim: [
    'model',
    'format',
    'schedule',
    'world',
    'depot',
    'ledger',
    'backup',
    'restore',
    'protocol',
    'collect',
    'uplink',
    'identity',
    'node',
  ],
};

const ambientCrypto = {
  name: 'node:crypto',
  importNames: [
    'randomBytes',
    'randomInt',
    'randomUUID',
    'randomFill',
    'randomFillSync',
    'getRandomValues',
    'generateKey',
    'generateKeySync',
    'generateKeyPair',
    'generateKeyPairSync',
    'webcrypto',
  ],
  message: 'Randomness comes in through World.random.',
};
const ambientModules = [
  'node:fs',
  'node:fs/promises',
  'node:net',
  'node:tls',
  'node:http',
  'node:https',
  'node:dgram',
  'node:child_process',
  'node:worker_threads',
  'node:timers',
  'node:timers/promises',
  'node:sqlite',
  'node:os',
  'node:process',
  'koffi',
].map((name) => ({ name, message: 'The ambient world comes in through World (DESIGN 3).' }));

const ambientGlobals = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'queueMicrotask',
  'console',
  'process',
  'performance',
  'fetch',
  'crypto',
].map((name) => ({ name, message: 'The ambient world comes in through World (DESIGN 3).' }));
const ambientProperties = [
  { object: 'Date', property: 'now' },
  { object: 'Temporal', property: 'Now' },
  { object: 'Math', property: 'random' },
  { object: 'AbortSignal', property: 'timeout' },
].map((rule) => ({ ...rule, message: 'The ambient world comes in through World (DESIGN 3).' }));

/** cli is the top: nobody imports it, and it may import everything. */
const forbiddenRooms = (room: string, allowed: string[]): string[] =>
  [...Object.keys(rooms), 'cli'].filter((other) => other !== room && !allowed.includes(other));

const ambientRooms = new Set(['world', 'http']);

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import'],
  categories: { correctness: 'error', suspicious: 'error' },
  ignorePatterns: ['node_modules', 'kernels', 'web'],
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-unsafe-type-assertion': 'off',
    'typescript/no-unnecessary-type-assertion': 'error',
    'eslint/no-shadow': 'off',
    'eslint/no-await-in-loop': 'off',
    'eslint/max-lines': ['error', { max: 700 }],
    'eslint/eqeqeq': 'error',
    'eslint/prefer-const': 'error',
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'import/no-unassigned-import': 'off',
    'unicorn/no-array-sort': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'unicorn/prefer-add-event-listener': 'off',
  },
  overrides: [
    ...Object.entries(rooms).map(([room, allowed]): OxlintOverride => ({
      files: [`src/${room}/**/*.ts`],
      rules: {
        'eslint/no-restricted-imports': [
          'error',
          {
            paths: ambientRooms.has(room) ? [] : [ambientCrypto, ...ambientModules],
            patterns: [
              {
                regex: `^(\\.\\./)+(${forbiddenRooms(room, allowed).join('|')})/`,
                message: `Room ${room} may import only from: ${allowed.join(', ') || 'nothing'}.`,
              },
            ],
          },
        ],
        ...(ambientRooms.has(room)
          ? {}
          : {
              'eslint/no-restricted-globals': ['error', ...ambientGlobals],
              'eslint/no-restricted-properties': ['error', ...ambientProperties],
              'eslint/no-console': 'error',
            }),
      },
    })),
    {
      files: ['src/**/*.test.ts', 'test/**', 'oxlint.config.ts'],
      rules: {
        'eslint/no-restricted-imports': 'off',
        'eslint/no-restricted-globals': 'off',
        'eslint/no-restricted-properties': 'off',
        'eslint/no-console': 'off',
        'typescript/no-floating-promises': 'off',
        'import/no-default-export': 'off',
      },
    },
  ],
});
