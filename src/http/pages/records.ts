import { AuditPage } from "../../../views/audit.tsx";
import { SettingsPage, type ShownSetting } from "../../../views/settings.tsx";
import { listAudit } from "../../identity/audit.ts";
import { type Config, SETTINGS, type SettingName } from "../../platform/config.ts";
import type { Database } from "../../platform/database.ts";
import { formatDuration } from "../../platform/durations.ts";
import { publicId } from "../../platform/ids.ts";
import { VERSION } from "../../platform/version.ts";
import { readNames } from "../names_store.ts";
import type { Route } from "../route.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { page } from "./page.ts";

/** Who did what, and how the server is set. */
export function recordPages({ database, config }: { database: Database; config: Config }): Route[] {
  return [
    page({
      path: "/audit",
      // As the API has it: it tells of people and their addresses.
      access: "admin",
      query: { before: beforeQuery("audit") },
      async show({ query: { before } }, frame) {
        const cursor = before === null ? undefined : publicId("audit", before);
        const { data, next } = await listAudit(database, { limit: PAGE_ROWS, cursor });
        const ids = data.map(({ resource }) => resource.id);
        const names = await readNames(database.sql, ids);
        return AuditPage({ frame, entries: data, names, pager: pagerOf("/audit", {}, { before, next }) });
      },
    }),

    page({
      path: "/settings",
      access: "editor",
      show: (_request, frame) => SettingsPage({ frame, settings: shownSettings(config), version: VERSION }),
    }),
  ];
}

/** Every setting, the secret ones only as set or not set. */
function shownSettings(config: Config): ShownSetting[] {
  return (Object.keys(SETTINGS) as SettingName[]).map((name) => {
    const { meaning, fallback } = SETTINGS[name];
    const value: unknown = config[name];
    const isSecret = "secret" in SETTINGS[name];
    const isDefault = JSON.stringify(value) === JSON.stringify(fallback);
    return {
      name,
      meaning,
      isDefault,
      value: isSecret ? (isDefault ? "not set" : "set, not shown") : shown(name, value),
    };
  });
}

/** Counts are numbers too: what is a duration is told by its name. */
const DURATIONS = /^(?:RETRY_DELAYS|.*_TIMEOUT|RETAIN_.*)$/;
const SIZES = [
  ["GiB", 1_073_741_824],
  ["MiB", 1_048_576],
] as const;

function shown(name: string, value: unknown): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return "not set";
  const size = name.endsWith("_BYTES") ? SIZES.find(([, bytes]) => Number(value) % bytes === 0) : undefined;
  if (size) return `${Number(value) / size[1]} ${size[0]}`;
  const one = (each: unknown) => (DURATIONS.test(name) ? formatDuration(Number(each)) : String(each));
  return Array.isArray(value) ? value.map(one).join(", ") : one(value);
}
