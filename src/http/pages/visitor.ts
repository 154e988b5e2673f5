const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const YEAR_SECONDS = 31_536_000;

/** The look that a browser asked for by its cookie; `auto` follows the system's. */
export function themeOf(headers: Headers): Theme {
  const chosen = /(?:^|;\s*)deltahook_theme=(\w+)/.exec(headers.get("cookie") ?? "")?.[1];
  return THEMES.find((theme) => theme === chosen) ?? "auto";
}

/** The Set-Cookie value that keeps a look. */
export function themeCookie(wanted: string | undefined): string {
  const theme = THEMES.find((each) => each === wanted) ?? "auto";
  return `deltahook_theme=${theme}; Path=/; Max-Age=${YEAR_SECONDS}; SameSite=Lax`;
}

/** Only a path of this server: `//elsewhere` and `/\elsewhere` would lead away. */
export function localPath(path: string | undefined): string {
  if (!path || !/^\/(?![/\\])[^\s\\]*$/.test(path)) return "/";
  return path;
}
