import type { BalancerState } from "../balancer.ts";
import type { SeenLoadBalancer } from "./balancer-inventory.ts";
import { costPerHour, hoursPerMonth, type Inventory } from "./charges.ts";

const monthly = (inventory: Inventory): string => `$${(costPerHour(inventory).usdPerHour * hoursPerMonth).toFixed(2)}`;

/** What AWS charges for a load balancer, however little goes through it: itself, and an address a zone outside. */
export function billOf({ name, raw }: SeenLoadBalancer): NonNullable<BalancerState["bill"]> {
  const kind = raw.Type === "application" ? "application" : "network";
  const isOutside = raw.Scheme === "internet-facing";
  const publicAddresses = isOutside ? (raw.AvailabilityZones ?? []).length : 0;
  const own = monthly(kind === "network" ? { networkBalancers: 1 } : { applicationBalancers: 1 });
  const addresses =
    publicAddresses === 0
      ? ""
      : `, and its ${publicAddresses} public IPv4 addresses ${monthly({ publicAddresses })} more`;
  const saving =
    kind === "network" && !isOutside
      ? " A Service of type ClusterIP does without one by drover.dev/balancer: names."
      : "";
  const sentence = `The ${kind} load balancer ${name} costs about ${own} a month${addresses}; traffic is not counted.${saving}`;
  return { loadBalancer: name, kind, publicAddresses, sentence };
}
