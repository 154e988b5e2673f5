import { canonicalJson, ExactNumber, equalJson, type Json, parseJson, sanitiseJson } from "../platform/json.ts";
import type { ItemsPlan } from "./compile.ts";

const MAX_KEY_CHARS = 500;

/**
 * The items of all pages by row key (`i:` and the key as canonical JSON, so that 1 and "1" are two items), or the reason
 * why the poll fails. An item that slid onto the next page during the walk is found twice, which is no fault while both
 * are equal.
 */
export function collectItems(plan: ItemsPlan, pages: readonly Json[]): Map<string, Json> | string {
  const items = new Map<string, Json>();
  for (const [index, page] of pages.entries()) {
    const list = itemsOf(plan, page);
    const fault = typeof list === "string" ? list : addPage(plan, list, items);
    if (fault) return pages.length === 1 ? fault : `page ${index + 1}: ${fault}`;
  }
  return items;
}

/** The item key that a row is about. */
export function keyOfRow(rowKey: string): Json {
  return parseJson(rowKey.slice(2));
}

/**
 * An absent list is not an empty one: a reply without it says nothing about its items. `null` is an empty one, and so is
 * the absent one of XML where its parent is there.
 */
function itemsOf({ path, parent }: ItemsPlan, page: Json): Json[] | string {
  if (path.singular) {
    const list = path.first(page);
    if (list === null) return [];
    return Array.isArray(list) ? list : `items: there is no list at ${path.text}`;
  }
  const found = path.values(page);
  if (found.length > 0 || path.list === null) return found;
  const list = path.list.first(page);
  const isThere = list === undefined ? parent?.first(page) !== undefined : isContainer(list);
  return isThere ? found : `items: there is no list at ${path.list.text}`;
}

function isContainer(list: Json): boolean {
  return typeof list === "object" && !(list instanceof ExactNumber);
}

function addPage(plan: ItemsPlan, list: readonly Json[], items: Map<string, Json>): string | null {
  const onThisPage = new Set<string>();
  for (const [index, item] of list.entries()) {
    const key = rowKeyOf(plan, item);
    if (key === null)
      return `items: number ${index + 1} has no key at ${plan.key.text} (a string or a number); the state was left alone`;
    const twin = items.get(key);
    if (onThisPage.has(key) || (twin !== undefined && !equalJson(twin, item))) {
      return `items: the key ${key.slice(2)} at ${plan.key.text} occurs twice; the state was left alone`;
    }
    onThisPage.add(key);
    items.set(key, item);
  }
  return null;
}

function rowKeyOf({ key: path }: ItemsPlan, item: Json): string | null {
  const found = path.singular ? [path.first(item)] : path.values(item);
  const key = found.length === 1 ? found[0] : undefined;
  if (typeof key === "string") return key.length <= MAX_KEY_CHARS ? `i:${canonicalJson(sanitiseJson(key))}` : null;
  return typeof key === "number" || key instanceof ExactNumber ? `i:${canonicalJson(key)}` : null;
}
