export type Environment = Readonly<Record<string, string | undefined>>;

const MARK = /\$(\$+\{)|\$\{([^{}\n]*)(\}?)/g;
const NAMED = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/;
// Unicode keeps these two for a program's own use: they are in no text.
const OPEN = "\ufdd0";
const CLOSE = "\ufdd1";

/**
 * Puts the environment into a text: `${NAME}`, or `${NAME:-default}` for a variable that is unset or empty. One dollar
 * more (`$${NAME}`) stands for the characters themselves; a dollar without a brace, as in JSONPath, is left alone.
 * @param refuse is told what cannot be put in: a sentence
 */
export function fillIn(text: string, environment: Environment, refuse: (message: string) => void): string {
  return text.replace(MARK, (whole: string, literal: string | undefined, inside: string, end: string) => {
    if (literal !== undefined) return literal;
    const [, name, otherwise] = (end === "}" && NAMED.exec(inside)) || [];
    if (name === undefined) {
      refuse(`${whole} is no variable: write \${NAME} or \${NAME:-default}, and $\${ for the characters themselves`);
      return whole;
    }
    const value = environment[name];
    if (value === undefined && otherwise === undefined) {
      refuse(`the environment variable ${name} is not set: set it, or write \${${name}:-default}`);
    }
    return (otherwise === undefined ? value : value || otherwise) ?? "";
  });
}

/** The text that {@link fillIn} gives back as this one. */
export function escaped(text: string): string {
  return text.replace(/\$+\{/g, "$$$&");
}

/**
 * YAML takes the braces of a bare `${NAME}` inside `{…}` for its own. They are hidden while it is parsed; the length, and
 * so every position, stays.
 */
export function hideBraces(yaml: string): string {
  return yaml.replace(/\$\{([^{}\n]*)\}/g, `$$${OPEN}$1${CLOSE}`);
}

export function showBraces(text: string): string {
  return text.replaceAll(OPEN, "{").replaceAll(CLOSE, "}");
}
