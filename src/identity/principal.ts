export const ROLES = ["viewer", "editor", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Who is asking: a person (session or login token), an API key, or nobody on an open route. */
export type Principal =
  | { kind: "user"; id: string; name: string; role: Role }
  | { kind: "api_key"; id: string; name: string; role: Role }
  | { kind: "nobody" };

/** Whether a role may do what another at least is needed for. */
export function allows(principal: Principal, least: Role): boolean {
  return principal.kind !== "nobody" && ROLES.indexOf(principal.role) >= ROLES.indexOf(least);
}
