import {
  absoluteDecimal,
  compareDecimals,
  type Decimal,
  multiplyDecimals,
  parseDecimal,
  subtractDecimals,
} from "../platform/decimal.ts";
import { decimalOf, ExactNumber, equalJson, type Json } from "../platform/json.ts";
import { compilePattern, isPatternFault } from "../platform/pattern.ts";

export const CONDITION_OPS = [
  "changes",
  "becomes",
  "leaves",
  "increases",
  "decreases",
  "increases_by",
  "decreases_by",
  "changes_by_percent",
  "crosses_above",
  "crosses_below",
  "matches",
] as const;

export type ConditionOp = (typeof CONDITION_OPS)[number];

export type ConditionInput = { field: string; op: ConditionOp; value?: Json | undefined };

/** A field's value, or `undefined` when it is missing. */
export type Known = Json | undefined;

export type Condition = {
  readonly field: string;
  /** As users would say it: `status becomes "paid"`. */
  readonly text: string;
  /** Compares with what was last stated, so that slow drift adds up, instead of with what was last seen. */
  readonly againstStated: boolean;
  readonly holds: (before: Known, current: Known) => boolean;
};

/** Whether every condition holds. Each gets the two values kept and the current one, of its own field. */
export function allHold(
  conditions: readonly Condition[],
  valuesOf: (field: string) => { seen: Known; stated: Known; current: Known } | null,
): boolean {
  return conditions.every((condition) => {
    const values = valuesOf(condition.field);
    return values !== null && condition.holds(condition.againstStated ? values.stated : values.seen, values.current);
  });
}

/** What is wrong with a condition's `value`, or `null`. */
export function conditionFault({ op, value }: ConditionInput): string | null {
  switch (op) {
    case "changes":
    case "increases":
    case "decreases":
      return value === undefined ? null : `"${op}" takes no value`;
    case "becomes":
    case "leaves":
      return value === undefined ? `"${op}" needs a value` : null;
    case "crosses_above":
    case "crosses_below":
      return isNumber(value) ? null : `"${op}" needs a number as its value`;
    case "increases_by":
    case "decreases_by":
    case "changes_by_percent":
      return isNumber(value) && decimalOf(value).units > 0n ? null : `"${op}" needs a number above 0 as its value`;
    case "matches":
      return patternProblem(value);
  }
}

/** Makes a condition ready to be asked; it must have no {@link conditionFault}. */
export function compileCondition(input: ConditionInput): Condition {
  const value = input.value === undefined ? "" : ` ${JSON.stringify(input.value)}`;
  return {
    field: input.field,
    text: `${input.field} ${input.op.replaceAll("_", " ")}${value}`,
    againstStated: ["increases_by", "decreases_by", "changes_by_percent"].includes(input.op),
    holds: predicateOf(input),
  };
}

/**
 * The number in a value: a JSON number, or a string that is wholly one, since XML, CSV and many a price field have no
 * other way to write it. `null` for anything else.
 */
export function numberIn(value: Known): Decimal | null {
  if (typeof value === "string") return parseDecimal(value);
  return isNumber(value) ? decimalOf(value) : null;
}

function predicateOf({ op, value }: ConditionInput): Condition["holds"] {
  switch (op) {
    case "changes":
      return differ;
    case "becomes":
      return (seen, current) => !same(seen, value) && same(current, value);
    case "leaves":
      return (seen, current) => same(seen, value) && !same(current, value);
    case "matches":
      return matching(value);
    default:
      return numeric(op, numberIn(value) ?? ZERO);
  }
}

const ZERO: Decimal = { units: 0n, exponent: 0 };
const HUNDRED: Decimal = { units: 1n, exponent: 2 };

/** Comparisons of numbers: never hold when either side is none. */
function numeric(op: ConditionOp, limit: Decimal): Condition["holds"] {
  const compare = NUMERIC[op];
  if (!compare) throw new TypeError(`no such condition: ${op}`);
  return (before, current) => {
    const from = numberIn(before);
    const to = numberIn(current);
    return from !== null && to !== null && compare(from, to, limit);
  };
}

const NUMERIC: { [op in ConditionOp]?: (from: Decimal, to: Decimal, limit: Decimal) => boolean } = {
  increases: (from, to) => compareDecimals(to, from) > 0,
  decreases: (from, to) => compareDecimals(to, from) < 0,
  increases_by: (from, to, limit) => compareDecimals(subtractDecimals(to, from), limit) >= 0,
  decreases_by: (from, to, limit) => compareDecimals(subtractDecimals(from, to), limit) >= 0,
  changes_by_percent: (from, to, limit) => isPercentApart(from, to, limit),
  crosses_above: (from, to, limit) => compareDecimals(from, limit) <= 0 && compareDecimals(to, limit) > 0,
  crosses_below: (from, to, limit) => compareDecimals(from, limit) >= 0 && compareDecimals(to, limit) < 0,
};

/** |to − from| ≥ percent of |from|, without division; any move away from zero counts. */
function isPercentApart(from: Decimal, to: Decimal, percent: Decimal): boolean {
  const distance = absoluteDecimal(subtractDecimals(to, from));
  if (distance.units === 0n) return false;
  return compareDecimals(multiplyDecimals(distance, HUNDRED), multiplyDecimals(percent, absoluteDecimal(from))) >= 0;
}

/** The value changed to a text that matches; numbers and booleans are matched as they are written. */
function matching(value: Known): Condition["holds"] {
  const pattern = compilePattern(String(value));
  if (isPatternFault(pattern)) throw new TypeError(pattern.message);
  return (seen, current) => {
    if (current === undefined || current === null || !differ(seen, current)) return false;
    return (typeof current !== "object" || current instanceof ExactNumber) && pattern.anywhere(String(current));
  };
}

function patternProblem(value: Known): string | null {
  if (typeof value !== "string" || value.length > 500) return '"matches" needs a pattern of at most 500 characters';
  const pattern = compilePattern(value);
  return isPatternFault(pattern) ? `not a pattern: ${pattern.message}` : null;
}

function differ(a: Known, b: Known): boolean {
  return !same(a, b);
}

function same(a: Known, b: Known): boolean {
  return a === undefined || b === undefined ? a === b : equalJson(a, b);
}

function isNumber(value: Known): value is number | ExactNumber {
  return typeof value === "number" || value instanceof ExactNumber;
}
