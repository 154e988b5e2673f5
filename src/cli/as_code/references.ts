import type { FieldFault } from "../../platform/errors.ts";
import { parseId } from "../../platform/ids.ts";
import { nearest } from "../../platform/nearest.ts";
import type { Declaration, Declared } from "./file.ts";
import { endpointsOf, type Kind, secretOf } from "./resources.ts";
import type { Server } from "./standing.ts";

type Gone = readonly { kind: Kind; name: string }[];

/** What the file's resources refer to and neither the file nor the server has, `gone` being about to be deleted. */
export function referenceFaults(file: Declaration, server: Server, gone: Gone): FieldFault[] {
  const secrets = knownNames("secret", file, server);
  const endpoints = knownNames("endpoint", file, server);
  const pruned = new Set(gone.map(({ kind, name }) => `${kind} ${name}`));
  return file.resources.flatMap((resource) => {
    const secret = secretOf(resource);
    return [
      ...(secret === null ? [] : fault("secret", secret, `${resource.pointer}/secret`, secrets)),
      ...endpointsOf(resource).flatMap((name, index) =>
        server.implicit.has(name) || isAsBefore(resource, name)
          ? []
          : fault("endpoint", name, `${resource.pointer}/endpoints/${index}`, endpoints),
      ),
      ...pluginFaults(resource, server.plugins),
    ];
  });

  /** An endpoint that is gone stands by its id for as long as its watch is left as it is. */
  function isAsBefore({ kind, name }: Declared, endpoint: string): boolean {
    if (kind !== "watch" || parseId("endpoint", endpoint) === null) return false;
    return server.watch.some((watch) => watch.name === name && endpointsOf(watch).includes(endpoint));
  }

  function fault(kind: Kind, name: string, pointer: string, known: ReadonlyMap<string, number>): FieldFault[] {
    const standing = known.get(name);
    if (standing === undefined) return [{ pointer, message: unknown(kind, name, [...known.keys()]) }];
    if (standing > 1) return [{ pointer, message: `the server has ${standing} ${kind}s of this name: rename them` }];
    if (!pruned.has(`${kind} ${name}`)) return [];
    return [{ pointer, message: `would be deleted by --prune, as the file does not declare it: declare it` }];
  }
}

/** Each name, and how many on the server have it. */
function knownNames(kind: Kind, file: Declaration, server: Server): Map<string, number> {
  const known = new Map<string, number>();
  for (const { name } of server[kind]) known.set(name, (known.get(name) ?? 0) + 1);
  for (const resource of file.resources) {
    if (resource.kind === kind && !known.has(resource.name)) known.set(resource.name, 0);
  }
  return known;
}

function pluginFaults({ pointer, body, whole }: Declared, known: readonly string[]): FieldFault[] {
  const used = [whole.plugin ?? []].flat() as string[];
  const isList = Array.isArray(body.plugin);
  return used.flatMap((name, index) =>
    known.includes(name)
      ? []
      : [{ pointer: `${pointer}/plugin${isList ? `/${index}` : ""}`, message: unknown("plugin", name, known) }],
  );
}

function unknown(kind: string, name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  const where = kind === "plugin" ? "on the server" : "in the file or on the server";
  return `there is no ${kind} ${JSON.stringify(name)} ${where}${near ? `; did you mean ${JSON.stringify(near)}?` : ""}`;
}
