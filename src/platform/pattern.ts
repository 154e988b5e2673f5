/**
 * Regular expressions in linear time: a pattern is compiled to a small machine that reads each character once
 * (Thompson, "Regular Expression Search Algorithm", 1968), since a backtracking engine can be frozen for hours by a
 * pattern such as `(a+)+b` on a text of its source's choice. I-Regexp (RFC 9485) and, beyond it, `^ $ \d \w \s`,
 * `(?:…)` and a leading `(?i)`; no back-references, no look-around.
 */
export type Pattern = {
  /** Whether the whole text matches. Only the first 65,536 characters are read. */
  readonly whole: (text: string) => boolean;
  /** Whether some part of the text matches. */
  readonly anywhere: (text: string) => boolean;
};

export type PatternFault = { message: string; position: number };

const MAX_TEXT = 65_536;
const MAX_STEPS = 2_000;

type Step =
  | { kind: "char"; accepts: (char: string) => boolean; next: number }
  | { kind: "fork"; next: number; other: number }
  | { kind: "start" | "end"; next: number }
  | { kind: "done" };

/** Compiles a pattern; a fault names its position, counted from 0. */
export function compilePattern(source: string): Pattern | PatternFault {
  try {
    const steps = new Compiler(source).compile();
    return { whole: (text) => run(steps, text, true), anywhere: (text) => run(steps, text, false) };
  } catch (error) {
    if (error instanceof PatternError) return { message: error.message, position: error.position };
    throw error;
  }
}

export function isPatternFault(pattern: Pattern | PatternFault): pattern is PatternFault {
  return "position" in pattern;
}

function run(steps: readonly Step[], text: string, whole: boolean): boolean {
  const chars = Array.from(text.slice(0, MAX_TEXT));
  let live: number[] = [];
  const seenAt = new Int32Array(steps.length).fill(-1);
  for (let at = 0; ; at++) {
    if (at === 0 || !whole) enter(0, at);
    if (live.some((index) => steps[index]?.kind === "done") && (!whole || at === chars.length)) return true;
    const char = chars[at];
    if (char === undefined || (whole && live.length === 0)) return false;
    const before = live;
    live = [];
    for (const index of before) {
      const step = steps[index];
      if (step?.kind === "char" && step.accepts(char)) enter(step.next, at + 1);
    }
  }

  /** Adds a step, and all that it leads to without reading a character. */
  function enter(first: number, at: number): void {
    const pending = [first];
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      const step = steps[index];
      if (step === undefined || seenAt[index] === at) continue;
      seenAt[index] = at;
      if (step.kind === "fork") pending.push(step.other, step.next);
      else if (step.kind === "char" || step.kind === "done") live.push(index);
      else if (step.kind === "start" ? at === 0 : at === chars.length) pending.push(step.next);
    }
  }
}

class PatternError extends Error {
  readonly position: number;

  constructor(message: string, position: number) {
    super(`${message} at position ${position}`);
    this.position = position;
  }
}

/** A parsed part of a pattern, not yet placed in the machine: repetition places it several times. */
type Part =
  | { kind: "char"; accepts: (char: string) => boolean }
  | { kind: "start" | "end" }
  | { kind: "all"; parts: Part[] }
  | { kind: "any"; parts: Part[] }
  | { kind: "repeat"; part: Part; least: number; most: number };

class Compiler {
  #at = 0;
  #depth = 0;
  readonly #source: string;
  readonly #flags: string;
  readonly #steps: Step[] = [];

  constructor(source: string) {
    this.#source = source;
    this.#flags = source.startsWith("(?i)") ? "iu" : "u";
    if (this.#flags === "iu") this.#at = 4;
  }

  compile(): Step[] {
    const part = this.#choice();
    if (this.#at < this.#source.length) throw this.#fault("unexpected )");
    const done = this.#add({ kind: "done" });
    const first = this.#place(part, done);
    return moveToFront(this.#steps, first);
  }

  #choice(): Part {
    const parts = [this.#sequence()];
    while (this.#take("|")) parts.push(this.#sequence());
    return parts.length === 1 && parts[0] ? parts[0] : { kind: "any", parts };
  }

  #sequence(): Part {
    const parts: Part[] = [];
    while (this.#at < this.#source.length && this.#peek() !== "|" && this.#peek() !== ")") parts.push(this.#repeated());
    return { kind: "all", parts };
  }

  #repeated(): Part {
    let part = this.#atom();
    for (;;) {
      const count = this.#count();
      if (count === null) return part;
      // Lazy or greedy makes no difference to whether a text matches.
      this.#take("?");
      part = { kind: "repeat", part, ...count };
    }
  }

  #count(): { least: number; most: number } | null {
    if (this.#take("*")) return { least: 0, most: Infinity };
    if (this.#take("+")) return { least: 1, most: Infinity };
    if (this.#take("?")) return { least: 0, most: 1 };
    const match = this.#match(/\{(\d{1,4})(,?)(\d{0,4})\}/y);
    if (match === null) return null;
    const least = Number(match[1]);
    const most = match[2] === "" ? least : match[3] === "" ? Infinity : Number(match[3]);
    if (most < least) throw this.#fault("a repetition that ends below its start");
    return { least, most };
  }

  #atom(): Part {
    if (this.#take("(")) return this.#group();
    if (this.#take("^")) return { kind: "start" };
    if (this.#take("$")) return { kind: "end" };
    if (this.#take(".")) return { kind: "char", accepts: (char) => char !== "\n" && char !== "\r" };
    const set = this.#match(/\[(?:[^\]\\]|\\[\s\S])+\]/y) ?? this.#match(/\\(?:p\{[^}]*\}|P\{[^}]*\}|[^pPbBkxuc0-9])/y);
    if (set !== null) return { kind: "char", accepts: this.#oneOf(set[0]) };
    const literal = String.fromCodePoint(this.#source.codePointAt(this.#at) ?? 0);
    if ("*+?{}[]\\".includes(literal))
      throw this.#fault(`${literal} cannot stand here: write \\${literal} for itself,`);
    this.#at += literal.length;
    if (this.#flags === "iu") return { kind: "char", accepts: this.#oneOf(`[${literal === "-" ? "\\-" : literal}]`) };
    return { kind: "char", accepts: (char) => char === literal };
  }

  #group(): Part {
    if (!this.#match(/\?:/y) && this.#peek() === "?")
      throw this.#fault("look-around and named groups are not available");
    if (++this.#depth > 100) throw this.#fault("groups nested too deep");
    const part = this.#choice();
    if (!this.#take(")")) throw this.#fault("a group that is not closed");
    this.#depth--;
    return part;
  }

  /** One character at a time, so that the engine's own matching has nothing to backtrack into. */
  #oneOf(set: string): (char: string) => boolean {
    try {
      const expression = new RegExp(`^${set}$`, `${this.#flags}s`);
      return (char) => expression.test(char);
    } catch {
      throw new PatternError(`${set} is not a set of characters`, this.#at - set.length);
    }
  }

  /** Places a part in front of the step `next` and returns where it begins. */
  #place(part: Part, next: number): number {
    switch (part.kind) {
      case "char":
        return this.#add({ kind: "char", accepts: part.accepts, next });
      case "start":
      case "end":
        return this.#add({ kind: part.kind, next });
      case "all":
        return part.parts.reduceRight((after, each) => this.#place(each, after), next);
      case "any":
        return part.parts
          .map((each) => this.#place(each, next))
          .reduceRight((other, first) => this.#fork(first, other));
      case "repeat":
        return this.#placeRepeat(part, next);
    }
  }

  #placeRepeat({ part, least, most }: { part: Part; least: number; most: number }, next: number): number {
    let first = next;
    if (most === Infinity) {
      const loop: { kind: "fork"; next: number; other: number } = { kind: "fork", next, other: next };
      first = this.#add(loop);
      loop.next = this.#place(part, first);
    } else {
      for (let n = least; n < most; n++) first = this.#fork(this.#place(part, first), next);
    }
    for (let n = 0; n < least; n++) first = this.#place(part, first);
    return first;
  }

  #fork(next: number, other: number): number {
    return this.#add({ kind: "fork", next, other });
  }

  #add(step: Step): number {
    if (this.#steps.length >= MAX_STEPS) throw new PatternError("the pattern is too large: repeat less,", this.#at);
    return this.#steps.push(step) - 1;
  }

  #peek(): string {
    return this.#source.charAt(this.#at);
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source);
    if (match) this.#at = pattern.lastIndex;
    return match;
  }

  #fault(message: string): PatternError {
    return new PatternError(message, this.#at);
  }
}

/** The machine starts at step 0. */
function moveToFront(steps: readonly Step[], first: number): Step[] {
  return [{ kind: "fork", next: first + 1, other: first + 1 }, ...steps.map(shifted)];
}

function shifted(step: Step): Step {
  if (step.kind === "done") return step;
  if (step.kind === "fork") return { ...step, next: step.next + 1, other: step.other + 1 };
  return { ...step, next: step.next + 1 };
}
