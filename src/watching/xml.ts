import { XMLParser, XMLValidator } from "fast-xml-parser";
import { messageOf } from "../platform/errors.ts";
import type { Json, JsonObject } from "../platform/json.ts";

/** Reading keeps the one thread busy: half a second for so much of the densest markup, a fifth of it for a usual feed. */
const MAX_CHARS = 2_000_000;
const MAX_DEPTH = 100;

/**
 * An XML document as JSON. An element is an object with its child elements by name, its attributes as `@name` and its own
 * text as `#text`; one that has only text is that text, an empty one `""`. Of children with one name there is a list when
 * there are several, or when the name is among `lists`. Every value is text, without the white space around it. Comments
 * and processing instructions are left out; a DTD is not obeyed, so that no entity but the five of XML is replaced.
 * @returns what is wrong, with its line, where it is no XML that is taken.
 */
export function readXml(text: string, lists: ReadonlySet<string>): { document: Json } | { problem: string } {
  if (text.length > MAX_CHARS)
    return { problem: `the reply has ${text.length} characters, more than the ${MAX_CHARS} of XML that are read` };
  const checked = XMLValidator.validate(text);
  if (checked !== true)
    return { problem: `the reply is not XML, line ${checked.err.line}: ${checked.err.msg.slice(0, 200)}` };
  try {
    const document = parserOf(lists).parse(text) as JsonObject;
    const roots = Object.keys(document).length;
    return roots === 1
      ? { document }
      : { problem: `the reply is not XML: it has ${roots} root elements instead of one` };
  } catch (error) {
    // The parser throws plain errors: for names such as __proto__, for depth, for a DTD beyond its bounds.
    return {
      problem: `the reply is not XML that is read: ${messageOf(error).replace("[SECURITY] ", "").slice(0, 200)}`,
    };
  }
}

/**
 * The elements that paths take for lists, as in `$.orders.order[*]` or `$.order[0]`: without this an element that is there
 * once would be no list, and the same path would find nothing.
 */
export function listsIn(paths: readonly string[]): Set<string> {
  const names = /(?:\.|\[['"])([^.[\]'"]+)(?:['"]\])?(?=\[[*?:\d-])/g;
  return new Set(paths.flatMap((path) => [...path.matchAll(names)].map(([, name = ""]) => name)));
}

function parserOf(lists: ReadonlySet<string>): XMLParser {
  return new XMLParser({
    attributeNamePrefix: "@",
    ignoreAttributes: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    parseTagValue: false,
    maxNestedTags: MAX_DEPTH,
    jPath: false,
    isArray: (name, _path, _isLeaf, isAttribute) => !isAttribute && lists.has(name),
    entityDecoder: { decode, reset() {}, addInputEntities() {}, setExternalEntities() {}, setXmlVersion() {} },
  });
}

const PREDEFINED: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const REFERENCE = /&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(lt|gt|amp|quot|apos));/g;

/** Character references and the predefined entities (XML 1.0, sections 4.1 and 4.6); anything else stays as it is. */
function decode(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(REFERENCE, (whole, hex?: string, decimal?: string, name?: string) => {
    if (name) return PREDEFINED[name] ?? whole;
    const point = hex ? Number.parseInt(hex, 16) : Number(decimal);
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
