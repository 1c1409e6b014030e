import { compareQuantities, parseQuantity, printQuantity } from "../quantity.ts";
import { child, ensureChild, type Fields, items, type Rule } from "./rows.ts";

const lists = ["initContainers", "containers"] as const;

/** What a container limits it also requests. */
const requestsFromLimits =
  (list: (typeof lists)[number]): Rule =>
  (pod) => {
    for (const container of items(child(pod, "spec")?.[list])) {
      const resources = child(container, "resources");
      const limits = child(resources, "limits");
      if (resources && limits) resources["requests"] = { ...limits, ...child(resources, "requests") };
    }
  };

/** On the host's network a container's port is the host's. */
const hostPorts =
  (list: (typeof lists)[number]): Rule =>
  (pod) => {
    const spec = child(pod, "spec");
    if (spec?.["hostNetwork"] !== true) return;
    for (const container of items(spec[list])) {
      for (const port of items(container["ports"])) port["hostPort"] ??= port["containerPort"];
    }
  };

function total(containers: readonly Fields[], side: "requests" | "limits", resource: string): string | undefined {
  let sum: string | undefined;
  for (const container of containers) {
    const amount = child(child(container, "resources"), side)?.[resource];
    if (typeof amount !== "string") continue;
    const next = parseQuantity(amount);
    sum = sum === undefined ? amount : printQuantity({ ...next, nanos: parseQuantity(sum).nanos + next.nanos });
  }
  return sum;
}

/** The larger of all containers together and any init container alone. */
function aggregate(spec: Fields, side: "requests" | "limits", resource: string): string | undefined {
  const sidecars = items(spec["initContainers"]).filter((container) => container["restartPolicy"] === "Always");
  const sum = total([...items(spec["containers"]), ...sidecars], side, resource);
  const alone = items(spec["initContainers"]).map((container) => total([container], side, resource));
  return [sum, ...alone].reduce((most, next) =>
    next === undefined || (most !== undefined && compareQuantities(most, next) >= 0) ? most : next,
  );
}

const resourceNames = (spec: Fields): Set<string> =>
  new Set(
    lists.flatMap((list) =>
      items(spec[list]).flatMap((container) => {
        const resources = child(container, "resources");
        return Object.keys({ ...child(resources, "limits"), ...child(resources, "requests") });
      }),
    ),
  );

const isPodLevel = (name: string): boolean => name === "cpu" || name === "memory" || name.startsWith("hugepages-");

/** Requests of the Pod as a whole, from its containers or its own limits. */
const podRequests: Rule = (pod) => {
  const spec = child(pod, "spec");
  const resources = child(spec, "resources");
  const limits = child(resources, "limits");
  if (!spec || !resources || !limits || Object.keys(limits).length === 0) return;
  const requests = ensureChild(resources, "requests");
  for (const name of ["cpu", "memory"]) requests[name] ??= aggregate(spec, "requests", name);
  for (const [name, amount] of Object.entries(limits)) if (isPodLevel(name)) requests[name] ??= amount;
  for (const [name, amount] of Object.entries(requests)) if (amount === undefined) delete requests[name];
};

const hugePages: Rule = (pod) => {
  const spec = child(pod, "spec");
  const resources = child(spec, "resources");
  if (!spec || !resources || !(child(resources, "limits") ?? child(resources, "requests"))) return;
  for (const name of resourceNames(spec)) {
    if (!name.startsWith("hugepages-") || child(resources, "requests")?.[name] !== undefined) continue;
    const sum = aggregate(spec, "limits", name);
    if (sum !== undefined) ensureChild(resources, "limits")[name] ??= sum;
  }
};

/** The older name of the field is written beside the newer one. */
const serviceAccount: Rule = (spec) => {
  spec["serviceAccountName"] ??= spec["serviceAccount"];
  if (spec["serviceAccountName"] === undefined) delete spec["serviceAccountName"];
  else spec["serviceAccount"] = spec["serviceAccountName"];
};

/** Rows of Pods and their specs that need code; see `byHand`. */
export const podRules: Readonly<Record<string, Rule | "elsewhere">> = {
  "core.v1.Pod spec.containers[].resources.requests[key]": requestsFromLimits("containers"),
  "core.v1.Pod spec.initContainers[].resources.requests[key]": requestsFromLimits("initContainers"),
  "core.v1.Pod spec.resources.limits[hugepages-*]": hugePages,
  "core.v1.Pod spec.resources.requests[key]": podRequests,
  "core.v1.Pod spec.containers[].ports[].hostPort": hostPorts("containers"),
  "core.v1.Pod spec.initContainers[].ports[].hostPort": hostPorts("initContainers"),
  "core.v1.PodSpec serviceAccountName": serviceAccount,
  "core.v1.PodSpec serviceAccount": "elsewhere",
};
