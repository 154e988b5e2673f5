/**
 * An array as Postgres writes it, of values that need no quotes (ids, numbers, booleans, plain words). The driver's own
 * way costs more, and takes an array of booleans for a single one.
 */
export function arrayOf<T>(list: readonly T[], value: (each: T) => string | number | boolean | null): string {
  let text = "{";
  for (let i = 0; i < list.length; i++) text += `${i === 0 ? "" : ","}${value(list[i] as T) ?? "null"}`;
  return `${text}}`;
}
