import { podRules } from "./pods.ts";
import { child, ensureChild, type Fields, isFields, items, type Rule } from "./rows.ts";

/** `Always` for a moving tag, as the image's reference says. */
function pullPolicyOf(image: unknown): string {
  const reference = typeof image === "string" ? image : "";
  if (reference.includes("@")) return "IfNotPresent";
  const tag = /:([^/:]+)$/.exec(reference)?.[1];
  return tag === undefined || tag === "latest" ? "Always" : "IfNotPresent";
}

const pullPolicy: Rule = (container) => {
  container["imagePullPolicy"] ??= pullPolicyOf(container["image"]);
};

const isHollow = (value: unknown): boolean => !isFields(value) || Object.keys(value).length === 0;

const templateLabels = (object: Fields): Fields | undefined =>
  child(child(child(child(object, "spec"), "template"), "metadata"), "labels");

/** Labels of the template for an object that has none. */
const labelsFromTemplate: Rule = (object) => {
  const labels = templateLabels(object);
  const metadata = ensureChild(object, "metadata");
  if (labels && isHollow(metadata["labels"])) metadata["labels"] = { ...labels };
};

const sourceless = (volume: Fields): boolean => Object.keys(volume).every((key) => key === "name");

const perResource =
  (target: string, source: string): Rule =>
  (limit) => {
    const given = child(limit, source);
    if (limit["type"] !== "Container" || !given) return;
    limit[target] = { ...given, ...child(limit, target) };
  };

const limitRequests: Rule = (limit) => {
  perResource("defaultRequest", "default")(limit);
  perResource("defaultRequest", "min")(limit);
};

const clientIpTimeout: Rule = (service) => {
  const spec = ensureChild(service, "spec");
  if (spec["sessionAffinity"] === "None") delete spec["sessionAffinityConfig"];
  if (spec["sessionAffinity"] !== "ClientIP") return;
  ensureChild(ensureChild(spec, "sessionAffinityConfig"), "clientIP")["timeoutSeconds"] ??= 10_800;
};

const externalTraffic: Rule = (service) => {
  const spec = ensureChild(service, "spec");
  const exposed = ["NodePort", "LoadBalancer"].includes(String(spec["type"]));
  const external = spec["type"] === "ClusterIP" && Array.isArray(spec["externalIPs"]);
  if (exposed || external) spec["externalTrafficPolicy"] ??= "Cluster";
};

const storedVersions: Rule = (crd) => {
  const storage = items(child(crd, "spec")?.["versions"]).filter((version) => version["storage"] === true);
  const status = ensureChild(crd, "status");
  const stored = status["storedVersions"];
  if (Array.isArray(stored) && stored.length > 0) return;
  if (storage.length > 0) status["storedVersions"] = storage.map((version) => version["name"]);
};

const first = (list: unknown): Fields | undefined => items(list)[0];

const stringData: Rule = (secret) => {
  const texts = child(secret, "stringData");
  delete secret["stringData"];
  if (!texts) return;
  const data: Fields = { ...child(secret, "data") };
  for (const [key, value] of Object.entries(texts)) data[key] = Buffer.from(String(value)).toString("base64");
  secret["data"] = Object.fromEntries(Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1)));
};

/**
 * Rows of the table that say more than "this constant, if absent", by type and path; several rows may share one rule.
 * `elsewhere`: decoding or storing does it, or it leaves no trace in JSON.
 */
export const byHand: Readonly<Record<string, Rule | "elsewhere">> = {
  ...podRules,
  "*ResourceList [key]": "elsewhere",
  "core.v1.ConfigMap data": "elsewhere",
  "resource.v1.DeviceTaint timeAdded": "elsewhere",
  // Counted when it is created and by strategy.ts when it is updated.
  'apps.v1.DaemonSet metadata.annotations["deprecated.daemonset.template.generation"]': (set) => {
    ensureChild(ensureChild(set, "metadata"), "annotations")["deprecated.daemonset.template.generation"] ??= "0";
  },
  "core.v1.ReplicationController spec.selector": (controller) => {
    const labels = templateLabels(controller);
    const spec = ensureChild(controller, "spec");
    if (labels && isHollow(spec["selector"])) spec["selector"] = { ...labels };
  },
  "core.v1.ReplicationController metadata.labels": labelsFromTemplate,
  "batch.v1.Job metadata.labels": labelsFromTemplate,
  "core.v1.Volume emptyDir": (volume) => {
    if (sourceless(volume)) volume["emptyDir"] = {};
  },
  "core.v1.Volume image.pullPolicy": (volume) => {
    const image = child(volume, "image");
    if (image) image["pullPolicy"] ??= pullPolicyOf(image["reference"]);
  },
  "core.v1.Container imagePullPolicy": pullPolicy,
  "core.v1.EphemeralContainer imagePullPolicy": pullPolicy,
  "core.v1.Service spec.sessionAffinityConfig": clientIpTimeout,
  "core.v1.Service spec.externalTrafficPolicy": externalTraffic,
  "core.v1.Service spec.ports[].targetPort": (service) => {
    for (const port of items(child(service, "spec")?.["ports"])) {
      if (port["targetPort"] === 0 || port["targetPort"] === "") port["targetPort"] = port["port"];
    }
  },
  'core.v1.Namespace metadata.labels["kubernetes.io/metadata.name"]': (namespace) => {
    const metadata = ensureChild(namespace, "metadata");
    if (metadata["name"]) ensureChild(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"];
  },
  "core.v1.NodeStatus allocatable": (status) => {
    const capacity = child(status, "capacity");
    if (capacity) status["allocatable"] ??= { ...capacity };
  },
  "core.v1.LimitRangeItem default[key]": perResource("default", "max"),
  "core.v1.LimitRangeItem defaultRequest[key]": limitRequests,
  "apiextensions.v1.CustomResourceDefinition spec.names.singular": (crd) => {
    const names = ensureChild(ensureChild(crd, "spec"), "names");
    names["singular"] ||= String(names["kind"] ?? "").toLowerCase();
  },
  "apiextensions.v1.CustomResourceDefinition spec.names.listKind": (crd) => {
    const names = ensureChild(ensureChild(crd, "spec"), "names");
    if (names["kind"]) names["listKind"] ||= `${names["kind"]}List`;
  },
  "apiextensions.v1.CustomResourceDefinition status.storedVersions": storedVersions,
  "core.v1.Secret data[key]": stringData,
  // The single form wins where both are there and differ.
  "core.v1.PodStatus podIP": (status) => {
    status["podIP"] ??= first(status["podIPs"])?.["ip"];
    if (status["podIP"] === undefined) delete status["podIP"];
    else if (first(status["podIPs"])?.["ip"] !== status["podIP"]) status["podIPs"] = [{ ip: status["podIP"] }];
  },
  "core.v1.PodStatus podIPs": "elsewhere",
  "core.v1.NodeSpec podCIDR": (spec) => {
    const ranges = Array.isArray(spec["podCIDRs"]) ? spec["podCIDRs"] : [];
    spec["podCIDR"] ??= ranges[0];
    if (spec["podCIDR"] === undefined) delete spec["podCIDR"];
    else if (ranges[0] !== spec["podCIDR"]) spec["podCIDRs"] = [spec["podCIDR"]];
  },
  "core.v1.NodeSpec podCIDRs": "elsewhere",
  "apps.v1.StatefulSet spec.volumeClaimTemplates[].apiVersion": (set) => {
    const spec = ensureChild(set, "spec");
    const claims = items(spec["volumeClaimTemplates"]);
    if (claims.length > 0) {
      spec["volumeClaimTemplates"] = claims.map((claim) => ({
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        ...claim,
      }));
    }
  },
  "apps.v1.StatefulSet spec.volumeClaimTemplates[].kind": "elsewhere",
  "autoscaling.v1.HorizontalPodAutoscaler spec.targetCPUUtilizationPercentage": (scaler) => {
    const annotations = child(child(scaler, "metadata"), "annotations");
    if (annotations?.["autoscaling.alpha.kubernetes.io/metrics"] !== undefined) return;
    ensureChild(scaler, "spec")["targetCPUUtilizationPercentage"] ??= 80;
  },
};
