import type { Kind } from "../kinds.ts";
import { child, ensureChild, type Fields, items, type Rule } from "./rows.ts";

const notReady = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

const tolerates = (toleration: Fields, key: string): boolean =>
  (toleration["key"] === key || (toleration["key"] ?? "") === "") &&
  (toleration["effect"] === "NoExecute" || (toleration["effect"] ?? "") === "");

/** Every Pod tolerates for five minutes that its node is not ready or not reachable, unless it says otherwise itself. */
export function tolerateUnready(spec: Fields): void {
  const tolerations = items(spec["tolerations"]);
  for (const key of notReady) {
    if (tolerations.some((toleration) => tolerates(toleration, key))) continue;
    tolerations.push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 });
  }
  spec["tolerations"] = tolerations;
}

/** What every Pod gets that needs no other object. Priority classes and service accounts are the registry's. */
const pod: Rule = (object) => {
  const spec = ensureChild(object, "spec");
  spec["serviceAccountName"] ??= "default";
  spec["serviceAccount"] = spec["serviceAccountName"];
  spec["priority"] ??= 0;
  spec["preemptionPolicy"] ??= "PreemptLowerPriority";
  tolerateUnready(spec);
};

const withFinalizer =
  (name: string): Rule =>
  (object) => {
    const metadata = ensureChild(object, "metadata");
    const finalizers = Array.isArray(metadata["finalizers"]) ? metadata["finalizers"] : [];
    if (!finalizers.includes(name)) metadata["finalizers"] = [...finalizers, name];
  };

const node: Rule = (object) => {
  const spec = ensureChild(object, "spec");
  const taints = items(spec["taints"]);
  if (taints.some(({ key }) => key === "node.kubernetes.io/not-ready")) return;
  spec["taints"] = [...taints, { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }];
};

const rules: Readonly<Record<string, Rule>> = {
  "core.v1.Pod": pod,
  "core.v1.PersistentVolumeClaim": withFinalizer("kubernetes.io/pvc-protection"),
  "core.v1.PersistentVolume": withFinalizer("kubernetes.io/pv-protection"),
  "storage.v1.VolumeAttributesClass": withFinalizer("kubernetes.io/vac-protection"),
  "core.v1.Node": node,
};

/** What admission adds to a new object of `kind` without looking at any other object. */
export const admit = (kind: Kind, object: Fields): void => rules[kind.type]?.(object);

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Made anew for each Pod, so that none shares parts with another. */
const tokenSources = () => [
  { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
  { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
  { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
];

/**
 * Mounts the service account's token into every container of a new Pod that has nothing at that path, in place.
 * `suffix`: five characters that make the volume's name unique. Whether the Pod wants it is the caller's question.
 */
export function mountToken(pod: { spec?: unknown }, suffix: string): void {
  const spec = child(pod, "spec");
  if (!spec) return;
  const name = `kube-api-access-${suffix}`;
  const bare = [...items(spec["initContainers"]), ...items(spec["containers"])].filter(
    (container) => !items(container["volumeMounts"]).some(({ mountPath }) => mountPath === tokenPath),
  );
  if (bare.length === 0) return;
  for (const container of bare) {
    container["volumeMounts"] = [...items(container["volumeMounts"]), { name, readOnly: true, mountPath: tokenPath }];
  }
  const projected = { sources: tokenSources(), defaultMode: 420 };
  spec["volumes"] = [...items(spec["volumes"]), { name, projected }];
}
