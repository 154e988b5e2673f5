import { describe, expect, test } from "bun:test";
import { type Declaration, readDeclaration } from "../../src/cli/as_code/file.ts";
import { type PlanOptions, planChanges } from "../../src/cli/as_code/plan.ts";
import { type Body, judge, type Kind } from "../../src/cli/as_code/resources.ts";
import type { Server, Standing } from "../../src/cli/as_code/standing.ts";
import { lineOf } from "../../src/cli/as_code/words.ts";

const watch = {
  name: "Order",
  request: { url: "https://a.example/" },
  schedule: { every: "30s" },
  fields: { a: "$.a" },
};
const endpoint = { name: "Billing", url: "https://a.example/" };
const secret = { name: "ERP", kind: "bearer" };
const basic = { name: "ERP", kind: "basic", value: { username: "a", password: "b" } };

const NEITHER: PlanOptions = { prune: false, keepSecrets: false };

function standing(kind: Kind, entry: Body, id: string): Standing {
  const { resource, faults } = judge(kind, entry, () => null);
  if (resource === null) throw new Error(JSON.stringify(faults));
  // The API shows every property of a watch.
  const body = kind === "watch" ? { ...resource.whole, secret: undefined, endpoints: undefined } : resource.body;
  return { ...resource, body: JSON.parse(JSON.stringify(body)) as Body, id };
}

type Has = { secrets?: Body[]; endpoints?: Body[]; watches?: Body[]; implicit?: string[] };

function server({ secrets = [], endpoints = [], watches = [], implicit = [] }: Has): Server {
  const all = (kind: Kind, entries: Body[]) => entries.map((entry, index) => standing(kind, entry, `${kind}_${index}`));
  return {
    secret: all("secret", secrets),
    endpoint: all("endpoint", endpoints),
    watch: all("watch", watches),
    implicit: new Set(implicit),
    plugins: ["slack"],
  };
}

function declared(file: Has): Declaration {
  return readDeclaration(
    { version: 1, ...file },
    () => null,
    () => false,
  );
}

function plan(file: Has, has: Has, options: Partial<PlanOptions> = {}) {
  const { steps, unchanged, faults } = planChanges(declared(file), server(has), { ...NEITHER, ...options });
  return { lines: steps.map(lineOf), steps, unchanged, faults };
}

describe("a plan", () => {
  const SET = "(set each time, as it cannot be read to compare)";
  const table: [what: string, file: Has, has: Has, lines: string[]][] = [
    [
      "creates what is not there, secrets first",
      { watches: [{ ...watch, secret: "ERP", endpoints: ["Billing"] }], endpoints: [endpoint], secrets: [basic] },
      {},
      ["+ secret ERP", "+ endpoint Billing", "+ watch Order"],
    ],
    [
      "finds nothing in what is alike",
      { watches: [watch], endpoints: [endpoint] },
      { watches: [watch], endpoints: [endpoint] },
      [],
    ],
    [
      "leaves alone what the file does not name",
      {},
      { watches: [watch], endpoints: [endpoint], secrets: [secret] },
      [],
    ],
    [
      "names the properties that differ",
      { endpoints: [{ ...endpoint, retry: { delays: ["5s"] }, ordered: true }] },
      { endpoints: [endpoint] },
      ["~ endpoint Billing: retry, ordered"],
    ],
    [
      "takes a property that the file lacks for its default",
      { watches: [watch] },
      { watches: [{ ...watch, event_type: "a" }] },
      ["~ watch Order: event_type"],
    ],
    [
      "reads a duration by what it means, for an endpoint",
      { endpoints: [{ ...endpoint, timeout: "60s", headers: { "X-A": "1" } }] },
      { endpoints: [{ ...endpoint, timeout: "1m", headers: { "x-a": "1" } }] },
      [],
    ],
    [
      "compares numbers exactly",
      { watches: [{ ...watch, conditions: [{ field: "a", op: "becomes", value: 1.0 }] }] },
      { watches: [{ ...watch, conditions: [{ field: "a", op: "becomes", value: 1 }] }] },
      [],
    ],
    [
      "sees a secret that is no longer used",
      { watches: [watch] },
      { watches: [{ ...watch, secret: "ERP" }], secrets: [secret] },
      ["~ watch Order: secret"],
    ],
    [
      "sets a secret's value each time",
      { secrets: [{ ...secret, value: "x" }] },
      { secrets: [secret] },
      [`~ secret ERP: value ${SET}`],
    ],
    [
      "binds a secret to other hosts",
      { secrets: [{ ...secret, hosts: ["ERP.example.com"] }] },
      { secrets: [{ ...secret, hosts: ["crm.example.com"] }] },
      ["~ secret ERP: hosts"],
    ],
    [
      "unbinds a secret",
      { secrets: [{ ...secret, hosts: null }] },
      { secrets: [{ ...secret, hosts: ["crm.example.com"] }] },
      ["~ secret ERP: hosts"],
    ],
    [
      "leaves a binding alone that the file says the same of, or nothing",
      {
        secrets: [
          { ...secret, hosts: ["ERP.example.com"] },
          { ...secret, name: "CRM" },
        ],
      },
      {
        secrets: [
          { ...secret, hosts: ["erp.example.com"] },
          { ...secret, name: "CRM", hosts: ["crm.example.com"] },
        ],
      },
      [],
    ],
    ["leaves a secret without a value alone", { secrets: [secret] }, { secrets: [secret] }, []],
    ["changes a secret's kind", { secrets: [basic] }, { secrets: [secret] }, ["~ secret ERP: kind, value"]],
    [
      "says what takes a new reference",
      { watches: [{ ...watch, fields: { a: "$.b", c: "$.c" } }] },
      { watches: [{ ...watch, fields: { a: "$.a", c: "$.c" } }] },
      ["~ watch Order: fields (takes a new reference of a)"],
    ],
    [
      "says so of all fields when the request is another",
      { watches: [{ ...watch, request: { url: "https://b.example/" } }] },
      { watches: [watch] },
      ["~ watch Order: request (takes a new reference of a)"],
    ],
    [
      "sets a header's value that cannot be read",
      { endpoints: [{ ...endpoint, headers: { "X-Api-Key": "k" } }] },
      { endpoints: [{ ...endpoint, headers: { "x-api-key": "***" } }] },
      [`~ endpoint Billing: headers ${SET}`],
    ],
    [
      "keeps a header's value that the file shows as ***",
      { watches: [{ ...watch, request: { ...watch.request, headers: { "X-Api-Key": "***" } } }] },
      { watches: [{ ...watch, request: { ...watch.request, headers: { "X-Api-Key": "***" } } }] },
      [],
    ],
    [
      "knows an implicit endpoint by its id",
      { watches: [{ ...watch, endpoints: ["ep_1"] }] },
      { implicit: ["ep_1"] },
      ["+ watch Order"],
    ],
    [
      "shows a name that a terminal would obey as JSON",
      { watches: [{ ...watch, name: "a\u001b[2J" }] },
      {},
      ['+ watch "a\\u001b[2J"'],
    ],
  ];
  test.each(table)("%s", (_, file, has, lines) => {
    const found = plan(file, has);
    expect(found.faults).toEqual([]);
    expect(found.lines).toEqual(lines);
    const named = [file.secrets, file.endpoints, file.watches].flatMap((section) => section ?? []).length;
    expect(found.unchanged).toBe(named - lines.length);
  });

  test("patches by null what is gone, and nothing else", () => {
    const [step] = plan(
      { endpoints: [{ ...endpoint, headers: { b: "2" }, retry: { attempts: 3 } }] },
      { endpoints: [{ ...endpoint, headers: { a: "1", b: "2" }, filter: "$[?@.a]", retry: { delays: ["5s"] } }] },
    ).steps;
    expect(step).toMatchObject({ patch: { headers: { a: null }, filter: null, retry: { delays: null, attempts: 3 } } });
  });

  test("takes the scope away that an OAuth client no longer has", () => {
    const value = { token_url: "https://a.example/", client_id: "a", client_secret: "b" };
    const oauth = { name: "ERP", kind: "oauth2_client_credentials" };
    expect(plan({ secrets: [{ ...oauth, value }] }, { secrets: [oauth] }).steps[0]).toMatchObject({
      patch: { value: { ...value, scope: null } },
    });
  });

  test("leaves values alone when told to, but not other changes beside them", () => {
    const header = (value: string) => ({ ...endpoint, headers: { "x-api-key": value, "x-a": "1" } });
    const options = { keepSecrets: true };
    expect(plan({ endpoints: [header("k")] }, { endpoints: [header("***")] }, options).lines).toEqual([]);
    const moved = { ...header("k"), url: "https://b.example/" };
    const { steps } = plan({ endpoints: [moved] }, { endpoints: [header("***")] }, options);
    expect(steps[0]).toMatchObject({ properties: ["url"], patch: { url: "https://b.example/" } });
  });

  test("with --prune deletes what is not named, of the kinds that the file has, what refers to others first", () => {
    const has = { watches: [watch, { ...watch, name: "Gone" }], endpoints: [endpoint], secrets: [secret] };
    expect(plan({ watches: [watch] }, has, { prune: true }).lines).toEqual(["- watch Gone"]);
    expect(plan({ watches: [watch], endpoints: [], secrets: [] }, has, { prune: true }).lines).toEqual([
      "- watch Gone",
      "- endpoint Billing",
      "- secret ERP",
    ]);
  });
});

describe("nothing is planned for", () => {
  const two = [endpoint, { ...endpoint, url: "https://b.example/" }];
  const masked = { "x-api-key": "***" };
  const withBody = (body: unknown) => ({ ...watch, request: { ...watch.request, method: "POST", body } });
  const table: [says: string, pointer: string, file: Has, has: Has][] = [
    ["endpoint_0 and endpoint_1", "/endpoints/0/name", { endpoints: [endpoint] }, { endpoints: two }],
    [
      "2 endpoints of this name",
      "/watches/0/endpoints/0",
      { watches: [{ ...watch, endpoints: ["Billing"] }] },
      { endpoints: two },
    ],
    [
      'did you mean "Billing"?',
      "/watches/0/endpoints/1",
      { watches: [{ ...watch, endpoints: ["Billing", "Biling"] }] },
      { endpoints: [endpoint] },
    ],
    ['there is no secret "ERP"', "/endpoints/0/secret", { endpoints: [{ ...endpoint, secret: "ERP" }] }, {}],
    ['did you mean "slack"?', "/endpoints/0/plugin", { endpoints: [{ ...endpoint, plugin: "slak" }] }, {}],
    ['no plugin "b"', "/endpoints/0/plugin/1", { endpoints: [{ ...endpoint, plugin: ["slack", "b"] }] }, {}],
    ["it needs a value", "/secrets/0", { secrets: [secret] }, {}],
    ["it needs a value", "/secrets/0", { secrets: [{ ...secret, value: null }] }, {}],
    ["give the value too", "/secrets/0/kind", { secrets: [{ ...secret, kind: "basic" }] }, { secrets: [secret] }],
    ["there is none", "/endpoints/0/headers/x-api-key", { endpoints: [{ ...endpoint, headers: masked }] }, {}],
    [
      "there is none",
      "/watches/0/request/headers/x-api-key",
      { watches: [{ ...watch, request: { ...watch.request, headers: masked } }] },
      {},
    ],
    ["RFC 7396", "/watches/0/request", { watches: [withBody({ a: null })] }, { watches: [withBody({ a: 1 })] }],
  ];
  test.each(table)("%s at %s", (says, pointer, file, has) => {
    const { faults } = plan(file, has);
    expect(faults.map((fault) => fault.pointer)).toEqual([pointer]);
    expect(faults[0]?.message).toContain(says);
  });

  test("a reference to what --prune is to delete", () => {
    const file = { watches: [{ ...watch, secret: "ERP" }], secrets: [] };
    const { faults } = plan(file, { secrets: [secret] }, { prune: true });
    expect(faults).toEqual([
      { pointer: "/watches/0/secret", message: expect.stringContaining("would be deleted by --prune") },
    ]);
  });
});
