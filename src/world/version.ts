import pkg from '../../package.json' with { type: 'json' };

/** Of the program as it was when it was loaded. */
export const VERSION: string = pkg.version;
