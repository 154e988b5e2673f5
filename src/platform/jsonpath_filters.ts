import {
  type FilterFunction,
  FunctionExpressionType,
  JSONPathNodeList,
  type JSONPathQuery,
  jsonpath,
  Nothing,
} from "json-p3";
import { parseDecimal } from "./decimal.ts";
import { compareNumbers, ExactNumber, equalJson, type Json } from "./json.ts";
import { keepDeadline } from "./jsonpath_deadline.ts";
import { compilePattern, isPatternFault, type Pattern } from "./pattern.ts";

const { selectors, expressions } = jsonpath;
type FilterExpression = InstanceType<typeof expressions.LogicalExpression>["expression"];
type FilterContext = Parameters<FilterExpression["evaluate"]>[0];

/**
 * Makes the comparisons in a query's filters exact (json-p3 compares doubles, and would take any two
 * {@link ExactNumber}s for equal objects), and has the query, with those in its filters, keep the deadline.
 */
export function prepareQuery(query: JSONPathQuery): void {
  keepDeadline(query);
  for (const { selectors: list } of query.segments) {
    for (const selector of list) if (selector instanceof selectors.FilterSelector) makeExact(selector.expression);
  }
}

/**
 * The filter functions `match` (whole text) and `search` (anywhere) of RFC 9535, sections 2.4.6 and 2.4.7, on patterns
 * that run in linear time: a backtracking one could freeze the process for as long as the source likes.
 */
export function searchFunction(where: "whole" | "anywhere"): FilterFunction {
  const cache = new Map<string, Pattern | null>();
  const patternOf = (source: string): Pattern | null => {
    const known = cache.get(source);
    if (known !== undefined) return known;
    const compiled = compilePattern(source);
    // Patterns may come from the document, so the cache is emptied rather than let grow.
    if (cache.size >= 100) cache.clear();
    cache.set(source, isPatternFault(compiled) ? null : compiled);
    return cache.get(source) ?? null;
  };
  return {
    argTypes: [FunctionExpressionType.ValueType, FunctionExpressionType.ValueType],
    returnType: FunctionExpressionType.LogicalType,
    call: (text, source) => {
      if (typeof text !== "string" || typeof source !== "string") return false;
      return patternOf(source)?.[where](text) ?? false;
    },
  };
}

/** `length` of RFC 9535, section 2.4.4: json-p3's own would give an {@link ExactNumber} the length of an object. */
export const lengthFunction: FilterFunction = {
  argTypes: [FunctionExpressionType.ValueType],
  returnType: FunctionExpressionType.ValueType,
  call: (value) => {
    if (typeof value === "string") return [...value].length;
    if (Array.isArray(value)) return value.length;
    if (typeof value !== "object" || value === null || value instanceof ExactNumber) return Nothing;
    return Object.keys(value).length;
  },
};

function makeExact(expression: FilterExpression): void {
  if (expression instanceof expressions.LogicalExpression) makeExact(expression.expression);
  else if (expression instanceof expressions.PrefixExpression) makeExact(expression.right);
  else if (expression instanceof expressions.FilterQuery) prepareQuery(expression.path);
  else if (expression instanceof expressions.FunctionExtension) expression.args.forEach(makeExact);
  else if (expression instanceof expressions.InfixExpression) {
    makeExact(expression.left);
    makeExact(expression.right);
    if (!expression.logical) expression.evaluate = exactComparison(expression);
  }
}

function exactComparison({
  left,
  operator,
  right,
}: {
  left: FilterExpression;
  operator: string;
  right: FilterExpression;
}) {
  const leftOf = operand(left);
  const rightOf = operand(right);
  return (context: FilterContext) => compare(leftOf(context), operator, rightOf(context));
}

/** A value, or `undefined` for RFC 9535's Nothing and the empty node list. */
type Operand = Json | undefined;

function operand(expression: FilterExpression): (context: FilterContext) => Operand {
  if (expression instanceof expressions.NumberLiteral) {
    const literal = exactLiteral(expression);
    return () => literal;
  }
  return (context) => {
    const value = expression.evaluate(context);
    if (value instanceof JSONPathNodeList) return value.nodes[0]?.value as Operand;
    return value === Nothing ? undefined : (value as Operand);
  };
}

function exactLiteral({ value, token }: { value: number; token: { value: string } }): number | ExactNumber {
  const exact = parseDecimal(token.value);
  if (exact === null) return value;
  const number = new ExactNumber(exact);
  return Number.isFinite(value) && compareNumbers(value, number) === 0 ? value : number;
}

/** RFC 9535, section 2.3.5.2.2. */
function compare(left: Operand, operator: string, right: Operand): boolean {
  switch (operator) {
    case "==":
      return isEqual(left, right);
    case "!=":
      return !isEqual(left, right);
    case "<":
      return isLess(left, right);
    case ">":
      return isLess(right, left);
    case "<=":
      return isLess(left, right) || isEqual(left, right);
    case ">=":
      return isLess(right, left) || isEqual(left, right);
    default:
      throw new TypeError(`unknown comparison ${operator}`);
  }
}

function isEqual(left: Operand, right: Operand): boolean {
  return left === undefined || right === undefined ? left === right : equalJson(left, right);
}

function isLess(left: Operand, right: Operand): boolean {
  if (typeof left === "string" && typeof right === "string") return left < right;
  return isNumber(left) && isNumber(right) && compareNumbers(left, right) < 0;
}

function isNumber(value: Operand): value is number | ExactNumber {
  return typeof value === "number" || value instanceof ExactNumber;
}
