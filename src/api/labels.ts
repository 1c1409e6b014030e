import { labelValue, qualifiedName } from "./names.ts";
import { badRequest } from "./status.ts";
import type { LabelSelector } from "./types.gen.ts";

/** Whether an object's labels satisfy a selector. */
export type LabelMatcher = (labels: Record<string, string> | undefined) => boolean;

/** Labels by key, for holders whose labels are not all in one object. */
export type LabelLookup = (key: string) => string | undefined;

type Requirement = { key: string; operator: string; values: ReadonlySet<string> };

const operators = "in, notin, =, ==, !=, gt, lt";

function satisfies({ key, operator, values }: Requirement, labelOf: LabelLookup): boolean {
  const value = labelOf(key);
  switch (operator) {
    case "in":
      return value !== undefined && values.has(value);
    case "notin":
      return value === undefined || !values.has(value);
    case "exists":
      return value !== undefined;
    case "absent":
      return value === undefined;
    default: {
      const [bound] = values;
      if (value === undefined || !/^-?\d+$/.test(value)) return false;
      return operator === "gt" ? Number(value) > Number(bound) : Number(value) < Number(bound);
    }
  }
}

const matcher = (requirements: readonly Requirement[]): LabelMatcher => {
  const none = {};
  return (labels: Record<string, string> = none) => {
    const labelOf = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
    return requirements.every((requirement) => satisfies(requirement, labelOf));
  };
};

/** The words of the query syntax; a word is anything without space and without a sign of the syntax. */
const words = (text: string): string[] => text.match(/==|!=|[=!(),<>]|[^\s=!(),<>]+/g) ?? [];
const isWord = (token: string | undefined): token is string => token !== undefined && !/^[=!(),<>]/.test(token);
const unparsable = (why: string) => badRequest(`unable to parse requirement: ${why}`);
const shown = (token: string | undefined): string => token ?? "";

/** The words of a query and how far they have been read. */
type Reading = { tokens: readonly string[]; next: number };
const peek = (reading: Reading): string | undefined => reading.tokens[reading.next];
const take = (reading: Reading): string | undefined => reading.tokens[reading.next++];

function readRequirements(text: string): Requirement[] {
  const reading = { tokens: words(text), next: 0 };
  const found: Requirement[] = [];
  while (peek(reading) !== undefined) {
    found.push(readRequirement(reading));
    const token = take(reading);
    if (token === undefined) break;
    if (token !== ",") throw badRequest(`found '${token}', expected: ',' or 'end of string'`);
    if (!isWord(peek(reading)) && peek(reading) !== "!") {
      throw badRequest(`found '${shown(peek(reading))}', expected: identifier after ','`);
    }
  }
  return found;
}

function readKey(reading: Reading): string {
  const key = take(reading);
  if (!isWord(key)) throw unparsable(`found '${shown(key)}', expected: !, identifier, or 'end of string'`);
  const [why] = qualifiedName(key);
  if (why !== undefined) throw unparsable(`<nil>: Invalid value: ${JSON.stringify(key)}: ${why}`);
  return key;
}

function readRequirement(reading: Reading): Requirement {
  if (peek(reading) === "!") {
    take(reading);
    return { key: readKey(reading), operator: "absent", values: new Set() };
  }
  const key = readKey(reading);
  const token = peek(reading);
  if (token === undefined || token === ",") return { key, operator: "exists", values: new Set() };
  take(reading);
  switch (token) {
    case "=":
    case "==":
      return { key, operator: "in", values: readValue(reading, key) };
    case "!=":
      return { key, operator: "notin", values: readValue(reading, key) };
    case "<":
    case ">":
      return { key, operator: token === ">" ? "gt" : "lt", values: readValue(reading, key) };
    case "in":
    case "notin":
      return { key, operator: token, values: readValues(reading, key) };
    default:
      throw unparsable(`found '${token}', expected: ${operators}`);
  }
}

function checked(key: string, value: string): string {
  const [why] = labelValue(value);
  if (why === undefined) return value;
  throw unparsable(`values[0][${key}]: Invalid value: ${JSON.stringify(value)}: ${why}`);
}

function readValue(reading: Reading, key: string): ReadonlySet<string> {
  const token = peek(reading);
  if (token === undefined || token === ",") return new Set([""]);
  if (!isWord(token)) throw unparsable(`found '${token}', expected: identifier`);
  take(reading);
  return new Set([checked(key, token)]);
}

function readValues(reading: Reading, key: string): ReadonlySet<string> {
  const open = take(reading);
  if (open !== "(") throw unparsable(`found '${shown(open)}' expected: '('`);
  const values = new Set<string>();
  for (let last = ","; ; ) {
    const token = take(reading);
    if (isWord(token)) values.add(checked(key, token));
    else if (token === "," || token === ")") {
      if (last === ",") values.add("");
      if (token === ")") return values;
    } else throw unparsable(`found '${shown(token)}', expected: ',', or ')'`);
    last = token;
  }
}

/**
 * The query syntax: `a=b,c!=d,e in (f,g),h,!i`. An empty text selects everything.
 * @throws ApiError 400 in Kubernetes' words.
 */
export const parseLabelSelector = (text: string): LabelMatcher => matcher(readRequirements(text));

const queryOperator: Record<string, string> = {
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "absent",
  Gt: "gt",
  Lt: "lt",
};
type Expression = { key: string; operator: string; values?: readonly string[] | undefined };
const requirementOf = ({ key, operator, values }: Expression): Requirement => ({
  key,
  operator: queryOperator[operator] ?? "in",
  values: new Set(values),
});

/** Requirements on a Node's labels, all of which must hold; `Gt` and `Lt` compare whole numbers. */
export function nodeRequirementsMatcher(expressions: readonly Expression[]): (labelOf: LabelLookup) => boolean {
  const requirements = expressions.map(requirementOf);
  return (labelOf) => requirements.every((requirement) => satisfies(requirement, labelOf));
}

/** A selector as objects carry it: absent selects nothing, an empty one everything. */
export function labelSelectorMatcher(selector: LabelSelector | undefined): LabelMatcher {
  if (!selector) return () => false;
  const matchLabels = selector.matchLabels ?? {};
  const expressions = matcher((selector.matchExpressions ?? []).map(requirementOf));
  return (labels = {}) => {
    for (const key in matchLabels) if (!Object.hasOwn(labels, key) || labels[key] !== matchLabels[key]) return false;
    return expressions(labels);
  };
}
