import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from "yaml";
import { JsonError, parseJson } from "../../platform/json.ts";
import { type Environment, fillIn, hideBraces, showBraces } from "./variables.ts";

/** A fault of the file: where (lines and columns count from 1), what (a JSON Pointer, RFC 6901), and a sentence. */
export type FileFault = { line: number; column: number; pointer: string; message: string };

export type ConfigDocument = {
  /** With the environment put in, numbers exact. */
  value: unknown;
  /** A syntax fault (then `value` is null), and variables that are not set. */
  faults: FileFault[];
  /** A fault at the place that a pointer names, or the nearest around it. */
  at(pointer: string, message: string): FileFault;
};

/** Reads YAML 1.2, and so JSON, with anchors and merge keys (`<<`). */
export function readDocument(text: string, environment: Environment): ConfigDocument {
  const lines = new LineCounter();
  const document = parseDocument(hideBraces(text), { lineCounter: lines, prettyErrors: false, merge: true });
  const at = (pointer: string, message: string) => placed(offsetOf(document, pointer), pointer, message);
  // Those after the first only follow from it.
  const [syntax] = [...document.errors, ...document.warnings];
  if (syntax) return { value: null, faults: [placed(syntax.pos[0], "", notYaml(syntax.message))], at };
  const faults: FileFault[] = [];
  visit(document, {
    Scalar(place, node, path) {
      if (place === "key") return nameKey(node);
      const refuse = (message: string) => faults.push(placed(node.range?.[0] ?? 0, pointerTo(path, node), message));
      node.value = scalarValue(node, environment, refuse);
    },
  });
  return { value: plainValue(document, faults, placed), faults, at };

  function placed(offset: number, pointer: string, message: string): FileFault {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col), pointer, message };
  }
}

/** Variables are for values. */
function nameKey(node: { value: unknown }): void {
  if (typeof node.value === "string") node.value = showBraces(node.value);
}

type Refuse = (message: string) => void;

function scalarValue(
  { value, source }: { value: unknown; source?: string },
  environment: Environment,
  refuse: Refuse,
): unknown {
  if (typeof value === "string") return fillIn(showBraces(value), environment, refuse);
  if (typeof value !== "number") return value;
  try {
    return parseJson(source ?? String(value));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    // 0x1F, +1, .5 are numbers of YAML alone.
    if (!Number.isFinite(value)) refuse("must be a number that JSON can hold");
    return value;
  }
}

/** Aliases beyond all measure are refused by the parser. */
function plainValue(
  document: Document,
  faults: FileFault[],
  placed: (offset: number, pointer: string, message: string) => FileFault,
): unknown {
  try {
    return document.toJS();
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    faults.push(placed(0, "", notYaml(error.message)));
    return null;
  }
}

function notYaml(message: string): string {
  return `not YAML: ${showBraces(message)}`;
}

function offsetOf(document: Document, pointer: string): number {
  let node = document.contents as Node | null;
  let offset = node?.range?.[0] ?? 0;
  for (const part of partsOf(pointer)) {
    const next = child(document, node, part);
    if (next === null) return offset;
    offset = next.offset;
    node = next.node;
  }
  return offset;
}

/** A member is found at its name, an element at its start; one that a merge key brought is not looked for. */
function child(document: Document, parent: Node | null, part: string): { node: Node | null; offset: number } | null {
  const node = isAlias(parent) ? (parent.resolve(document) as Node | undefined) : parent;
  if (isSeq<Node>(node)) {
    const element = node.items[Number(part)];
    return element?.range ? { node: element, offset: element.range[0] } : null;
  }
  if (!isMap<Node, Node>(node)) return null;
  const pair = node.items.find(({ key }) => nameOf(key) === part);
  return pair?.key.range ? { node: pair.value, offset: pair.key.range[0] } : null;
}

/** The way from the top to a value, as a pointer. */
function pointerTo(path: readonly unknown[], node: unknown): string {
  const steps = [...path, node];
  const parts = steps.flatMap((step, index) => {
    if (isPair(step)) return [nameOf(step.key)];
    return isSeq(step) ? [String(step.items.indexOf(steps[index + 1]))] : [];
  });
  return parts.map((part) => `/${part.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

function nameOf(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
}

function partsOf(pointer: string): string[] {
  const parts = pointer.split("/").slice(1);
  return parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}
