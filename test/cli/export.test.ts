// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of the file
import { expect, test } from "bun:test";
import fc from "fast-check";
import { readDocument } from "../../src/cli/as_code/document.ts";
import { readDeclaration } from "../../src/cli/as_code/file.ts";
import { planChanges } from "../../src/cli/as_code/plan.ts";
import { type Body, judge, type Kind } from "../../src/cli/as_code/resources.ts";
import type { Server, Standing } from "../../src/cli/as_code/standing.ts";
import { lineOf } from "../../src/cli/as_code/words.ts";
import { declarationOf, yamlOf } from "../../src/cli/as_code/written.ts";
import { type Json, parseJson, stringifyJson } from "../../src/platform/json.ts";

const NO_CHECK = () => null;

function exported(server: Server): string {
  return yamlOf(declarationOf(server), " heading");
}

function planned(text: string, server: Server) {
  const { value, faults } = readDocument(text, {});
  const declaration = readDeclaration(value, NO_CHECK, () => false);
  const plan = planChanges(declaration, server, { prune: true, keepSecrets: false });
  return { ...plan, faults: [...faults, ...plan.faults] };
}

test("whatever a server has, its export changes nothing when it is applied", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.constantFrom("${X}", "$${X}", "$", "<<", "a: b # c", "yes", "1", "~", "- a", "'", '"', "*a", "30s", "\n", " x "),
  );
  const name = text.map((some) => some.replace(/[\p{Cc}\p{Cs}]/gu, "").trim() || "name");
  const member = name.filter((some) => !/^__proto__$|^item/.test(some));
  const number = fc.oneof(
    fc.constantFrom("12345678901234567890", "0.1", "1e400", "-7").map((digits) => parseJson(digits)),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  );
  const value = fc.letrec<{ json: Json }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 3 },
      text.map((some) => some.toWellFormed().replaceAll("\0", "")),
      number,
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("json"), { maxLength: 3 }),
      fc.dictionary(member, tie("json"), { maxKeys: 3 }),
    ),
  })).json;
  const field = fc.oneof(
    fc.constantFrom<Body | string>("$.a", "$[?@.b == '${X}']"),
    fc.record(
      {
        path: fc.constant("$.a.b"),
        dialect: fc.constantFrom("rfc9535", "plus"),
        tolerance: fc.constant({ absolute: 0.01 }),
        missing_after: fc.integer({ min: 1, max: 9 }),
        take: fc.constantFrom("all", "first"),
      },
      { requiredKeys: ["path"] },
    ),
  );
  const items = fc.record(
    {
      path: fc.constant("$[*]"),
      key: fc.constant("$.id"),
      fields: fc.dictionary(fc.constantFrom("item a", "item: b"), field, { minKeys: 1 }),
      removed_after: fc.integer({ min: 1, max: 3 }),
      window: fc.boolean(),
      guard: fc.boolean(),
    },
    { requiredKeys: ["path", "key", "fields"] },
  );
  const pagination = fc.constantFrom(
    { type: "link" },
    { type: "link", path: "$.next", max_pages: 3 },
    { type: "cursor", path: "$.c", param: "cursor" },
    { type: "page", first: 0 },
    { type: "offset", limit: 7, param: "skip" },
  );
  const watch = fc
    .record(
      {
        name,
        request: fc.record(
          {
            method: fc.constant("POST"),
            url: fc.constantFrom("https://a.example/?a=${X}", "https://b.example/"),
            headers: fc.constantFrom({ "X-Api-Key": "***", "X-A": "no" }, {}),
            query: fc.constantFrom({ q: ["1", "~"], n: 1.5 }, {}),
            body: value,
          },
          { requiredKeys: ["url", "method"] },
        ),
        schedule: fc.constantFrom({ every: "30s" }, { every: 90 }, { cron: "0 5 * * *", timezone: "Europe/Rome" }),
        fields: fc.dictionary(member, field, { minKeys: 1, maxKeys: 3 }),
        items,
        pagination,
        conditions: value.map((one) => [{ field: "f", op: "becomes", value: one }]),
        plugin: fc.constantFrom("slack", ["slack"], []),
        plugin_options: fc.dictionary(member, value, { maxKeys: 2 }),
        emit_initial: fc.boolean(),
        missing_after: fc.integer({ min: 1, max: 3 }),
        secret: fc.constant("S ${X}"),
        endpoints: fc.constantFrom(["E"], ["E", "E"], []),
      },
      { requiredKeys: ["name", "request", "schedule", "fields"] },
    )
    .map((one) => ({ ...one, fields: { ...one.fields, f: "$.f" } }))
    .map(({ pagination, ...one }) => (one.items && pagination ? { ...one, pagination } : one));
  const endpoint = fc.record(
    {
      url: fc.constantFrom("https://a.example/${X}", "deltahook://play"),
      event_types: fc.constantFrom(["*"], ["order.*", "a"], []),
      filter: fc.constant("$[?@.data.amount > 100]"),
      headers: fc.constantFrom({ "X-Token": "***", "x-a": "off" }, {}),
      secret: fc.constant("S ${X}"),
      plugin: fc.constantFrom("slack", ["slack", "slack"], []),
      plugin_options: fc.dictionary(member, value, { maxKeys: 2 }),
      retry: fc.constantFrom({ delays: ["5s", "5m"] }, { delays: [] }, { attempts: 3, factor: 1.5 }),
      timeout: fc.constantFrom("15s", 30),
      rate_limit: fc.constant({ per: "1s", max: 3 }),
      max_in_flight: fc.integer({ min: 1, max: 64 }),
      ordered: fc.boolean(),
    },
    { requiredKeys: ["url"] },
  );

  function standing(kind: Kind, entry: unknown): Standing {
    const { resource, faults } = judge(kind, entry, NO_CHECK);
    if (resource === null) throw new Error(stringifyJson(faults));
    const { secret: _, endpoints: __, ...shown } = kind === "watch" ? resource.whole : resource.body;
    return { ...resource, body: parseJson(stringifyJson(shown)) as Body, id: `${kind}_${resource.name}` };
  }

  fc.assert(
    fc.property(watch, endpoint, (someWatch, someEndpoint) => {
      const server: Server = {
        secret: [standing("secret", { name: "S ${X}", kind: "basic" })],
        endpoint: [standing("endpoint", { ...someEndpoint, name: "E" })],
        watch: [standing("watch", someWatch)],
        implicit: new Set(),
        plugins: ["slack"],
      };
      for (const written of [exported(server), stringifyJson(declarationOf(server))]) {
        const { steps, faults, unchanged } = planned(written, server);
        expect({ faults, steps: steps.map(lineOf), unchanged }).toEqual({ faults: [], steps: [], unchanged: 3 });
      }
    }),
    { numRuns: 60 },
  );
});
