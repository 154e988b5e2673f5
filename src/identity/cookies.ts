import { SESSION_MAX_MS } from "./sessions.ts";

/** `__Host-` binds the cookie to this very host over https (RFC 6265bis, 4.1.3.2); browsers refuse it over http. */
export function sessionCookieName(https: boolean): string {
  return https ? "__Host-deltahook" : "deltahook";
}

/** The Set-Cookie value that keeps a session's token in the browser. */
export function sessionCookie(token: string, https: boolean): string {
  return cookie(token, https, SESSION_MAX_MS / 1000);
}

/** The Set-Cookie value that takes it out again. */
export function endedSessionCookie(https: boolean): string {
  return cookie("", https, 0);
}

/** The session's token in a Cookie header, or null. */
export function readSessionCookie(header: string | undefined, https: boolean): string | null {
  const name = `${sessionCookieName(https)}=`;
  const found = header
    ?.split(";")
    .map((part) => part.trim())
    .find((part) => part.startsWith(name));
  return found?.slice(name.length) || null;
}

function cookie(value: string, https: boolean, maxAgeSeconds: number): string {
  const parts = [
    `${sessionCookieName(https)}=${value}`,
    "Path=/",
    `Max-Age=${maxAgeSeconds}`,
    "HttpOnly",
    "SameSite=Lax",
  ];
  return [...parts, ...(https ? ["Secure"] : [])].join("; ");
}
