import { duplicateValue, forbiddenField, invalidValue } from "../problems.ts";
import { compareQuantities } from "../quantity.ts";
import type { FieldProblem } from "../status.ts";
import type { LimitRange, LimitRangeItem, PriorityClass, ResourceQuota } from "../types.gen.ts";
import { rulesFor } from "./kind-rules.ts";
import { amountProblems } from "./resources.ts";

type Bound = { name: "min" | "max" | "default" | "defaultRequest"; text: string };
const min: Bound = { name: "min", text: "min" };
const max: Bound = { name: "max", text: "max" };
const limit: Bound = { name: "default", text: "default" };
const request: Bound = { name: "defaultRequest", text: "default request" };

/** Pairs that must be in order: at which field it is said, and whose amount is quoted. */
const orders: readonly { low: Bound; high: Bound; field: Bound; quoted: Bound; highText?: string }[] = [
  { low: min, high: max, field: min, quoted: min },
  { low: min, high: request, field: request, quoted: request },
  { low: request, high: max, field: request, quoted: request },
  { low: request, high: limit, field: request, quoted: request, highText: "default limit" },
  { low: min, high: limit, field: limit, quoted: min },
  { low: limit, high: max, field: limit, quoted: max },
];

function limitProblems(item: LimitRangeItem, at: string): FieldProblem[] {
  const names = Object.keys({ ...item.min, ...item.max, ...item.default, ...item.defaultRequest }).sort();
  return names.flatMap((name) =>
    orders.flatMap(({ low, high, field, quoted, highText = high.text }) => {
      const [lower, higher] = [item[low.name]?.[name], item[high.name]?.[name]];
      if (lower === undefined || higher === undefined || compareQuantities(lower, higher) <= 0) return [];
      const why = `${low.text} value ${lower} is greater than ${highText} value ${higher}`;
      return [invalidValue(`${at}.${field.name}[${name}]`, item[quoted.name]?.[name], why)];
    }),
  );
}

export const limitRangeRules = rulesFor<LimitRange>({
  create: ({ spec }) => {
    const limits = spec?.limits ?? [];
    const types = limits.map(({ type }) => type);
    return limits.flatMap((item, index) => {
      const at = `spec.limits[${index}]`;
      const isRepeated = types.indexOf(item.type) < index;
      return [...(isRepeated ? [duplicateValue(`${at}.type`, item.type)] : []), ...limitProblems(item, at)];
    });
  },
});

export const quotaRules = rulesFor<ResourceQuota>({
  create: ({ spec }) =>
    Object.entries(spec?.hard ?? {}).flatMap(([name, amount]) => amountProblems(name, amount, `spec.hard[${name}]`)),
});

const systemClasses: Readonly<Record<string, number>> = {
  "system-node-critical": 2_000_001_000,
  "system-cluster-critical": 2_000_000_000,
};
const userPriorityMax = 1_000_000_000;

function priorityProblems({ metadata, value = 0 }: PriorityClass): FieldProblem[] {
  const name = metadata.name ?? "";
  if (name.startsWith("system-")) {
    if (systemClasses[name] === value) return [];
    const why =
      name in systemClasses
        ? `value of ${name} PriorityClass must be ${systemClasses[name]}`
        : `${name} is not a known system priority class`;
    const reserved = "priority class names with 'system-' prefix are reserved for system use only.";
    return [forbiddenField("metadata.name", `${reserved} error: ${why}`)];
  }
  if (value <= userPriorityMax) return [];
  return [forbiddenField("value", `maximum allowed value of a user defined priority is ${userPriorityMax}`)];
}

export const priorityClassRules = rulesFor<PriorityClass>({
  create: priorityProblems,
  update: (next, old) => [
    ...(next.value === old.value ? [] : [forbiddenField("value", "may not be changed in an update.")]),
    ...(next.preemptionPolicy === old.preemptionPolicy
      ? []
      : [invalidValue("preemptionPolicy", next.preemptionPolicy, "field is immutable")]),
  ],
});
