export const ROLES = ["viewer", "editor", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** At most `max` requests in each `perMs`. */
export type RateLimit = { max: number; perMs: number };

/**
 * Who is asking: a person (session or login token), an API key, the command line on the database, which has every right
 * there, or nobody on an open route. `id` is the UUID.
 */
export type Principal =
  | { kind: "user"; id: string; name: string; role: Role }
  | { kind: "api_key"; id: string; name: string; role: Role; rateLimit?: RateLimit }
  | { kind: "cli"; id: null; name: string; role: "admin" }
  | { kind: "nobody" };

/** Whether a role may do what another at least is needed for. */
export function allows(principal: Principal, least: Role): boolean {
  return principal.kind !== "nobody" && atLeast(principal.role, least);
}

export function atLeast(role: Role, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}
