import { type Config, loadConfig, SETTINGS, type SettingName } from "../platform/config.ts";
import { formatDuration } from "../platform/durations.ts";
import { answer, table } from "./answer.ts";

type Shown = { value: string | null; source: string };

/** Prints every setting as it takes effect, with its origin; secrets as `***`. */
export function showSettings(options: { json?: boolean }): void {
  const { config, sources } = loadConfig(process.env);
  const names = Object.keys(SETTINGS) as SettingName[];
  const shown = names.map((name): [SettingName, Shown] => {
    const variable = variableOf(process.env, name);
    const source = variable === null ? "default" : `${sources[name]} ${variable}`;
    return [name, { value: shownValue(config, name), source }];
  });
  const rows = shown.map(([name, { value, source }]) => [name, value ?? `(${fallback(name)})`, source]);
  answer(options.json, Object.fromEntries(shown), table(["setting", "value", "source"], rows));
}

/** The variable that `loadConfig` takes a setting from: the first of these that is set. */
function variableOf(env: Record<string, string | undefined>, name: string): string | null {
  const candidates = [`DELTAHOOK_${name}`, name].flatMap((variable) => [variable, `${variable}_FILE`]);
  return candidates.find((variable) => env[variable] !== undefined && env[variable] !== "") ?? null;
}

function shownValue(config: Config, name: SettingName): string | null {
  const value = config[name];
  if (value === null || (Array.isArray(value) && value.length === 0)) return null;
  if (name === "DATABASE_URL") return withoutPassword(String(value));
  if ("secret" in SETTINGS[name]) return "***";
  const isDuration = /_TIMEOUT$|^RETRY_DELAYS$|^RETAIN_/.test(name);
  const words = [value].flat().map((one) => (isDuration ? formatDuration(Number(one)) : String(one)));
  return words.join(",");
}

/** A query may carry a password as well. */
function withoutPassword(databaseUrl: string): string {
  const [, scheme, place] = /^(\w+:\/\/)(?:[^@/]*@)?([^?#]*)/.exec(databaseUrl) ?? [];
  return scheme === undefined ? "***" : `${scheme}***@${place}`;
}

/** What an unset setting means, in the words of the README's table. */
function fallback(name: SettingName): string {
  return SETTINGS[name].shown.replaceAll("`", "").replace(/; in the container .*$/, "");
}
