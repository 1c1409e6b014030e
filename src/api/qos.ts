import { parseQuantity } from "./quantity.ts";
import type { Container, PodSpec } from "./types.gen.ts";

const isPositive = (amount: string | undefined): boolean => amount !== undefined && parseQuantity(amount).nanos > 0n;
const computed = ["cpu", "memory"] as const;

const asksNothing = ({ resources }: Pick<Container, "resources">): boolean =>
  computed.every((name) => !isPositive(resources?.requests?.[name]) && !isPositive(resources?.limits?.[name]));

const isGuaranteed = ({ resources }: Pick<Container, "resources">): boolean =>
  computed.every((name) => {
    const limit = resources?.limits?.[name];
    const request = resources?.requests?.[name] ?? limit;
    if (limit === undefined || request === undefined || !isPositive(limit)) return false;
    return parseQuantity(limit).nanos === parseQuantity(request).nanos;
  });

/** The class of service that a Pod's requests and limits of CPU and memory make. */
export function qosClass(spec: PodSpec): "Guaranteed" | "Burstable" | "BestEffort" {
  const whole = spec.resources ? [{ resources: spec.resources }] : undefined;
  const parts = whole ?? [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  if (parts.every(asksNothing)) return "BestEffort";
  return parts.every(isGuaranteed) ? "Guaranteed" : "Burstable";
}
