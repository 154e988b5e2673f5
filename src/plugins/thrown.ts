import type { Hook, Place } from "./messages.ts";

const MAX_CHARS = 500;

/** A hook failed, or what it gave cannot be used: the plugin's doing, in a sentence that names it. */
export class HookError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "HookError";
  }
}

export function hookFailed(plugin: string, hook: Hook, thrown: unknown): HookError {
  return new HookError(`the ${hook} hook of "${plugin}" failed: ${describeWithPlace(thrown)}`, { cause: thrown });
}

export function describeWithPlace(thrown: unknown): string {
  const { message, place } = describeThrown(thrown);
  return place ? `${message} (${place.file}:${place.line}:${place.column})` : message;
}

/** What a plugin threw, whatever it was, as a sentence with the place. Never throws itself. */
export function describeThrown(thrown: unknown): { message: string; place: Place | null } {
  try {
    if (thrown instanceof HookError) return { message: cut(thrown.message), place: null };
    if (thrown instanceof Error) return { message: cut(`${thrown.name}: ${thrown.message}`), place: placeOf(thrown) };
    if (typeof thrown === "string") return { message: cut(`it threw the text ${JSON.stringify(thrown)}`), place: null };
    const shown = typeof thrown === "object" && thrown !== null ? "an object that is no Error" : String(thrown);
    return { message: `it threw ${cut(shown)}; throw an Error, which has a message and a place`, place: null };
  } catch {
    return { message: "it threw something that cannot even be described", place: null };
  }
}

/** The innermost frame in the plugin's own source; the host's frames are absolute paths, plugins' are relative ones. */
function placeOf(error: Error): Place | null {
  for (const line of String(error.stack).split("\n").slice(0, 30)) {
    const frame = /(?:\(|at )((?![/(]|node:|native|unknown|bun:|[A-Za-z]:\\)[^()\s]+?):(\d+):(\d+)\)?$/.exec(line);
    if (frame) return { file: frame[1] ?? "", line: Number(frame[2]), column: Number(frame[3]) };
  }
  return null;
}

function cut(text: string): string {
  const line = text.toWellFormed().replaceAll("\0", "");
  return line.length > MAX_CHARS ? `${line.slice(0, MAX_CHARS)}…` : line;
}
