/**
 * What a value that came from outside must be like: gives it with its type, or throws a `Misfit`. Nothing but what the
 * records of this room need: a library for it costs each start more than all the rest that reads a keyring.
 */
export type Shape<T> = (value: unknown) => T;

type Fields = Readonly<Record<string, Shape<unknown>>>;
type Fitted<Of extends Fields> = { [Name in keyof Of]: ReturnType<Of[Name]> };

/** Says what is wrong, and with which field. */
export class Misfit extends Error {
  readonly path: readonly (string | number)[];

  constructor(message: string, path: readonly (string | number)[] = []) {
    super(message);
    this.path = path;
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

function within<T>(key: string | number, shape: Shape<T>, value: unknown): T {
  try {
    return shape(value);
  } catch (error) {
    throw error instanceof Misfit ? new Misfit(error.message, [key, ...error.path]) : error;
  }
}

/** These fields, whatever else is there. */
export function having<Of extends Fields>(fields: Of): Shape<Fitted<Of>> {
  return (value) => {
    if (!isMap(value)) throw new Misfit('must be a map');
    const found: Record<string, unknown> = {};
    for (const [name, shape] of Object.entries(fields)) {
      if (!Object.hasOwn(value, name)) throw new Misfit('is missing', [name]);
      found[name] = within(name, shape, value[name]);
    }
    return found as Fitted<Of>;
  };
}

/** These fields and no others; those of `optional` may be left out. */
export function record<Of extends Fields>(fields: Of): Shape<Fitted<Of>>;
export function record<Of extends Fields, Optional extends Fields>(
  fields: Of,
  optional: Optional,
): Shape<Fitted<Of> & Partial<Fitted<Optional>>>;
export function record(fields: Fields, optional: Fields = {}): Shape<Readonly<Record<string, unknown>>> {
  const required = having(fields);
  return (value) => {
    const found: Record<string, unknown> = required(value);
    for (const [name, given] of Object.entries(value as object)) {
      if (Object.hasOwn(fields, name)) continue;
      if (!Object.hasOwn(optional, name)) throw new Misfit('is not known', [name]);
      found[name] = within(name, optional[name]!, given);
    }
    return found;
  };
}

/** One of several records, told by a field. */
export function oneOf<Cases extends Readonly<Record<string, Shape<unknown>>>>(
  field: string,
  cases: Cases,
): Shape<ReturnType<Cases[keyof Cases]>> {
  return (value) => {
    const kind = isMap(value) && Object.hasOwn(value, field) ? value[field] : undefined;
    if (typeof kind !== 'string' || !Object.hasOwn(cases, kind))
      throw new Misfit('is none of those known', [field]);
    return cases[kind]!(value) as ReturnType<Cases[keyof Cases]>;
  };
}

export function listOf<T>(item: Shape<T>, { min = 0, max = Infinity } = {}): Shape<T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw new Misfit('must be a list');
    if (value.length < min || value.length > max) throw new Misfit(`must have ${min} to ${max} items`);
    return value.map((each, at) => within(at, item, each));
  };
}

export function orNull<T>(shape: Shape<T>): Shape<T | null> {
  return (value) => (value === null ? null : shape(value));
}

export function literal<const T extends string | number>(...allowed: readonly T[]): Shape<T> {
  return (value) => {
    if (allowed.includes(value as T)) return value as T;
    throw new Misfit(`must be ${allowed.join(' or ')}`);
  };
}

/** The same shape, of which more must hold. */
export function where<T>(shape: Shape<T>, holds: (value: T) => boolean, message: string): Shape<T> {
  return (value) => {
    const found = shape(value);
    if (!holds(found)) throw new Misfit(message);
    return found;
  };
}

export const text: Shape<string> = (value) => {
  if (typeof value !== 'string') throw new Misfit('must be text');
  return value;
};

/** @param length in UTF-16 units */
export const textUpTo = (length: number): Shape<string> =>
  where(text, (value) => value.length <= length, `must have at most ${length} characters`);

export const flag: Shape<boolean> = (value) => {
  if (typeof value !== 'boolean') throw new Misfit('must be true or false');
  return value;
};

export const number: Shape<number> = (value) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Misfit('must be a number');
  return value;
};

/** A whole number from `min` to 2^53 - 1. */
export const countFrom =
  (min: number): Shape<number> =>
  (value) => {
    if (!Number.isSafeInteger(value) || (value as number) < min)
      throw new Misfit(`must be a whole number from ${min}`);
    return value as number;
  };

export const count = countFrom(0);

const bytes: Shape<Uint8Array> = (value) => {
  if (!(value instanceof Uint8Array)) throw new Misfit('must be bytes');
  return value;
};

/** Exactly `length` bytes. */
export const bytesOf = (length: number): Shape<Uint8Array> =>
  where(bytes, (value) => value.length === length, `must be ${length} bytes`);

export const bytesUpTo = (length: number): Shape<Uint8Array> =>
  where(bytes, (value) => value.length <= length, `must be at most ${length} bytes`);
