import { endpointInput } from "../../delivering/endpoint_input.ts";
import { validate } from "../../http/validation.ts";
import { type Api, ask, askAll } from "./api.ts";
import { ANY_URL, type Body, type Kind, pick, propertiesOf, type Resource } from "./resources.ts";

/** A resource that the server has. */
export type Standing = Resource & { id: string };

/** What the server has, as far as a file can declare it. */
export type Server = Record<Kind, readonly Standing[]> & {
  /** Ids of endpoints that no file declares: those of direct sends. */
  implicit: ReadonlySet<string>;
  plugins: readonly string[];
};

const schema = endpointInput(ANY_URL);

/** Reads everything from the server, some pages at a time. */
export async function readServer(api: Api): Promise<Server> {
  const secrets = await askAll(api, "/v1/secrets");
  const allEndpoints = await askAll(api, "/v1/endpoints");
  const watches = await askAll(api, "/v1/watches");
  const plugins = (await ask(api, "GET", "/v1/plugins")).data as { name: string }[];

  const endpoints = allEndpoints.filter(({ kind }) => kind === "subscribed");
  const secretName = namesOf(secrets);
  const endpointName = namesOf(endpoints);
  return {
    secret: secrets.map((shown) => ({ ...own("secret", shown), whole: pick(shown, ["name", "kind", "hosts"]) })),
    endpoint: endpoints.map((shown) => {
      const resource = own("endpoint", shown);
      const { secret_id: _, ...whole } = validate(schema, resource.body, "body");
      return { ...resource, whole: { ...whole, secret: secretName(shown.secret_id) } };
    }),
    watch: watches.map((shown) => {
      const resource = own("watch", shown);
      const ids = shown.endpoint_ids as string[];
      const references = { secret: secretName(shown.secret_id), endpoints: ids.map(endpointName) };
      return { ...resource, whole: { ...resource.body, ...references } };
    }),
    implicit: new Set(allEndpoints.filter(({ kind }) => kind !== "subscribed").map(({ id }) => String(id))),
    plugins: plugins.map(({ name }) => name),
  };
}

function own(kind: Kind, shown: Body): Omit<Standing, "whole"> {
  const properties = propertiesOf(kind).filter((property) => !["secret_id", "endpoint_ids"].includes(property));
  return { kind, id: String(shown.id), name: String(shown.name), body: pick(shown, properties) };
}

/** Who has no name in a file keeps its id: an implicit endpoint, or one that was deleted. */
function namesOf(resources: readonly Body[]): (id: unknown) => string | null {
  const names = new Map(resources.map(({ id, name }) => [id, String(name)]));
  return (id) => (id === null || id === undefined ? null : (names.get(id) ?? String(id)));
}
