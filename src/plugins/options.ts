/** The options of one plugin of a use: all of them when it stands alone, else those under its name. */
export function optionsOf(names: readonly string[], all: unknown, name: string): unknown {
  if (names.length === 1) return all;
  return (all as Record<string, unknown>)[name] ?? {};
}
