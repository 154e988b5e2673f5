import { z } from "zod";
import { normalPattern } from "../platform/host_patterns.ts";
import type { Credential } from "./credentials.ts";

const text = (max: number) =>
  z
    .string()
    .min(1, "write at least one character")
    .max(max, `write at most ${max} characters`)
    .refine((value) => value.isWellFormed(), "write valid Unicode");
// Anything else could end the header and start another one (RFC 9110, 5.5).
const headerValue = text(8192).regex(/^[\t\x20-\x7e\x80-\xff]*$/, "write Latin characters only, without line breaks");
const headerName = text(128).regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "write a header name such as X-Api-Key");
const tokenUrl = z.url({ protocol: /^https?$/, error: "write an http or https address" }).max(2048);

const VALUES = {
  bearer: headerValue,
  basic: z.strictObject({
    username: text(1024).refine((value) => !value.includes(":"), "a user name cannot contain a colon (RFC 7617)"),
    password: z
      .string()
      .max(8192)
      .refine((value) => value.isWellFormed(), "write valid Unicode"),
  }),
  header: z.strictObject({ name: headerName, value: headerValue }),
  query: z.strictObject({ name: text(128), value: text(8192) }),
  oauth2_client_credentials: z.strictObject({
    token_url: tokenUrl,
    client_id: text(1024),
    client_secret: text(8192),
    scope: text(2048).optional(),
  }),
};

export type SecretKind = keyof typeof VALUES;
export const SECRET_KINDS = Object.keys(VALUES) as SecretKind[];

// Postgres takes no NUL, and a control character in a name only serves to deceive.
const name = text(100)
  .trim()
  .min(1, "write at least one character that is no space")
  .regex(/^\P{Cc}*$/u, "write no control characters");
const host = z
  .string()
  .max(300)
  .transform((text, context): string => {
    const normal = normalPattern(text);
    if (normal !== null) return normal;
    const message = "write a host such as erp.example.com, *.example.com or 10.0.0.5:8080, without https://";
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });
const hosts = z.array(host).min(1, "name at least one host, or write null").max(50, "name at most 50 hosts").nullable();
const variant = <K extends SecretKind>(kind: K) =>
  z.strictObject({ name, kind: z.literal(kind), value: VALUES[kind], hosts: hosts.optional() });

/** The body that creates a secret. `value` is write-only: no answer carries it. It goes to `hosts` only, if there are any. */
export const secretBody = z.discriminatedUnion("kind", [
  variant("bearer"),
  variant("basic"),
  variant("header"),
  variant("query"),
  variant("oauth2_client_credentials"),
]);
export type SecretBody = z.infer<typeof secretBody>;

/** A merge patch (RFC 7396): members of `value` may be given one by one, unless the kind changes too. */
export const secretPatch = z.strictObject({
  name: name.optional(),
  kind: z.enum(SECRET_KINDS as [SecretKind, ...SecretKind[]]).optional(),
  value: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  hosts: hosts.optional(),
});
export type SecretPatch = z.infer<typeof secretPatch>;

/** What of a value is secret. The user name of `basic` too: many APIs take their key there, with an empty password. */
const SECRET_PARTS: Record<Exclude<SecretKind, "bearer">, readonly string[]> = {
  basic: ["username", "password"],
  header: ["value"],
  query: ["value"],
  oauth2_client_credentials: ["client_secret"],
};

/** Whether a patch of `value` replaces what is secret in it: whoever does that knows it. */
export function replacesSecret(kind: SecretKind, value: SecretPatch["value"]): boolean {
  if (kind === "bearer") return typeof value === "string";
  return typeof value === "object" && SECRET_PARTS[kind].every((part) => typeof value[part] === "string");
}

/** A checked body → the credential that requests are made with. */
export function toCredential(body: Pick<SecretBody, "kind" | "value" | "hosts">): Credential {
  const credential = unboundCredential(body);
  return body.hosts ? { ...credential, hosts: body.hosts } : credential;
}

function unboundCredential(body: Pick<SecretBody, "kind" | "value">): Credential {
  const { kind, value } = body as SecretBody;
  if (kind === "bearer") return { kind, token: value };
  if (kind !== "oauth2_client_credentials") return { kind, ...value } as Credential;
  return {
    kind,
    tokenUrl: value.token_url,
    clientId: value.client_id,
    clientSecret: value.client_secret,
    scope: value.scope ?? null,
  };
}
