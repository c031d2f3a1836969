/** What travels in place of a value: a copy that shares no memory with it. */
export interface Copied<T> {
  readonly value: T;
  /** The byte arrays in it. */
  readonly arrays: readonly Uint8Array[];
  readonly bytes: number;
}

/**
 * Copies plain data: what any wire format could carry. Fields that are undefined are left out, as JSON and CBOR leave
 * them out; functions and objects of classes are refused, as they would not come out the same.
 */
export function copyMessage<T>(value: T): Copied<T> {
  const arrays: Uint8Array[] = [];
  const copy = (part: unknown): unknown => {
    if (typeof part === 'function' || typeof part === 'symbol') throw unsendable(part);
    if (part === null || typeof part !== 'object') return part;
    if (part instanceof Uint8Array) {
      const array = Uint8Array.from(part);
      arrays.push(array);
      return array;
    }
    if (Array.isArray(part)) return part.map(copy);
    const prototype: unknown = Object.getPrototypeOf(part);
    if (prototype !== Object.prototype && prototype !== null) throw unsendable(part);
    const fields: Record<string, unknown> = {};
    for (const name of Object.keys(part)) {
      const field = (part as Record<string, unknown>)[name];
      if (field !== undefined) fields[name] = copy(field);
    }
    return fields;
  };
  const copied = copy(value) as T;
  return { value: copied, arrays, bytes: arrays.reduce((sum, array) => sum + array.length, 0) };
}

function unsendable(part: unknown): TypeError {
  const what = typeof part === 'object' ? (part?.constructor.name ?? 'an object') : typeof part;
  return new TypeError(`${what} cannot be sent to another machine`);
}
