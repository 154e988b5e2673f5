import { type JSONPathQuery, jsonpath } from "json-p3";
import { JsonError } from "./json.ts";

const { selectors } = jsonpath;

/**
 * The longest that following one path through one document may take. Some paths need the product of the sizes of several
 * lists (`$..*..*`, `$[?count($..*) > 1]`): a small document could keep the process from all other work for hours.
 */
const MOST_MS = 1_000;

let deadline = 0;

/** Starts the time for one evaluation; evaluations are synchronous, so one clock serves all. */
export function startDeadline(): void {
  deadline = performance.now() + MOST_MS;
}

/** Makes every step of a query look at the time, also where nothing is found. */
export function keepDeadline(query: JSONPathQuery): void {
  for (const segment of query.segments) {
    for (const selector of segment.selectors) {
      const resolve = selector.resolve.bind(selector);
      selector.resolve = (node) => {
        look();
        return resolve(node);
      };
      if (!(selector instanceof selectors.FilterSelector)) continue;
      const { expression } = selector;
      const evaluate = expression.evaluate.bind(expression);
      expression.evaluate = (context) => {
        look();
        return evaluate(context);
      };
    }
  }
}

/** @throws JsonError */
function look(): void {
  if (performance.now() <= deadline) return;
  throw new JsonError(`following the path took longer than ${MOST_MS / 1_000} s: make it more direct`, null);
}
