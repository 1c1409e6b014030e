import { qualifiedName } from "../names.ts";
import { invalidValue, required } from "../problems.ts";
import { compareQuantities, parseQuantity } from "../quantity.ts";
import type { FieldProblem } from "../status.ts";
import type { ResourceRequirements } from "../types.gen.ts";

const containerResources = new Set(["cpu", "memory", "ephemeral-storage"]);
const standardResources = new Set([...containerResources, "storage", "pods", "services", "secrets", "configmaps"]);

const isHugePages = (name: string): boolean => name.startsWith("hugepages-");
/** A vendor's resource, which is counted in whole units and never shared. */
const isExtended = (name: string): boolean =>
  name.includes("/") && !name.includes("kubernetes.io/") && !name.startsWith("requests.");
const isShareable = (name: string): boolean => !isExtended(name) && !isHugePages(name);

/** An amount of a resource: not negative, and whole where it cannot be divided. */
export function amountProblems(name: string, amount: string, at: string): FieldProblem[] {
  const { nanos } = parseQuantity(amount);
  if (nanos < 0n) return [invalidValue(at, amount, "must be greater than or equal to 0")];
  const page = /^hugepages-(.+)$/.exec(name)?.[1];
  if (page !== undefined && (nanos === 0n || nanos % parseQuantity(page).nanos !== 0n)) {
    return [invalidValue(at, amount, `${amount} is not positive integer multiple of ${name}`)];
  }
  if (isExtended(name) && nanos % 1_000_000_000n !== 0n) return [invalidValue(at, amount, "must be an integer")];
  return [];
}

/** A name that containers may ask for. */
function nameProblems(name: string, at: string): FieldProblem[] {
  const problems = qualifiedName(name).map((why) => invalidValue(at, name, why));
  if (name.includes("/")) return problems;
  if (problems.length === 0 && !standardResources.has(name) && !isHugePages(name)) {
    problems.push(invalidValue(at, name, "must be a standard resource type or fully qualified"));
  }
  if (!containerResources.has(name) && !isHugePages(name)) {
    problems.push(invalidValue(at, name, "must be a standard resource for containers"));
  }
  return problems;
}

function requestProblems(name: string, amount: string, limits: Record<string, string>, at: string): FieldProblem[] {
  const limit = limits[name];
  if (limit === undefined) {
    return isShareable(name) ? [] : [required(`${at}.limits`, "Limit must be set for non overcommitable resources")];
  }
  const order = compareQuantities(amount, limit);
  if (order !== 0 && !isShareable(name)) {
    return [invalidValue(`${at}.requests`, amount, `must be equal to ${name} limit of ${limit}`)];
  }
  if (order <= 0) return [];
  return [invalidValue(`${at}.requests`, amount, `must be less than or equal to ${name} limit of ${limit}`)];
}

/** What a container asks for and may use at most. */
export function resourceProblems(resources: ResourceRequirements | undefined, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { limits = {}, requests = {} } = resources ?? {};
  for (const [name, amount] of Object.entries(limits)) {
    const field = `${at}.limits[${name}]`;
    problems.push(...nameProblems(name, field), ...amountProblems(name, amount, field));
  }
  for (const [name, amount] of Object.entries(requests)) {
    const field = `${at}.requests[${name}]`;
    problems.push(...nameProblems(name, field), ...amountProblems(name, amount, field));
    problems.push(...requestProblems(name, amount, limits, at));
  }
  return problems;
}
