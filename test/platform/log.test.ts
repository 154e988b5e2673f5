import { expect, test } from "bun:test";
import { createLog, type LogFormat, type LogLevel } from "../../src/platform/log.ts";

function logging(format: LogFormat, level: LogLevel = "debug") {
  const lines: string[] = [];
  return { log: createLog({ level, format, write: (line) => void lines.push(line) }), lines };
}

test("JSON lines carry time, level, message and fields", () => {
  const { log, lines } = logging("json");
  log.info("delivered", { id: "dlv_1", ms: 12, last: true, error: null, nothing: undefined });
  const line = JSON.parse(lines[0] ?? "");
  expect(line).toEqual({
    time: line.time,
    level: "info",
    message: "delivered",
    id: "dlv_1",
    ms: 12,
    last: true,
    error: null,
  });
  expect(Math.abs(Date.parse(line.time) - Date.now())).toBeLessThan(60_000);
});

test("each fact is one line, whatever strangers put into it", () => {
  const nasty = "a\nb\r\u2028c\u001b[31m\u0000";
  for (const format of ["json", "pretty"] as const) {
    const { log, lines } = logging(format);
    log.warn(`reply: ${nasty}`, { body: nasty });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd()).not.toMatch(/[\n\r]/);
    expect(lines[0]).not.toContain("\u0000");
    expect(lines[0]?.endsWith("\n")).toBe(true);
  }
});

test("nothing from a stranger drives the terminal", () => {
  const { log, lines } = logging("pretty");
  log.info("x", { body: "\u001b]0;owned\u0007" });
  expect(lines[0]).not.toContain("\u001b]");
  expect(lines[0]).not.toContain("\u0007");
});

test("a pretty line reads time level message key=value, and leaves out what is not there", () => {
  const { log, lines } = logging("pretty");
  log.error("no answer", { host: "example.com", gone: undefined, code: null });
  expect(Bun.stripANSI(lines[0] ?? "")).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} error no answer host=example\.com code=null\n$/,
  );
});

test.each([
  ["debug", ["debug", "info", "warn", "error"]],
  ["info", ["info", "warn", "error"]],
  ["warn", ["warn", "error"]],
  ["error", ["error"]],
] as [LogLevel, string[]][])("at level %s it says %j", (level, said) => {
  const { log, lines } = logging("json", level);
  for (const name of ["debug", "info", "warn", "error"] as const) log[name]("x");
  expect(lines.map((line) => JSON.parse(line).level)).toEqual(said);
});

test("a log of a log keeps the fields of both; the line's own win", () => {
  const { log, lines } = logging("json");
  log.with({ node: "a", pool: "x" }).with({ pool: "y" }).info("m", { node: "b" });
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ node: "b", pool: "y" });
});
