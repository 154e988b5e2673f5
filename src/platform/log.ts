export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "pretty" | "json";
export type LogFields = Record<string, string | number | boolean | null | undefined>;

export type Log = {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds these fields to every line. */
  with(fields: LogFields): Log;
};

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const COLOUR: Record<LogLevel, string> = { debug: "\x1b[2m", info: "\x1b[36m", warn: "\x1b[33m", error: "\x1b[31m" };

/** One line per fact: JSON lines for machines, `time level message key=value` for people. */
export function createLog(options: { level: LogLevel; format: LogFormat; write?: (line: string) => void }): Log {
  const write = options.write ?? ((line: string) => void process.stdout.write(line));
  const render = options.format === "json" ? renderJson : renderPretty;
  const make = (bound: LogFields): Log => {
    const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
      if (RANK[level] < RANK[options.level]) return;
      write(`${render(level, message, { ...bound, ...fields })}\n`);
    };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      with: (fields) => make({ ...bound, ...fields }),
    };
  };
  return make({});
}

/** A log that says nothing, for tests and one-shot commands. */
export const silentLog: Log = createLog({ level: "error", format: "json", write: () => {} });

function renderJson(level: LogLevel, message: string, fields: LogFields): string {
  return JSON.stringify({ time: new Date().toISOString(), level, message, ...fields });
}

function renderPretty(level: LogLevel, message: string, fields: LogFields): string {
  const time = new Date().toISOString().slice(11, 23);
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `\x1b[2m${key}=\x1b[0m${oneLine(value)}`)
    .join(" ");
  return `${time} ${COLOUR[level]}${level.padEnd(5)}\x1b[0m ${oneLine(message)}${rest ? ` ${rest}` : ""}`;
}

/** Log lines carry text from strangers (replies, URLs): nothing in them may start a line of its own or drive a terminal. */
function oneLine(value: LogFields[string]): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is taken out
  return String(value).replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
