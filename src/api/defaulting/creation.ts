import { emptyField } from "../decode.ts";
import { equal } from "../equal.ts";
import type { Kind } from "../kinds.ts";
import { qosClass } from "../qos.ts";
import { completeFamilies } from "../service-addresses.ts";
import type { PodSpec, ServiceSpec } from "../types.gen.ts";
import { child, defaultsTable, ensureChild, type Fields, items, type Rule } from "./rows.ts";

/** Kinds whose status a client cannot set when it creates an object. */
const statusDropped = new Set(
  defaultsTable.defaults.filter((row) => row.s === "strategy" && row.p === "status").map((row) => row.t),
);

const gated = {
  type: "PodScheduled",
  status: "False",
  reason: "SchedulingGated",
  message: "Scheduling is blocked due to non-empty scheduling gates",
};

const matchLabels = (selector: Fields | undefined, keys: unknown, operator: string, labels: Fields): void => {
  if (!selector || !Array.isArray(keys)) return;
  for (const key of keys) {
    if (typeof key !== "string" || labels[key] === undefined) continue;
    const expressions = items(selector["matchExpressions"]);
    selector["matchExpressions"] = [...expressions, { key, operator, values: [labels[key]] }];
  }
};

/** Keys whose values come from the Pod's own labels become part of the selectors that name them. */
function mergeMatchLabelKeys(spec: Fields, labels: Fields): void {
  for (const constraint of items(spec["topologySpreadConstraints"])) {
    matchLabels(child(constraint, "labelSelector"), constraint["matchLabelKeys"], "In", labels);
  }
  for (const side of ["podAffinity", "podAntiAffinity"]) {
    const rules = child(child(spec, "affinity"), side);
    const preferred = items(rules?.["preferredDuringSchedulingIgnoredDuringExecution"]);
    const terms: Fields[] = [
      ...items(rules?.["requiredDuringSchedulingIgnoredDuringExecution"]),
      ...preferred.flatMap((term): Fields[] => items([child(term, "podAffinityTerm")])),
    ];
    for (const term of terms) {
      matchLabels(child(term, "labelSelector"), term["matchLabelKeys"], "In", labels);
      matchLabels(child(term, "labelSelector"), term["mismatchLabelKeys"], "NotIn", labels);
    }
  }
}

const appArmorPrefix = "container.apparmor.security.beta.kubernetes.io/";

/** The older annotation for a container's AppArmor profile, as its field. */
function appArmorProfile(text: unknown): Fields | undefined {
  if (text === "runtime/default") return { type: "RuntimeDefault" };
  if (text === "unconfined") return { type: "Unconfined" };
  const local = typeof text === "string" ? /^localhost\/(.+)$/.exec(text)?.[1] : undefined;
  return local === undefined ? undefined : { type: "Localhost", localhostProfile: local };
}

function appArmor(spec: Fields, annotations: Fields): void {
  const podProfile = child(child(spec, "securityContext"), "appArmorProfile");
  for (const list of ["containers", "initContainers", "ephemeralContainers"]) {
    for (const container of items(spec[list])) {
      const profile = appArmorProfile(annotations[appArmorPrefix + container["name"]]);
      if (!profile || equal(profile, podProfile)) continue;
      ensureChild(container, "securityContext")["appArmorProfile"] ??= profile;
    }
  }
}

const pod: Rule = (object) => {
  const spec = ensureChild(object, "spec");
  const metadata = ensureChild(object, "metadata");
  const status: Fields = { phase: "Pending", qosClass: qosClass(spec as unknown as PodSpec) };
  if (items(spec["schedulingGates"]).length > 0) {
    status["conditions"] = [{ ...gated, lastTransitionTime: metadata["creationTimestamp"] ?? null }];
  }
  object["status"] = status;
  if (Number(spec["terminationGracePeriodSeconds"]) < 0) spec["terminationGracePeriodSeconds"] = 1;
  const labels = child(metadata, "labels");
  if (labels) mergeMatchLabelKeys(spec, labels);
  const annotations = child(metadata, "annotations");
  if (annotations) appArmor(spec, annotations);
};

const namespace: Rule = (object) => {
  object["status"] = { phase: "Active" };
  const spec = ensureChild(object, "spec");
  const finalizers = Array.isArray(spec["finalizers"]) ? spec["finalizers"] : [];
  if (!finalizers.includes("kubernetes")) spec["finalizers"] = [...finalizers, "kubernetes"];
  const metadata = ensureChild(object, "metadata");
  if (metadata["name"]) ensureChild(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"];
};

/** Maps are written in the order of their keys. */
const inOrder = (map: Fields): Fields => Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Labels and selector by which a Job finds its Pods; `metadata.uid` must be known. */
const job: Rule = (object) => {
  const metadata = ensureChild(object, "metadata");
  const spec = ensureChild(object, "spec");
  const template = ensureChild(ensureChild(spec, "template"), "metadata");
  object["status"] = {};
  if (spec["manualSelector"] !== true) {
    const labels = ensureChild(template, "labels");
    for (const name of ["job-name", "batch.kubernetes.io/job-name"]) labels[name] ??= metadata["name"];
    for (const name of ["controller-uid", "batch.kubernetes.io/controller-uid"]) labels[name] ??= metadata["uid"];
    template["labels"] = inOrder(labels);
    const matching = ensureChild(ensureChild(spec, "selector"), "matchLabels");
    matching["batch.kubernetes.io/controller-uid"] ??= metadata["uid"];
  }
  const own = child(metadata, "labels");
  if (!own || Object.keys(own).length === 0) metadata["labels"] = { ...child(template, "labels") };
};

/** Addresses themselves are the registry's to choose. */
const service: Rule = (object) => {
  object["status"] = { loadBalancer: {} };
  completeFamilies(ensureChild(object, "spec") as ServiceSpec);
};

const claim: Rule = (object) => {
  object["status"] = { phase: "Pending" };
  const spec = ensureChild(object, "spec");
  if (spec["dataSource"] !== undefined) spec["dataSourceRef"] ??= { ...child(spec, "dataSource") };
  const source = child(spec, "dataSourceRef");
  if (source && source["namespace"] === undefined) spec["dataSource"] ??= { ...source };
};

const volume: Rule = (object) => {
  const created = child(object, "metadata")?.["creationTimestamp"];
  object["status"] = { phase: "Pending", ...(created !== undefined && { lastPhaseTransitionTime: created }) };
};

const daemonSet: Rule = (object) => {
  const annotations = ensureChild(ensureChild(object, "metadata"), "annotations");
  annotations["deprecated.daemonset.template.generation"] = "1";
};

/** Only the names count. */
export const secretNames: Rule = (account) => {
  if (account["secrets"] !== undefined) account["secrets"] = items(account["secrets"]).map(({ name }) => ({ name }));
};

const special: Readonly<Record<string, Rule>> = {
  "core.v1.Pod": pod,
  "core.v1.Namespace": namespace,
  "batch.v1.Job": job,
  "core.v1.Service": service,
  "core.v1.PersistentVolumeClaim": claim,
  "core.v1.PersistentVolume": volume,
  "core.v1.ServiceAccount": secretNames,
  "apps.v1.DaemonSet": daemonSet,
};

/** What creating an object of `kind` sets, whatever the client said. */
export function prepareCreation(kind: Kind, object: Fields): void {
  if (statusDropped.has(kind.type)) object["status"] = emptyField(kind, "status");
  special[kind.type]?.(object);
}
