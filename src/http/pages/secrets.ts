import { SecretFormPage, SecretsPage } from "../../../views/secrets.tsx";
import { publicId } from "../../platform/ids.ts";
import { secretBody, secretPatch } from "../../vault/secret_shapes.ts";
import type { Secret, Secrets } from "../../vault/secrets.ts";
import { createWitness } from "../api/recorder.ts";
import { mayWiden } from "../api/secrets.ts";
import type { Route } from "../route.ts";
import { validate } from "../validation.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { withNotice } from "./notices.ts";
import { action, faultsOf, htmlAnswer, page } from "./page.ts";

/** Credentials: what goes in never comes out. */
export function secretPages({ secrets }: { secrets: Secrets }): Route[] {
  const witness = createWitness("secret");

  return [
    page({
      path: "/secrets",
      access: "viewer",
      query: { before: beforeQuery("secret") },
      async show({ query: { before } }, frame) {
        const cursor = before === null ? undefined : publicId("secret", before);
        const { data, next } = await secrets.list({ limit: PAGE_ROWS, cursor });
        return SecretsPage({ frame, secrets: data, pager: pagerOf("/secrets", {}, { before, next }) });
      },
    }),

    page({
      path: "/secrets/new",
      access: "editor",
      show: (_request, frame) =>
        SecretFormPage({ frame, secret: null, form: { name: "", kind: "bearer", hosts: "" }, faults: {} }),
    }),

    action({
      path: "/secrets",
      access: "editor",
      async perform(request, frame) {
        const { name = "", kind = "bearer", hosts = "" } = request.body;
        try {
          const value = typedValue(kind, request.body, "");
          const body = validate(secretBody, { name, kind, value, hosts: typedHosts(hosts) }, "form");
          const told = { name: body.name, kind: body.kind, hosts: body.hosts };
          const witnessed = witness<Secret>(request, "create", told);
          const secret = await secrets.create(body, witnessed);
          return withNotice(`/secrets/${secret.id}`, "created");
        } catch (error) {
          const shown = {
            frame,
            secret: null,
            form: { name, kind, hosts, typed: request.body },
            faults: faultsIn(error, kind),
          };
          return htmlAnswer(422, SecretFormPage(shown));
        }
      },
    }),

    page({
      path: "/secrets/:id",
      access: "viewer",
      async show({ id }, frame) {
        const secret = await secrets.get(id);
        return SecretFormPage({ frame, secret, form: { ...secret, hosts: shownHosts(secret) }, faults: {} });
      },
    }),

    action({
      path: "/secrets/:id",
      access: "editor",
      async perform(request, frame) {
        const secret = await secrets.get(request.id);
        const { name = secret.name, hosts = shownHosts(secret) } = request.body;
        try {
          const value = typedValue(secret.kind, request.body, undefined);
          const given = value === undefined ? {} : { value };
          // Named only where they change: that may take an admin.
          const bound = hosts === shownHosts(secret) ? {} : { hosts: typedHosts(hosts) };
          const patch = validate(secretPatch, { name, ...given, ...bound }, "form");
          const changed = Object.keys(patch);
          const witnessed = witness<Secret>(request, "update", (made) => ({ changed, hosts: made.hosts }));
          await secrets.patch(request.id, patch, witnessed, mayWiden(request.principal));
          return withNotice(`/secrets/${request.id}`, "saved");
        } catch (error) {
          const form = { name, kind: secret.kind, hosts, typed: request.body };
          return htmlAnswer(422, SecretFormPage({ frame, secret, form, faults: faultsIn(error, secret.kind) }));
        }
      },
    }),

    action({
      path: "/secrets/:id/delete",
      access: "editor",
      async perform(request) {
        await secrets.delete(request.id, witness(request, "delete"));
        return withNotice("/secrets", "deleted");
      },
    }),
  ];
}

function shownHosts({ hosts }: Secret): string {
  return hosts?.join(", ") ?? "";
}

function typedHosts(text: string): string[] | null {
  const hosts = text.split(/[\s,]+/).filter((host) => host !== "");
  return hosts.length === 0 ? null : hosts;
}

/** The members of a value, by its kind, and the fields that they are typed into. */
const FIELDS: Record<string, Record<string, string>> = {
  basic: { username: "username", password: "password" },
  header: { name: "header_name", value: "header_value" },
  query: { name: "query_name", value: "query_value" },
  oauth2_client_credentials: {
    token_url: "token_url",
    client_id: "client_id",
    client_secret: "client_secret",
    scope: "scope",
  },
};

/** Each fault at its field; of a value as a whole, at the first. */
function faultsIn(error: unknown, kind: string): Record<string, string> {
  const fields = FIELDS[kind] ?? { token: "token" };
  return faultsOf(error, (pointer) => {
    const [, first = "", member = ""] = pointer.split("/");
    return first === "value" ? (fields[member] ?? Object.values(fields)[0] ?? "") : first;
  });
}

/** The value of a kind from its fields. Empty ones are left out, so that a change touches only what was typed. */
function typedValue(kind: string, fields: Record<string, string>, nothing: "" | undefined): unknown {
  if (kind === "bearer") return fields.token || nothing;
  const given = Object.entries(FIELDS[kind] ?? {}).flatMap(([name, field]) =>
    fields[field] ? [[name, fields[field]]] : [],
  );
  if (given.length === 0 && nothing === undefined) return undefined;
  return Object.fromEntries(given);
}
