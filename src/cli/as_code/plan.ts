import type { FieldFault } from "../../platform/errors.ts";
import { equalJson, type Json } from "../../platform/json.ts";
import { mergePatch, patchBetween } from "../../platform/merge_patch.ts";
import { isCredentialName, MASK } from "../../vault/headers.ts";
import { compileWatch } from "../../watching/compile.ts";
import type { WatchInput } from "../../watching/watch.ts";
import type { Declaration, Declared } from "./file.ts";
import { referenceFaults } from "./references.ts";
import { ANY_URL, type Body, isObject, judge, KINDS, type Kind, pick } from "./resources.ts";
import type { Server, Standing } from "./standing.ts";

export type Create = { action: "create"; kind: Kind; name: string; declared: Declared };
export type Update = {
  action: "update";
  kind: Kind;
  name: string;
  id: string;
  declared: Declared;
  /** The properties that differ, by the file's names. */
  properties: readonly string[];
  /** A merge patch of the API's properties, without those that refer to others. */
  patch: Body;
  /** What else follows from it, for people. */
  note: string | null;
};
export type Delete = { action: "delete"; kind: Kind; name: string; id: string };
export type Step = Create | Update | Delete;

/** `steps` in the order of their doing. With faults nothing may be done. */
export type Plan = { steps: Step[]; unchanged: number; faults: FieldFault[] };

export type PlanOptions = {
  /** Deletes what the file does not name, of the kinds that it has a section of. */
  prune: boolean;
  /** Leaves values alone that cannot be compared, where there are any. */
  keepSecrets: boolean;
};

const UNCOMPARED = "set each time, as it cannot be read to compare";
const REFERENCES = ["secret", "endpoints"];

/** What makes the server like the file. */
export function planChanges(file: Declaration, server: Server, options: PlanOptions): Plan {
  const deletes = options.prune ? unnamed(file, server) : [];
  const plan: Plan = { steps: [], unchanged: 0, faults: [...file.faults, ...referenceFaults(file, server, deletes)] };
  for (const kind of KINDS) {
    const standing = Map.groupBy(server[kind], ({ name }) => name);
    for (const declared of file.resources.filter((resource) => resource.kind === kind)) {
      const [found, ...others] = standing.get(declared.name) ?? [];
      const step = others.length > 0 ? ambiguous(found, others) : stepFor(declared, found, options);
      if (step === null) plan.unchanged++;
      else if ("message" in step) plan.faults.push({ ...step, pointer: declared.pointer + step.pointer });
      else plan.steps.push(step);
    }
  }
  plan.steps.push(...deletes);
  return plan;
}

function unnamed(file: Declaration, server: Server): Delete[] {
  const named = new Set(file.resources.map(({ kind, name }) => `${kind} ${name}`));
  return KINDS.toReversed()
    .filter((kind) => file.kinds.has(kind))
    .flatMap((kind) => server[kind].filter(({ name }) => !named.has(`${kind} ${name}`)))
    .map(({ kind, name, id }) => ({ action: "delete", kind, name, id }));
}

function ambiguous(first: Standing | undefined, others: readonly Standing[]): FieldFault {
  const ids = [first, ...others].map((one) => one?.id).join(" and ");
  return { pointer: "/name", message: `the server has several of this name: ${ids}. Rename or delete all but one` };
}

function stepFor(declared: Declared, found: Standing | undefined, options: PlanOptions): Step | FieldFault | null {
  if (found === undefined) return createOf(declared);
  if (declared.kind === "secret") return secretUpdate(declared, found);
  const unwritten = withKeptHeaders(declared, found);
  if (options.keepSecrets || unwritten === declared) return updateOf(unwritten, found);
  const update = updateOf(declared, found);
  const onlyWritten = update !== null && "patch" in update && updateOf(unwritten, found) === null;
  return onlyWritten ? { ...update, note: UNCOMPARED } : update;
}

function createOf(declared: Declared): Create | FieldFault {
  const { kind, name } = declared;
  if (kind === "secret" && (declared.body.value ?? null) === null) {
    return { pointer: "", message: "is not on the server yet, so it needs a value" };
  }
  const masked = Object.entries(headersOf(declared)).find(([header, value]) => isMask(header, value))?.[0];
  if (masked !== undefined) {
    const message = `*** keeps the stored value of ${masked}, and there is none; write the value itself`;
    return { pointer: `${kind === "watch" ? "/request" : ""}/headers/${masked}`, message };
  }
  return { action: "create", kind, name, declared };
}

/**
 * Values can only be written: one that the file has is set, as nobody can say whether it differs. A binding that the file
 * says nothing of stays.
 */
function secretUpdate(declared: Declared, found: Standing): Update | FieldFault | null {
  const { kind: form, value } = declared.body;
  const { hosts } = declared.whole;
  const binding = hosts === undefined || same(hosts, found.whole.hosts) ? {} : { hosts };
  const otherForm = form !== found.body.kind;
  const hasValue = value !== undefined && value !== null;
  if (!hasValue && otherForm) {
    return { pointer: "/kind", message: `is ${found.body.kind} on the server; to change that, give the value too` };
  }
  // Members of a value are merged: a scope that the file has no longer would stay.
  const scopeless = !otherForm && form === "oauth2_client_credentials" && isObject(value) && !("scope" in value);
  const given = hasValue ? { value: scopeless ? { ...value, scope: null } : value } : {};
  const patch = { ...(otherForm ? { kind: form } : {}), ...given, ...binding };
  const properties = Object.keys(patch);
  if (properties.length === 0) return null;
  const note = hasValue && properties.length === 1 ? UNCOMPARED : null;
  const { name, id } = found;
  return { action: "update", kind: "secret", name, id, declared, note, properties, patch };
}

function updateOf(declared: Declared, found: Standing): Update | FieldFault | null {
  const { kind, name, id } = found;
  const names = new Set([...Object.keys(found.whole), ...Object.keys(declared.whole)]);
  const properties = [...names].filter((property) => !same(found.whole[property], declared.whole[property]));
  if (properties.length === 0) return null;
  const own = properties.filter((property) => !REFERENCES.includes(property));
  const patch = patchBetween(pick(found.body, own), pick(declared.body, own)) as Body;
  const unset = own.find((property) => !same(becomes(found, patch)[property], declared.whole[property]));
  if (unset !== undefined) {
    const remedy = "a null inside an object cannot be set by a change (RFC 7396): delete the resource first";
    return { pointer: `/${unset}`, message: remedy };
  }
  const note = kind === "watch" ? referenceNote(found, declared) : null;
  return { action: "update", kind, name, id, declared, properties, patch, note };
}

function becomes(found: Standing, patch: Body): Body {
  const merged = mergePatch(found.body, patch);
  return judge(found.kind, merged, ANY_URL).resource?.whole ?? {};
}

/** Changing where a value comes from makes the next poll a silent one. */
function referenceNote(before: Standing, after: Declared): string | null {
  const [was, is] = [before, after].map(({ whole }) =>
    compileWatch({ ...whole, secret_id: null, endpoint_ids: [] } as unknown as WatchInput),
  );
  const fields = (was?.fields ?? []).filter(({ name, config }) =>
    is?.fields.some((field) => field.name === name && field.config !== config),
  );
  const names = fields.map(({ name }) => name);
  if (was?.items && is?.items && was.items.config !== is.items.config) names.push("items");
  return names.length === 0 ? null : `takes a new reference of ${names.join(", ")}`;
}

function withKeptHeaders(declared: Declared, found: Standing): Declared {
  const stored = new Map(Object.entries(headersOf(found)).map(([header, value]) => [header.toLowerCase(), value]));
  const kept = Object.entries(headersOf(declared)).filter(([name]) => isMask(name, stored.get(name.toLowerCase())));
  const headers = Object.fromEntries(kept.map(([name]) => [name, MASK]));
  const patch = declared.kind === "watch" ? { request: { headers } } : { headers };
  const put = (body: Body) => mergePatch(body, patch) as Body;
  return kept.length === 0 ? declared : { ...declared, body: put(declared.body), whole: put(declared.whole) };
}

function headersOf({ kind, body }: Pick<Standing, "kind" | "body">): Body {
  const holder = kind === "watch" ? body.request : body;
  return isObject(holder) && isObject(holder.headers) ? holder.headers : {};
}

function isMask(header: string, value: unknown): boolean {
  return value === MASK && isCredentialName(header);
}

function same(a: unknown, b: unknown): boolean {
  return equalJson((a ?? null) as Json, (b ?? null) as Json);
}
