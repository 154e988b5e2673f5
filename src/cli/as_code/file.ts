import type { CheckUrl } from "../../delivering/input.ts";
import type { FieldFault } from "../../platform/errors.ts";
import { nearest } from "../../platform/nearest.ts";
import { isObject, judge, KINDS, type Kind, type Resource } from "./resources.ts";

/** A resource of the file, and where it stands there: a JSON Pointer such as `/watches/3`. */
export type Declared = Resource & { pointer: string };

export type Declaration = {
  resources: Declared[];
  /** The kinds that the file has a section of: of others it says nothing. */
  kinds: ReadonlySet<Kind>;
  faults: FieldFault[];
};

export const VERSION = 1;
export const SECTIONS = { secret: "secrets", endpoint: "endpoints", watch: "watches" } as const;
const TOP = ["version", ...Object.values(SECTIONS)];

/**
 * What a file declares, each entry judged by itself.
 * @param keepsValue says of which secrets the value in the file is not looked at
 */
export function readDeclaration(
  file: unknown,
  checkUrl: CheckUrl,
  keepsValue: (name: unknown, kind: unknown) => boolean,
): Declaration {
  if (!isObject(file)) return { resources: [], kinds: new Set(), faults: [{ pointer: "", message: NOTHING }] };
  const faults = topFaults(file);
  const resources: Declared[] = [];
  const kinds = KINDS.filter((kind) => file[SECTIONS[kind]] !== undefined);
  for (const kind of kinds) {
    const section = file[SECTIONS[kind]];
    if (!Array.isArray(section)) {
      if (section !== null) faults.push({ pointer: `/${SECTIONS[kind]}`, message: "must be a list" });
      continue;
    }
    for (const [index, entry] of section.entries()) {
      const pointer = `/${SECTIONS[kind]}/${index}`;
      const { resource, faults: own } = judge(kind, keepsOwn(kind, entry) ? withoutValue(entry) : entry, checkUrl);
      faults.push(...own.map((fault) => ({ ...fault, pointer: pointer + fault.pointer })));
      if (resource) resources.push({ ...resource, pointer });
    }
  }
  return { resources, kinds: new Set(kinds), faults: [...faults, ...twins(resources)] };

  function keepsOwn(kind: Kind, entry: unknown): entry is object {
    return kind === "secret" && isObject(entry) && keepsValue(entry.name, entry.kind);
  }
}

const NOTHING = `must be an object with "version: ${VERSION}" and lists of secrets, endpoints and watches`;

/** `x-…` is the place for what anchors name. */
function topFaults(file: object): FieldFault[] {
  const unknown = Object.keys(file).filter((name) => !TOP.includes(name) && !name.startsWith("x-"));
  const faults = unknown.map((name) => {
    const near = nearest(name, TOP);
    const remedy = near ? `did you mean ${JSON.stringify(near)}?` : `known are ${TOP.join(", ")}, and x-… for anchors`;
    return { pointer: `/${name}`, message: `unknown property; ${remedy}` };
  });
  const version = (file as { version?: unknown }).version;
  if (version === VERSION) return faults;
  return [{ pointer: version === undefined ? "" : "/version", message: `write "version: ${VERSION}"` }, ...faults];
}

function withoutValue(entry: object): unknown {
  return { ...entry, value: undefined };
}

function twins(resources: readonly Declared[]): FieldFault[] {
  const first = new Map<string, string>();
  return resources.flatMap(({ kind, name, pointer }) => {
    const key = `${kind} ${name}`;
    const other = first.get(key);
    if (other === undefined) first.set(key, pointer);
    const message = `${other} is named ${JSON.stringify(name)} too: a resource is known by its name`;
    return other === undefined ? [] : [{ pointer: `${pointer}/name`, message }];
  });
}
